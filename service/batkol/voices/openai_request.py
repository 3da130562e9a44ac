"""One request to a server with OpenAI's `POST /v1/audio/speech`: a piece of text in, mu-law as it comes out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import httpx
import msgspec

from batkol.answers import UNREADABLE, AnswerError, body, check_plain
from batkol.http_client.poster import Poster
from batkol.voices.limits import VoiceLimits
from batkol.voices.openai_body import SpeechBody
from batkol.voices.voice import VoiceError

LARGEST_ERROR: Final = 16 * 1024
"""Bytes of an error's body that are read; OpenAI's are below 1 kB."""

_OK: Final = 200
_AHEAD_S: Final = 0.2
"""Seconds of sound ahead of the ear with which the body is read now and then: what came meanwhile costs one wake."""
_LONGEST_HOLD_S: Final = 0.5
"""Most seconds between two such reads; they are half of what the sound is ahead."""
_RESCHEDULED_S: Final = 0.05  # so much earlier than `between_s` may silence end a request; a timer a chunk costs more
_SOUND: Final = ("audio/pcm", "audio/l16", "audio/raw", "audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")
_UNNAMED: Final = ("", "application/octet-stream", "binary/octet-stream")
_RETRYABLE_STATUS: Final = (408, 409, 425, 429)
_KEY: Final = ("unauthorized", "the server refuses the API key: set a valid one, with the right to this model")
_WHERE: Final = ("not_found", "the server has no such path or model: check the URL, which ends in /v1, and the model")
_REFUSALS: Final = {
    400: ("http_error", "the server refuses the request: check the model and the name of the voice"),
    401: _KEY,
    403: _KEY,
    404: _WHERE,
    405: _WHERE,
    408: ("deadline", ""),
    422: ("http_error", "the server refuses the request: check the model and the name of the voice"),
    429: ("rate_limited", "the account sends too many requests: raise its limits"),
}
"""By status: the word for metrics, and what to do."""
_NO_MONEY: Final = ("insufficient_quota", "billing_hard_limit_reached")


class _Error(msgspec.Struct):
    code: str | int | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error | None = None


_DECODER: Final = msgspec.json.Decoder(_ErrorBody)


class SoundSink(Protocol):
    """A taker of sound."""

    def add(self, sound: bytes) -> None: ...
    @property
    def ahead_s(self) -> float:
        """Seconds of sound that the line has, up to the end of this one, if it is played since it was there."""
        ...


async def request_speech(poster: Poster, asked: dict[str, Any], limits: VoiceLimits, sink: SoundSink, who: str) -> None:
    """Pass the sound to `sink` as it comes; return when it is whole. Raises `VoiceError`; `who` names the server.

    Cancelling it closes the connection at once.
    """
    loop = asyncio.get_running_loop()
    ends, rescheduled = loop.time() + limits.whole_s, -math.inf
    speech = SpeechBody(limits.sound_s, eager=sink.ahead_s < _AHEAD_S)
    try:
        async with asyncio.timeout_at(min(ends, loop.time() + limits.first_s)) as patience:
            async with _answered(poster, msgspec.json.encode(asked)) as response:
                await _check(response)
                async for chunk in response.aiter_raw():
                    sound = speech.feed(chunk)
                    if not speech.empty and (now := loop.time()) >= rescheduled + _RESCHEDULED_S:
                        rescheduled = now
                        patience.reschedule(min(ends, now + limits.between_s))
                    if sound:
                        sink.add(sound)
                    if (ahead_s := sink.ahead_s) > _AHEAD_S:
                        await asyncio.sleep(min(_LONGEST_HOLD_S, ahead_s / 2))
                sink.add(speech.finish())
    except (httpx.TimeoutException, TimeoutError) as error:
        raise VoiceError("the voice did not answer in time", reason="deadline", retryable=True) from error
    except httpx.TransportError as error:
        if speech.empty:
            raise unreachable(who) from error
        raise VoiceError("the voice broke off within its sound", reason="cut_off", retryable=True) from error
    except AnswerError as error:
        raise VoiceError(f"the voice cannot be used: {error}", reason="malformed", retryable=False) from None


@asynccontextmanager
async def _answered(poster: Poster, content: bytes) -> AsyncIterator[httpx.Response]:
    """Send the request, a second time if the connection broke before the answer: servers close idle connections."""
    try:
        response = await poster.post(content)
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        response = await poster.post(content)
    try:
        yield response
    finally:
        await response.aclose()


def unreachable(who: str) -> VoiceError:
    """Return the error for a server that does not answer at all."""
    remedy = "check its URL, and whether the server runs"
    return VoiceError(f"{who} cannot be reached; {remedy}", reason="unavailable", retryable=True, remedy=remedy)


async def _check(response: httpx.Response) -> None:
    if response.status_code != _OK:
        raise refusal(response.status_code, await _code(response))
    check_plain(response)
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in (*_SOUND, *_UNNAMED):
        message = "the voice's answer is neither PCM nor WAV; set a server that knows response_format=pcm"
        raise VoiceError(message, reason="malformed", retryable=False)


async def _code(response: httpx.Response) -> str:
    try:
        error = _DECODER.decode(await body(response, LARGEST_ERROR)).error
    except (AnswerError, *UNREADABLE):
        return ""  # the status says enough
    return str(error.code) if error else ""


def refusal(status: int, code: str = "") -> VoiceError:
    """Return the error of a status."""
    reason, remedy = _REFUSALS.get(status, ("http_error", ""))
    if 300 <= status < 400:
        reason, remedy = "redirect", "a redirect is not followed: set the URL that the server sends clients to"
    if code in _NO_MONEY:
        reason, remedy = "quota", "the account has no credit left: add credit, or raise its limit"
    retryable = reason != "quota" and (status >= 500 or status in _RETRYABLE_STATUS)
    message = f"the voice answered HTTP {status}; {remedy}" if remedy else f"the voice answered HTTP {status}"
    return VoiceError(message, reason=reason, retryable=retryable, remedy=remedy)
