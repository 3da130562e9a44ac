"""Whisper in this process, by faster-whisper (the `[whisper]` extra), on a thread of its own."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from batkol.audio import mulaw
from batkol.audio.wav import wav_file
from batkol.errors import ConfigurationError, UpstreamError


class LocalWhisper:
    """`model` is a folder with a CTranslate2 model, or a name that faster-whisper knows and has in its cache."""

    def __init__(self, *, model: str, language: str) -> None:
        self._language = language
        self._model = _load(model)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="whisper")

    async def recognize(self, audio: bytes) -> str:
        """Return the transcript of these mu-law samples, "" if no word was recognized.

        Raises `UpstreamError`. Cancelling it lets the thread finish and drops its answer.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._transcribe, wav_file(mulaw.decode_to_bytes(audio)))
        except (RuntimeError, ValueError) as error:
            raise UpstreamError(
                f"Whisper failed in process ({type(error).__name__})", reason="client", retryable=False
            ) from error

    async def close(self) -> None:
        """Let the thread go after what it is doing."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _transcribe(self, file: bytes) -> str:
        segments, _ = self._model.transcribe(io.BytesIO(file), language=self._language, beam_size=1)
        return "".join(segment.text for segment in segments).strip()


def _load(model: str) -> Any:
    try:
        from faster_whisper import WhisperModel  # noqa: PLC0415  the extra is optional
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "WHISPER_MODEL selects Whisper in process, which is not installed; run pip install '.[whisper]' in "
            "Batkol's folder, or set WHISPER_URL to a server"
        ) from error
    try:
        return WhisperModel(model, device="cpu", compute_type="int8")
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigurationError(f"the Whisper model {model!r} cannot be loaded: {error}") from error
