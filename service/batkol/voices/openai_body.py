"""The body of an answer to `/v1/audio/speech`: bytes cut anywhere in, mu-law out. Pure but for its resampler."""

from __future__ import annotations

from typing import Final

from batkol.voices.resample import PhoneStream
from batkol.voices.voice import VoiceError
from batkol.voices.wav_header import WavError, begins_wav, read_header

RATE: Final = 24_000
"""Hz of `response_format=pcm` at OpenAI: 16 bits, little endian, one channel, no header."""

_CONTAINERS: Final = (b"ID3", b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b'{"', b"<!", b"<h")
"""Beginnings of other content than samples: MP3, Ogg, FLAC, WebM, JSON, HTML. As samples they are loud, and no voice
begins loud."""
_EAGER: Final = 9600
"""Bytes of samples that are converted as they come: 200 ms, until there is sound to play while more comes."""
_GATHERED: Final = 4800
"""Bytes that are gathered after that: 100 ms. Chunks of 20 ms cost twice the CPU."""
_TELLING: Final = 4  # bytes that tell a container from samples


class SpeechBody:
    """Converts one body, of at most `largest_s` seconds of sound. `feed` and `finish` raise `VoiceError`.

    `eager`: nothing sounds so far, so the beginning is converted as it comes.
    """

    def __init__(self, largest_s: float, *, eager: bool = True) -> None:
        self._left = int(largest_s * 8000)
        self._begun: bytes | None = b""  # None: the kind is known
        self._eager = eager
        self._stream = PhoneStream(RATE, early=eager)
        self._samples_left: int | None = None  # bytes, if a header says so
        self._gathered = bytearray()  # samples that wait to be converted together
        self._fed = 0 if eager else _EAGER
        self.empty = True
        """Whether no sound came yet."""

    def feed(self, body: bytes) -> bytes:
        """Take the next bytes of the body."""
        if self._begun is not None:
            self._begun += body
            body = self._after_header(self._begun)
        if self._samples_left is not None:
            body = body[: self._samples_left]
            self._samples_left -= len(body)
        self._gathered += body
        if self._fed >= _EAGER and len(self._gathered) < _GATHERED:
            return b""
        return self._counted(self._convert())

    def _convert(self) -> bytes:
        gathered, self._gathered = bytes(self._gathered), bytearray()
        self._fed += len(gathered)
        return self._stream.feed(gathered) if gathered else b""

    def finish(self) -> bytes:
        """Return the rest. An answer without any sound is an error."""
        if self._begun:
            if begins_wav(self._begun):
                raise _malformed("its WAV header is cut off")
            self._gathered += self._begun  # too few to have become a header
        rest = self._counted(self._convert() + self._stream.finish())
        if self.empty:
            raise VoiceError("the voice answered without any sound", reason="empty", retryable=True)
        return rest

    def _after_header(self, begun: bytes) -> bytes:
        """Return the samples that came so far; `_begun` is None from then on."""
        if len(begun) < _TELLING:
            return b""
        if begun.startswith(_CONTAINERS):
            raise _malformed("it is not PCM; set a server that knows response_format=pcm")
        wav = begins_wav(begun)
        if wav is None:
            return b""
        if wav:
            try:
                header = read_header(begun)
            except WavError as error:
                raise _malformed(f"it is a WAV file that cannot be played: {error}") from None
            if header is None:
                return b""
            self._stream = PhoneStream(header.rate, early=self._eager)
            self._samples_left = header.length
            begun = begun[header.size :]
        self._begun = None
        return begun

    def _counted(self, sound: bytes) -> bytes:
        self._left -= len(sound)
        self.empty = self.empty and not sound
        if self._left < 0:
            raise VoiceError("the voice's answer is longer than the limit", reason="too_long", retryable=False)
        return sound


def _malformed(why: str) -> VoiceError:
    return VoiceError(f"the voice's answer is not usable: {why}", reason="malformed", retryable=False)
