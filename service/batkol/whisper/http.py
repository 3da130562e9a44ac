"""Whisper behind a URL: any server with OpenAI's `POST /v1/audio/transcriptions`."""

from __future__ import annotations

from typing import Final

import httpx
import msgspec

from batkol.errors import UpstreamError
from batkol.whisper.wav import wav

_TOO_MANY: Final = 429


class _Answer(msgspec.Struct):
    text: str


_DECODER: Final = msgspec.json.Decoder(_Answer)


class WhisperServer:
    """`url` is the server's base (`http://whisper:8000`); `language` is ISO 639-1, as Whisper wants it."""

    def __init__(self, *, url: str, model: str, language: str, api_key: str, timeout: float) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout)
        self._form = {"model": model, "language": language, "response_format": "json"}

    async def recognize(self, audio: bytes) -> str:
        """Return what was said in these mu-law samples, "" for nothing.

        Raises `UpstreamError`. Cancelling it gives the request up; the audio stays the caller's.
        """
        files = {"file": ("utterance.wav", wav(audio), "audio/wav")}
        try:
            answer = await self._client.post("/v1/audio/transcriptions", data=self._form, files=files)
        except httpx.TimeoutException as error:
            raise UpstreamError("Whisper did not answer in time", reason="deadline", retryable=True) from error
        except httpx.DecodingError:
            raise _malformed() from None
        except httpx.TransportError as error:
            raise UpstreamError("Whisper cannot be reached", reason="unavailable", retryable=True) from error
        if answer.is_error:
            retryable = answer.is_server_error or answer.status_code == _TOO_MANY
            raise UpstreamError(f"Whisper answered HTTP {answer.status_code}", reason="http_error", retryable=retryable)
        return _text(answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _text(answer: httpx.Response) -> str:
    try:
        return _DECODER.decode(answer.content).text.strip()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _malformed() from None


def _malformed() -> UpstreamError:
    """Raise it `from None`: the cause may quote the body, and with it the transcript."""
    return UpstreamError("Whisper answered something that is not its JSON", reason="malformed", retryable=False)
