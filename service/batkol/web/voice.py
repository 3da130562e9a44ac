"""The HTTP endpoints that Twilio calls: the voice webhook, and the status callbacks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn

import structlog
from fastapi import APIRouter, HTTPException, Request, Response

from batkol.calls.continuation import Continuations
from batkol.calls.registry import AdmissionRefusal, CallRegistry
from batkol.events.identity import REHEARSAL
from batkol.events.recorder import Recorder
from batkol.telemetry.metrics import Metrics
from batkol.tracing import propagation
from batkol.twilio import handover, retry_url, token, twiml
from batkol.twilio.call_status import final_status
from batkol.twilio.signature import FORM_TYPE, LONGEST_FORM, MalformedForm, is_valid, looks_signed, parse_form
from batkol.web import stream_parameters as parameters
from batkol.web.log_limit import LogLimit

APOLOGIES: Final = {
    "he": "כל הקווים תפוסים כרגע. אנא התקשרו שוב בעוד כמה דקות.",
    "": "All lines are busy at the moment. Please call again in a few minutes.",
}
REFUSED: Final = {
    AdmissionRefusal.FULL: "[CALL] call refused: every place is taken; raise MAX_CALLS or run more pods",
    AdmissionRefusal.DRAINING: "[CALL] call refused: this pod is draining; the call is sent to another pod",
}
VOICE: Final = "/twilio/voice"
STATUS: Final = "/twilio/status"
STREAM_STATUS: Final = "/twilio/stream-status"

_WRONGLY_SIGNED: Final = (
    "The X-Twilio-Signature does not match; check PUBLIC_BASE_URL and the auth token (TWILIO_AUTH_TOKEN): both must be "
    "those with which Twilio, or the program in its place, signed this request."
)
_UNSIGNED: Final = (
    "The request has no X-Twilio-Signature, so it does not come from Twilio. A program that stands in for Twilio signs "
    "with the service's TWILIO_AUTH_TOKEN, as `batkol call --auth-token` does; check PUBLIC_BASE_URL and the auth "
    "token that it has."
)

log = structlog.get_logger()


async def _nowhere(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """Settings of the webhook. `auth_tokens` empty: signatures are not checked."""

    public_base_url: str  # "" in development: the request's own
    auth_tokens: Sequence[str]
    token_keys: Sequence[str]
    token_ttl_s: float
    agent: str
    language: str
    overflow_url: str
    hung_up_elsewhere: Callable[[str], Awaitable[bool]] = _nowhere
    """Whether another pod's agent has ended the call; asked where the call has had a stream before."""


