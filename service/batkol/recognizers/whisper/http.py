"""Whisper behind a URL: any server with OpenAI's `POST /v1/audio/transcriptions`."""

from __future__ import annotations

from typing import Final

import httpx
import msgspec

from batkol.answers import UNREADABLE, AnswerError, exchange, no_cookies
from batkol.audio import mulaw
from batkol.audio.wav import wav_file
from batkol.errors import UpstreamError
from batkol.speech.results import MOST_CHARACTERS
from batkol.urls import without_login

LARGEST: Final = 256 * 1024
"""Bytes of an answer; a minute of speech is some 2 kB of text."""

_TOO_MANY: Final = 429

_RESTART: Final = "and restart."
_KEY: Final = f"The server refuses the key: set WHISPER_API_KEY to a valid one, {_RESTART}"
_PATH: Final = (
    "The server has no /v1/audio/transcriptions, or no such model: check WHISPER_URL, which ends before /v1, and "
    f"WHISPER_MODEL, which the server must have downloaded, {_RESTART}"
)
_REQUEST: Final = f"The server refuses the request: check WHISPER_MODEL and GCP_STT_LANGUAGE, {_RESTART}"
_REDIRECT: Final = f"A redirect is not followed: set WHISPER_URL to its target, {_RESTART}"
_REMEDIES: Final = {
    400: _REQUEST,
    401: _KEY,
    402: "The account has no credit left: add credit.",
    403: _KEY,
    404: _PATH,
    405: _PATH,
    413: "The server takes no minute of sound: raise its limit.",
    422: _REQUEST,
    429: "The account sends too many requests: raise its limits.",
}
"""The remedies by status."""


class _Answer(msgspec.Struct):
    text: str


_DECODER: Final = msgspec.json.Decoder(_Answer)


class WhisperServer:
    """`url` is the server's base (`http://whisper:8000`); `language` is ISO 639-1, as Whisper wants it.

    `timeout` is for all of an answer, in seconds. An answer is neither compressed nor longer than `LARGEST`: a server
    that drips, floods or inflates costs one utterance, and no call its memory. A user and password in the URL go into
    the Authorization header, in the place of `api_key`.
    """

    def __init__(self, *, url: str, model: str, language: str, api_key: str, timeout: float) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        base, login = without_login(url)
        self._client = httpx.AsyncClient(
            base_url=base, auth=login, headers=headers, timeout=timeout, cookies=no_cookies()
        )
        self._timeout = timeout
        self._form = {"model": model, "language": language, "response_format": "json"}

    async def recognize(self, audio: bytes) -> str:
        """Return the transcript of these mu-law samples, "" if no word was recognized.

        Raises `UpstreamError`. Cancelling it gives the request up; the audio stays the caller's.
        """
        files = {"file": ("utterance.wav", wav_file(mulaw.decode_to_bytes(audio)), "audio/wav")}
        try:
            answer = await exchange(
                self._client,
                "POST",
                "/v1/audio/transcriptions",
                within_s=self._timeout,
                largest=LARGEST,
                data=self._form,
                files=files,
            )
        except AnswerError as error:
            _check_status(error.status)
            raise _malformed(str(error)) from None
        except (httpx.TimeoutException, TimeoutError) as error:
            raise UpstreamError("Whisper did not answer in time", reason="deadline", retryable=True) from error
        except httpx.TransportError as error:
            raise UpstreamError(
                "Whisper cannot be reached",
                reason="unavailable",
                retryable=True,
                remedy="Check WHISPER_URL, and whether the server runs.",
            ) from error
        _check_status(answer.status)
        return _text(answer.body)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _check_status(status: int) -> None:
    if not 200 <= status < 300:
        retryable = status >= 500 or status == _TOO_MANY
        remedy = _REDIRECT if 300 <= status < 400 else _REMEDIES.get(status, "")
        raise UpstreamError(f"Whisper answered HTTP {status}", reason="http_error", retryable=retryable, remedy=remedy)


def _text(body: bytes) -> str:
    try:
        text = _DECODER.decode(body).text.strip()
    except UNREADABLE:
        raise _malformed() from None
    if len(text) > MOST_CHARACTERS:
        what = f"Whisper's text has more than {MOST_CHARACTERS} characters, which no minute of speech has"
        raise UpstreamError(what, reason="too_large", retryable=True)
    return text


def _malformed(why: str = "") -> UpstreamError:
    """Return an error to be raised `from None`: the cause may quote the body, and with it the transcript."""
    what = "Whisper's answer is not the expected JSON" + (f": {why}" if why else "")
    remedy = f"WHISPER_URL is no server with OpenAI's /v1/audio/transcriptions: correct it, {_RESTART}"
    return UpstreamError(what, reason="malformed", retryable=False, remedy=remedy)
