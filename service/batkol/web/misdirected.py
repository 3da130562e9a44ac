"""Requests of Twilio that go to the wrong path, or by the wrong method: answered and logged with what to change.

They get an error and no TwiML: an error is what Twilio shows to the person who set up the number (11200 in its
debugger, with this text), and what makes it ask the number's fallback URL. An answer that worked would hide that GET
puts the caller's number into the URL, and so into the access log of every proxy.
"""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import urlsplit

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from batkol.twilio.signature import looks_signed
from batkol.twilio.twiml import MEDIA_PATH
from batkol.web.log_limit import LogLimit
from batkol.web.voice import STATUS, STREAM_STATUS, VOICE

POSTED: Final = frozenset({VOICE, STATUS, STREAM_STATUS})

log = structlog.get_logger()


class Misdirected:
    """The handlers of the public listener. Any client can cause their log lines, so each kind has one a second."""

    def __init__(self, public_base_url: str) -> None:
        self._base = public_base_url or "PUBLIC_BASE_URL"
        self._prefix = urlsplit(public_base_url).path
        self._lines = LogLimit()

    async def wrong_method(self, request: Request, error: Exception) -> JSONResponse:
        """Answer 405; for a webhook, with the setting to change in Twilio's console."""
        path = _path(request)
        if path not in POSTED:
            return _answer(405, "This path needs another method.", error)
        remedy = f"set the method of the webhook {self._base}{path} to POST, in Twilio's console or API"
        self._log("[TWILIO] webhook refused: its method is not POST", remedy, path=path, method=request.method)
        if not looks_signed(request.headers.get("x-twilio-signature", "")):  # a stranger learns no address
            remedy = "set its method to POST, in Twilio's console or API"
        return _answer(
            405,
            f"Batkol takes this webhook by POST only, and the method of this request was {request.method}: {remedy}.",
            error,
        )

    async def wrong_path(self, request: Request, error: Exception) -> JSONResponse:
        """Answer 404, or 426 where a WebSocket should have been opened; log it if it can be Twilio's."""
        path = _path(request)
        if path == MEDIA_PATH:
            remedy = "configure the proxy to use HTTP/1.1 and to pass the headers `Upgrade` and `Connection` on"
            self._log("[TWILIO] media stream refused: it is no WebSocket handshake", remedy, method=request.method)
            detail = f"Twilio opens {path} as a WebSocket, and this request is not a WebSocket handshake: {remedy}."
            return _answer(426, detail, error, {"Upgrade": "websocket"})
        if not looks_signed(request.headers.get("x-twilio-signature", "")):
            return _answer(404, "There is nothing at this path.", error)
        if self._prefix and path.startswith(f"{self._prefix}/"):
            remedy = f"configure the proxy to remove {self._prefix}, the path of PUBLIC_BASE_URL"
        else:
            remedy = f"set the number's webhook to {self._base}{VOICE} and its status callback to {self._base}{STATUS}"
        # Without the path: it is a stranger's text.
        self._log("[TWILIO] request refused: Twilio asked for a path that is not there", remedy, method=request.method)
        return _answer(404, f"Batkol has nothing at this path: {remedy}.", error)

    def _log(self, event: str, remedy: str, **about: str) -> None:
        left_out = self._lines.admit(event, time.monotonic())
        if left_out is not None:
            log.warning(event, **about, remedy=remedy, lines_left_out=left_out)


def answer_misdirected(app: FastAPI, public_base_url: str) -> None:
    """Have the application answer so what it has no route for."""
    handlers = Misdirected(public_base_url)
    app.add_exception_handler(404, handlers.wrong_path)
    app.add_exception_handler(405, handlers.wrong_method)


def _path(request: Request) -> str:
    """Return the path as it is routed, without a slash at its end; `request.url` believes the Host header."""
    path: str = request.scope["path"]
    return path.rstrip("/")


def _answer(status: int, detail: str, error: Exception, headers: dict[str, str] | None = None) -> JSONResponse:
    given = error.headers if isinstance(error, HTTPException) else None  # `Allow`
    return JSONResponse({"detail": detail}, status, {**(given or {}), **(headers or {})})
