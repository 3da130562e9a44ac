"""What Twilio calls over HTTP: the voice webhook, and the status callbacks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from fastapi import APIRouter, HTTPException, Request, Response

from batkol.calls.registry import Calls
from batkol.telemetry.metrics import Metrics
from batkol.twilio import token, twiml
from batkol.twilio.signature import LONGEST_FORM, MalformedForm, is_valid, parse_form

APOLOGIES: Final = {
    "he": "כל הקווים תפוסים כרגע. אנא התקשרו שוב בעוד כמה דקות.",
    "": "All lines are busy at the moment. Please call again in a few minutes.",
}
_LONGEST_PARAMETER: Final = 480  # Twilio takes fewer than 500 characters of name and value together
_ENDED: Final = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """What the webhook needs. `auth_tokens` empty: signatures are not checked."""

    public_base_url: str  # "" in development: the request's own
    auth_tokens: Sequence[str]
    token_keys: Sequence[str]
    token_ttl_s: float
    agent: str
    language: str
    overflow_url: str


class Webhooks:
    """The requests of Twilio, checked and answered."""

    def __init__(self, settings: VoiceSettings, calls: Calls, metrics: Metrics) -> None:
        self._settings = settings
        self._calls = calls
        self._metrics = metrics

    async def voice(self, request: Request) -> Response:
        """Answer a call: connect it to the media stream, or say that no line is free."""
        form = await self._form(request)
        call_sid, account_sid = form.get("CallSid", ""), form.get("AccountSid", "")
        if not call_sid:
            raise HTTPException(400, "A voice webhook has a CallSid; this request has none.")
        if not self._calls.reserve(call_sid):
            self._metrics.refused.add(1, {"reason": "full"})
            log.warning("[CALL] turned away: no place is free", call_sid=call_sid, draining=self._calls.draining)
            return _xml(_overflow(self._settings))
        return _xml(self._connect(form, call_sid, account_sid, _base(self._settings, request)))

    async def status(self, request: Request) -> None:
        """A call ended: a place that its stream never took is free again."""
        form = await self._form(request)
        if form.get("CallStatus") in _ENDED:
            self._calls.forget(form.get("CallSid", ""))

    async def stream_status(self, request: Request) -> None:
        """The only place where the reason of a failed handshake reaches us."""
        form = await self._form(request)
        if form.get("StreamEvent") == "stream-error":
            self._calls.forget(form.get("CallSid", ""))
            log.error("[TWILIO] stream error", call_sid=form.get("CallSid"), err=form.get("StreamError", ""))

    def _connect(self, form: dict[str, str], call_sid: str, account_sid: str, base: str) -> str:
        settings = self._settings
        return twiml.connect_stream(
            url=twiml.stream_url(base),
            token=token.issue(settings.token_keys, call_sid, account_sid, time.time(), settings.token_ttl_s),
            status_callback=f"{base}/twilio/stream-status",
            parameters={
                "agent": settings.agent,
                "from": _fitting(form.get("From", "")),
                "to": _fitting(form.get("To", "")),
                "direction": _fitting(form.get("Direction", "inbound")),
            },
        )

    async def _form(self, request: Request) -> dict[str, str]:
        """Read and check a request of Twilio's. Raises `HTTPException`: 400, 403 or 413."""
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_FORM:
                raise HTTPException(413, "This form is longer than Twilio's are.")
        try:
            fields = parse_form(bytes(body))
        except MalformedForm as error:
            raise HTTPException(400, str(error)) from None
        tokens = self._settings.auth_tokens
        query = f"?{request.url.query}" if request.url.query else ""
        url = f"{_base(self._settings, request)}{request.url.path}{query}"
        if tokens and not is_valid(tokens, url, fields, request.headers.get("x-twilio-signature", "")):
            self._metrics.refused.add(1, {"reason": "signature"})
            log.warning("[TWILIO] request refused: the signature does not fit", path=request.url.path)
            raise HTTPException(403, "The X-Twilio-Signature does not fit; check PUBLIC_BASE_URL and the auth token.")
        return dict(fields)


def routes(settings: VoiceSettings, calls: Calls, metrics: Metrics) -> APIRouter:
    """Return the routes that Twilio requests."""
    webhooks = Webhooks(settings, calls, metrics)
    router = APIRouter()
    router.add_api_route("/twilio/voice", webhooks.voice, methods=["POST"])
    router.add_api_route("/twilio/status", webhooks.status, methods=["POST"], status_code=204)
    router.add_api_route("/twilio/stream-status", webhooks.stream_status, methods=["POST"], status_code=204)
    return router


def _base(settings: VoiceSettings, request: Request) -> str:
    return settings.public_base_url or f"http://{request.headers.get('host', 'localhost')}"


def _fitting(value: str) -> str:
    """Return the value, or "" for one that a `<Parameter>` cannot hold: only a flag loses by that, not the caller."""
    return value if len(value) <= _LONGEST_PARAMETER and value.isprintable() else ""


def _overflow(settings: VoiceSettings) -> str:
    if settings.overflow_url:
        return twiml.redirect(settings.overflow_url)
    words = APOLOGIES.get(settings.language.partition("-")[0].lower(), APOLOGIES[""])
    return twiml.apology(settings.language, words)


def _xml(text: str) -> Response:
    return Response(text, media_type="text/xml")