class Webhooks:
    """The requests of Twilio, checked and answered."""

    def __init__(
        self,
        settings: VoiceSettings,
        calls: CallRegistry,
        metrics: Metrics,
        recorder: Recorder,
        continuations: Continuations | None,
    ) -> None:
        self._settings = settings
        self._continuations = continuations
        self._calls = calls
        self._recorder = recorder
        self._metrics = metrics
        self._lines = LogLimit()

    async def voice(self, request: Request) -> Response:
        """Answer a call: connect it to the media stream, send it to another pod, or play the apology."""
        form = await self._form(request)
        call_sid = form.get("CallSid", "")
        if not call_sid:
            raise HTTPException(400, "A voice webhook has a CallSid; this request has none.")
        propagation.tag_request(call_sid)
        if await self._is_over(request, call_sid):
            return _xml(twiml.hang_up())
        refusals = self._earlier_refusals(request, call_sid)
        stream, stream_name = self._stream(request, call_sid), secrets.token_hex(8)
        if not self._calls.reserve(call_sid, stream_name):
            return self._refuse_call(call_sid, refusals, self._again(request, call_sid, refusals, stream - 1))
        if stream > 1 and self._continuations is not None:
            self._continuations.expect(call_sid, stream - 1)
        again = self._again(request, call_sid, refusals, stream)
        if again is None:
            then = twiml.apologize(self._settings.language, _sorry(self._settings))
        else:
            then = twiml.hand_over(again, after_s=refusals)  # at once the first time: the caller may be speaking
        return _xml(
            self._connect(
                form, self._numbered(request, call_sid, stream), stream_name, _base(self._settings, request), then
            )
        )

    async def status(self, request: Request) -> None:
        """A call ended, on whichever pod: keep that, and free a place here that its stream never took.

        Twilio sends it once, to any pod; the call's own may be dead. The journal has it when Twilio gets its answer.
        """
        form = await self._form(request)
        propagation.tag_request(form.get("CallSid", ""))
        ended = final_status(form)
        if ended is not None:
            self._calls.forget(ended.call_sid)
            if form.get("Direction") != REHEARSAL:
                self._recorder.keep_status(ended, time.time())

    async def stream_status(self, request: Request) -> None:
        """The only place where the reason of a failed handshake reaches us."""
        form = await self._form(request)
        propagation.tag_request(form.get("CallSid", ""))
        if form.get("StreamEvent") == "stream-error":
            self._calls.forget_stream(form.get("CallSid", ""), form.get("StreamName", ""))
            log.error("[TWILIO] stream error reported", call_sid=form.get("CallSid"), err=form.get("StreamError", ""))

    async def _is_over(self, request: Request, call_sid: str) -> bool:
        """Whether the agent has ended this call, here or on another pod: closing its stream does not hang up."""
        if self._calls.hung_up(call_sid):
            return True
        if not retry_url.streams(_query(request)) or self._calls.get(call_sid) is not None:
            return False
        return await self._settings.hung_up_elsewhere(call_sid)

    def _earlier_refusals(self, request: Request, call_sid: str) -> int:
        """Return how often in a row this call was refused; a stream that carried audio was no refusal."""
        query = _query(request)
        refusals = retry_url.attempts(query, time.time())
        return 0 if refusals and self._calls.carried_audio(call_sid, retry_url.since(query)) else refusals

    def _stream(self, request: Request, call_sid: str) -> int:
        """Return the number of the call's next stream: after those of the URL, and after a stream that is here.

        A call that was moved by Twilio's REST API comes with a URL that counts none.
        """
        newest = self._calls.get(call_sid)
        return max(retry_url.streams(_query(request)), newest.identity.stream if newest else 0) + 1

    def _again(self, request: Request, call_sid: str, refusals: int, streams: int) -> str | None:
        """Return the URL for one more attempt of this call after `streams` streams, or None after `MAX_ATTEMPTS`."""
        if refusals >= retry_url.MAX_ATTEMPTS:
            return None
        url = f"{_base(self._settings, request)}{_path(request)}"
        greeted = handover.greeted_mark(self._settings.token_keys, call_sid) if streams else ""
        return retry_url.retry_url(url, _query(request), refusals + 1, time.time(), streams=streams, greeted=greeted)

    def _numbered(self, request: Request, call_sid: str, stream: int) -> dict[str, str]:
        """Return the parameters that say which stream of the call it is, and whether its caller has been greeted."""
        mark = retry_url.greeted(_query(request))
        is_genuine = handover.is_greeted_mark(self._settings.token_keys, call_sid, mark)
        return {parameters.STREAM: str(stream)} | ({parameters.GREETED: mark} if is_genuine else {})

    def _refuse_call(self, call_sid: str, refusals: int, again: str | None) -> Response:
        """Answer a call that gets no place. A draining pod is one of several: the next request finds another pod."""
        draining = self._calls.draining
        reason = AdmissionRefusal.DRAINING if draining else AdmissionRefusal.FULL
        self._metrics.refused.add(1, {"reason": reason.value})
        log.warning(REFUSED[reason], call_sid=call_sid, limit=self._calls.limit, round=refusals)
        if self._settings.overflow_url:
            return _xml(twiml.redirect(self._settings.overflow_url))
        if draining and again is not None:
            return _xml(twiml.redirect(again, after_s=refusals + 1))
        return _xml(twiml.apology(self._settings.language, _sorry(self._settings)))

    def _connect(self, form: dict[str, str], numbered: dict[str, str], stream_name: str, base: str, then: str) -> str:
        settings, call_sid, account_sid = self._settings, form["CallSid"], form.get("AccountSid", "")
        return twiml.connect_stream(
            url=twiml.stream_url(base),
            token=token.issue(settings.token_keys, call_sid, account_sid, time.time(), settings.token_ttl_s),
            name=stream_name,
            status_callback=f"{base}{STREAM_STATUS}",
            parameters={
                parameters.AGENT: settings.agent,
                parameters.FROM: parameters.fitting(form.get("From", "")),
                parameters.TO: parameters.fitting(form.get("To", "")),
                parameters.DIRECTION: parameters.fitting(form.get("Direction", "inbound")),
                **numbered,
                **propagation.seal_parameter(partial(token.seal_trace, settings.token_keys, call_sid)),
            },
            then=then,
        )

    async def _form(self, request: Request) -> dict[str, str]:
        """Read and check a request of Twilio's. Raises `HTTPException`: 400, 403, 413 or 415.

        Cheap checks come first: any client can send a form, and only Twilio can sign one.
        """
        given = request.headers.get("x-twilio-signature", "")
        if self._settings.auth_tokens and not looks_signed(given):
            self._refuse(request, _UNSIGNED if not given else _WRONGLY_SIGNED)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
            raise HTTPException(415, f"Twilio's requests are {FORM_TYPE}; set the webhook's method to POST.")
        body = await request.body()
        if len(body) > LONGEST_FORM:
            raise HTTPException(413, "This form is longer than Twilio's forms.")
        try:
            fields = parse_form(body)
        except MalformedForm as error:
            raise HTTPException(400, str(error)) from None
        tokens = self._settings.auth_tokens
        if tokens and not is_valid(tokens, _requested(self._settings, request), fields, given):
            self._refuse(request, _WRONGLY_SIGNED)
        return dict(fields)

    def _refuse(self, request: Request, why: str) -> NoReturn:
        """Refuse a request that Twilio did not sign. One log line a second: any client can cause it."""
        self._metrics.refused.add(1, {"reason": "signature"})
        left_out = self._lines.admit("signature", time.monotonic())
        if left_out is not None:
            log.warning(
                "[TWILIO] request refused: the signature does not match",
                path=request.scope["path"],  # `request.url` would put the Host header into the log
                remedy="check PUBLIC_BASE_URL and TWILIO_AUTH_TOKEN",
                lines_left_out=left_out,
            )
        raise HTTPException(403, why)


