"""The sound of a session without the headers that may come with it. Pure.

The enum of encodings says that mu-law comes "with a WAV header", the response of a session that it is "headerless";
neither was seen on a phone. So a header is taken off wherever a message begins with one, and never played.
"""

from __future__ import annotations

from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.voices.voice import VoiceError
from batkol.voices.wav_header import MULAW, WavError, begins_wav, find_samples

_CONTAINERS: Final = (b"OggS", b"ID3", b"fLaC")


class SessionBody:
    """Messages of a session in, mu-law out. A header may come in several messages. Raises `VoiceError`."""

    def __init__(self) -> None:
        self._begun = b""  # may become a header
        self._empty = True

    def feed(self, content: bytes) -> bytes:
        """Take a message; return its samples. The length that a header announces is not believed."""
        begun = self._begun + content
        if self._empty and begun.startswith(_CONTAINERS):  # further on, three bytes may be samples
            raise _malformed("it is not mu-law, which was asked for")
        wav = begins_wav(begun) if begun.startswith(b"R") else False
        if wav is False or not begun:
            self._begun = b""
            self._empty = self._empty and not begun
            return begun
        self._begun = begun
        return self._after_header() if wav else b""

    def finish(self) -> bytes:
        """Return what did not become a header. Raises `VoiceError` for half a header."""
        rest, self._begun = self._begun, b""
        if rest and begins_wav(rest):
            raise _malformed("its WAV header is cut off")
        return rest

    def _after_header(self) -> bytes:
        try:
            found = find_samples(self._begun)
        except WavError as error:
            raise _malformed(f"it is a WAV file that cannot be played: {error}") from None
        if found is None:
            return b""
        form = found.form
        if (form.kind, form.channels, form.rate) != (MULAW, 1, SAMPLE_RATE):
            raise _malformed(f"it is a WAV file of {form}; mu-law at 8000 Hz was asked for")
        samples, self._begun = self._begun[found.size :], b""
        return samples


def _malformed(why: str) -> VoiceError:
    return VoiceError(f"Google's sound is not usable: {why}", reason="malformed", retryable=False)
