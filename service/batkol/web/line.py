"""The line of a live call over HTTP: an agent of the user's own speaks to the caller, and silences what is said.

What is accepted is said in its turn; the events `reply.*` with the `reply_id` of the answer say how that ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Depends, HTTPException, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.calls.call import Call
from batkol.calls.registry import CallRegistry
from batkol.calls.telephone import NoTelephoneError, Telephone, UnknownLabelError
from batkol.conversation.announcements import Announcements, LineClosedError, LineFullError
from batkol.conversation.conversation import Conversation
from batkol.conversation.inputs import EndAsked
from batkol.conversation.limit_settings import LONGEST_LABEL
from batkol.conversation.reply import LONGEST_S
from batkol.voices.wav import WavTooLongError, to_phone
from batkol.voices.wav_header import WavError, begins_wav
from batkol.web.access import Access, Right, guard
from batkol.web.errors import ErrorMappingRoute
from batkol.web.schemas import PROBLEM
from batkol.web.scope import Scope

LONGEST_TEXT: Final = 2000
"""Characters of one `say`: about two and a half minutes."""

LARGEST_SOUND: Final = 2 << 20
"""Bytes of the body of one `play`."""

LONGEST_MARK: Final = 256

_WAV: Final = frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"})
_MULAW: Final = "audio/basic"
_CLOSING: Final = "The call takes nothing more to say: it is about to end, or its conversation has ended by a defect."

CallSid = Annotated[str, Path(max_length=64, examples=["CA5f0e8d3c2b1a49788796a5b4c3d2e1f0"])]
InterruptQuery = Annotated[
    bool, Query(description="Say it now: what is said or prepared is ended, and what waits is dropped.")
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TEXT)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SayIn(_Body):
    """A text for the caller."""

    text: Text = Field(description="Spoken by the configured voice.")
    interrupt: bool = Field(False, description="The same as `?interrupt=true`.")


class MarkIn(_Body):
    """A mark."""

    name: str = Field(min_length=1, max_length=LONGEST_MARK, description="The `name` of the event `mark`.")


class Accepted(BaseModel):
    """An announcement that will be said in its turn."""

    reply_id: str = Field(description="The `reply_id` of its events. One `reply.ended` or `reply.failed` is the last.")


class MarkAccepted(BaseModel):
    """A mark that is on its way."""

    name: str


class LineCleared(BaseModel):
    """A line that is silent."""

    heard_ms: int = Field(description="Milliseconds that the caller heard of what was said; 0 if nothing was.")


class HangUpIn(_Body):
    """The end of a call."""

    goodbye: bool = Field(True, description="Whether the agent says its goodbye before. A bot of your own has none.")


class TransferIn(_Body):
    """A transfer."""

    label: str = Field(min_length=1, max_length=LONGEST_LABEL, description="A label of TRANSFER_ALLOWED.")


class EndAccepted(BaseModel):
    """An end of the call that follows what is said."""

    action: Literal["hangup", "transfer"]


def _problem(description: str) -> dict[str, Any]:
    return {**PROBLEM, "description": description}


_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: _problem("The request has no valid token."),
    403: _problem("The token does not have the right `line`."),
    404: _problem("There is no live call with this SID."),
    409: _problem("The call is about to end."),
    422: _problem("The body or a parameter is not valid; `detail` says why."),
}
_FULL: Final[dict[int | str, dict[str, Any]]] = {429: _problem("Too many announcements or marks of this call wait.")}
_ABSENT: Final[dict[int | str, dict[str, Any]]] = {
    501: _problem("Nothing is configured that could do this, or the call is not Twilio's; `detail` says what to do.")
}
_SOUND: Final[dict[int | str, dict[str, Any]]] = {
    413: _problem("The sound is too large."),
    415: _problem("The body is of another type than `audio/wav` and `audio/basic`."),
}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_PLAYED: Final = {"requestBody": {"required": True, "content": {"audio/wav": _BINARY, _MULAW: _BINARY}}}


def routes(*, calls: CallRegistry, telephone: Telephone, access: Access) -> APIRouter:
    """Return the routes under /v1/calls/{sid} that drive the line."""
    router = APIRouter(
        prefix="/v1/calls/{call_sid}",
        tags=["line"],
        route_class=ErrorMappingRoute,
        responses=_REFUSALS,
        dependencies=[Depends(guard(access, Right.LINE)), Depends(_scope)],
    )
    _speech(router, calls)
    _control(router, calls)
    _telephone(router, calls, telephone)
    return router


def _speech(router: APIRouter, calls: CallRegistry) -> None:
    @router.post("/say", status_code=202, responses=_FULL)
    async def say(call_sid: CallSid, said: SayIn, *, interrupt: InterruptQuery = False) -> Accepted:
        """Say a text behind what is said."""
        line = _line(calls, call_sid)
        return Accepted(reply_id=_accepted(lambda: line.say(said.text, urgent=interrupt or said.interrupt)))

    @router.post("/play", status_code=202, responses={**_FULL, **_SOUND}, openapi_extra=_PLAYED)
    async def play(
        call_sid: CallSid,
        request: Request,
        *,
        text: Annotated[str, Query(max_length=LONGEST_TEXT, description="The words of the sound, for history.")] = "",
        interrupt: InterruptQuery = False,
    ) -> Accepted:
        """Play a sound behind what is said."""
        _line(calls, call_sid)  # before the body is read and converted
        mulaw = await _sound(request)
        line = _line(calls, call_sid)
        return Accepted(reply_id=_accepted(lambda: line.play(mulaw, text, urgent=interrupt)))


def _control(router: APIRouter, calls: CallRegistry) -> None:
    @router.post("/clear")
    async def clear(call_sid: CallSid) -> LineCleared:
        """Silence the line at once, and drop what waits."""
        conversation = _conversation(_live(calls, call_sid))
        try:
            return LineCleared(heard_ms=conversation.clear())
        except LineClosedError:
            raise HTTPException(409, _CLOSING) from None

    @router.post("/mark", status_code=202, responses=_FULL)
    async def mark(call_sid: CallSid, asked: MarkIn) -> MarkAccepted:
        """Send a mark behind all that was accepted so far. The event `mark` says that it was played, or dropped."""
        line = _line(calls, call_sid)
        try:
            line.mark(asked.name)
        except LineFullError as error:
            raise HTTPException(429, f"The mark is refused: {error}. Wait for some of their events `mark`.") from None
        return MarkAccepted(name=asked.name)


def _telephone(router: APIRouter, calls: CallRegistry, telephone: Telephone) -> None:
    @router.post("/hangup", status_code=202)
    async def hang_up(call_sid: CallSid, asked: Annotated[HangUpIn | None, Body()] = None) -> EndAccepted:
        """End the call when what is said is over. The event `call.ended` says that it has ended."""
        _end(calls, call_sid, EndAsked(goodbye=asked is None or asked.goodbye))
        return EndAccepted(action="hangup")

    @router.post("/transfer", status_code=202, responses=_ABSENT)
    async def transfer(call_sid: CallSid, asked: TransferIn) -> EndAccepted:
        """Transfer the caller when what is said is over. A transfer that Twilio refuses leaves the call here."""
        _line(calls, call_sid)
        try:
            telephone.of(_live(calls, call_sid).identity).check(asked.label)
        except NoTelephoneError as error:
            raise HTTPException(501, str(error)) from None
        except UnknownLabelError as error:
            raise HTTPException(422, str(error)) from None
        _end(calls, call_sid, EndAsked(transfer=asked.label))
        return EndAccepted(action="transfer")


def _end(calls: CallRegistry, call_sid: str, asked: EndAsked) -> None:
    try:
        _conversation(_live(calls, call_sid)).end(asked)
    except LineClosedError:
        raise HTTPException(409, _CLOSING) from None


def _scope(scope: Scope = "pod") -> None:
    """Take the parameter: the fleet's own routes take a request that says `fleet` before it comes here."""


