"""The token of the phone: a browser's WebSocket sends no header of the page's, but subprotocols (RFC 6455, 11.3.4).

A subprotocol is a token of HTTP, which has neither space nor `=` nor `/`: so the API's token goes as base64url. The
answer names `batkol.phone` alone. A program may send `Authorization` instead.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec
from fastapi import HTTPException

from batkol.web.asgi_socket import AsgiScope, AsgiSend
from batkol.web.connections import Headers

PROTOCOL: Final = "batkol.phone"
BEARER: Final = "bearer."

_LONGEST: Final = 4096


def credentials(scope: AsgiScope) -> Headers:
    """Return the headers that `Access.who` reads. Raises `HTTPException` for a handshake that is not the phone's."""
    offered: list[str] = scope["subprotocols"]
    if PROTOCOL not in offered:
        raise HTTPException(400, f"The phone speaks the subprotocol `{PROTOCOL}`; offer it in the handshake.")
    tokens = [each for each in offered if each.startswith(BEARER)]
    if not tokens:
        headers: Headers = scope["headers"]
        return headers
    if len(tokens) > 1:
        raise HTTPException(400, "The handshake has more than one token; offer one.")
    return [(b"authorization", b"Bearer " + _decoded(tokens[0].removeprefix(BEARER)))]


async def refuse(send: AsgiSend, error: HTTPException) -> None:
    """Answer the handshake with an error instead (ASGI, "WebSocket Denial Response")."""
    body = msgspec.json.encode({"detail": error.detail})
    given = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    headers = [(b"content-type", b"application/json"), *given]
    await send({"type": "websocket.http.response.start", "status": error.status_code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


def _decoded(text: str) -> bytes:
    """Return the token; what is no base64url is no token, and is no one's."""
    try:
        padded = text[:_LONGEST] + "=" * (-len(text) % 4)
        return base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""
