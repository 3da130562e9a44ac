"""A WAV file around an utterance, for recognizers that take files."""

from __future__ import annotations

import io
import wave

from batkol.audio import mulaw


def wav(audio: bytes) -> bytes:
    """Return 8 kHz mono 16-bit WAV with the samples of this mu-law."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(mulaw.SAMPLE_RATE)
        file.writeframes(mulaw.decode_to_bytes(audio))
    return out.getvalue()