def _live(calls: CallRegistry, call_sid: str) -> Call:
    call = calls.get(call_sid)
    if call is None:
        raise HTTPException(404, "There is no live call with this SID here.")
    if call.ended_by:
        raise HTTPException(409, _CLOSING)
    return call


def _conversation(call: Call) -> Conversation:
    if call.conversation is None:
        raise HTTPException(501, "This service has no voice.")
    return call.conversation


def _line(calls: CallRegistry, call_sid: str) -> Announcements:
    try:
        return _conversation(_live(calls, call_sid)).open_line
    except LineClosedError:
        raise HTTPException(409, _CLOSING) from None


def _accepted(accept: Callable[[], str]) -> str:
    try:
        return accept()
    except LineFullError as error:
        raise HTTPException(
            429, f"The announcement is refused: {error}. Wait for `reply.ended`, or ask with `interrupt`."
        ) from None


async def _sound(request: Request) -> bytes:
    """Return the body as mu-law at 8 kHz. Raises `HTTPException`."""
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    rate = parameters.replace(" ", "").lower().removeprefix("rate=")
    if kind not in _WAV and (kind != _MULAW or rate not in {"", str(SAMPLE_RATE)}):
        raise HTTPException(
            415,
            "The body must be `audio/wav`, or `audio/basic`: mu-law, 8000 Hz, one channel, without a header. Name the "
            "type in Content-Type.",
        )
    body = await request.body()
    if len(body) > LARGEST_SOUND:
        raise HTTPException(413, f"The sound has more than {LARGEST_SOUND >> 20} MiB; send it in parts.")
    return _checked(body) if kind == _MULAW else await _converted(body)


def _checked(body: bytes) -> bytes:
    if begins_wav(body):
        raise HTTPException(422, "The body is a WAV file; send it as `audio/wav`. As `audio/basic` it would be noise.")
    if not body:
        raise HTTPException(422, "The body is empty: there is no sound to play.")
    if len(body) > LONGEST_S * SAMPLE_RATE:
        raise HTTPException(413, f"The sound lasts longer than {LONGEST_S:.0f} s; send it in parts.")
    return body


async def _converted(body: bytes) -> bytes:
    try:
        return await asyncio.to_thread(to_phone, body, longest_s=LONGEST_S)
    except WavTooLongError as error:
        raise HTTPException(413, f"The sound is too long: {error}. Send it in parts.") from None
    except WavError as error:
        raise HTTPException(422, f"The file cannot be played: {error}.") from None