def routes(
    settings: VoiceSettings,
    calls: CallRegistry,
    metrics: Metrics,
    recorder: Recorder,
    continuations: Continuations | None = None,
) -> APIRouter:
    """Return the routes that Twilio requests."""
    webhooks = Webhooks(settings, calls, metrics, recorder, continuations)
    router = APIRouter()
    for end in ("", "/"):  # the same: what is signed is the URL as Twilio was given it, and a redirect loses the form
        router.add_api_route(f"{VOICE}{end}", webhooks.voice, methods=["POST"])
        router.add_api_route(f"{STATUS}{end}", webhooks.status, methods=["POST"], status_code=204)
        router.add_api_route(f"{STREAM_STATUS}{end}", webhooks.stream_status, methods=["POST"], status_code=204)
    return router


def _base(settings: VoiceSettings, request: Request) -> str:
    return settings.public_base_url or f"http://{request.headers.get('host', 'localhost')}"


def _requested(settings: VoiceSettings, request: Request) -> bytes:
    """Return the URL byte for byte: Twilio signs what it was given, and `request.url` believes the Host header."""
    query: bytes = request.scope["query_string"]
    path: bytes = request.scope["raw_path"]
    return _base(settings, request).encode() + path + (b"?" + query if query else b"")


def _path(request: Request) -> str:
    raw: bytes = request.scope["raw_path"]
    return raw.decode("latin-1")


def _query(request: Request) -> str:
    raw: bytes = request.scope["query_string"]
    return raw.decode("latin-1")  # the parser lets nothing but ASCII through


def _sorry(settings: VoiceSettings) -> str:
    return APOLOGIES.get(settings.language.partition("-")[0].lower(), APOLOGIES[""])


def _xml(text: str) -> Response:
    return Response(text, media_type="text/xml")
