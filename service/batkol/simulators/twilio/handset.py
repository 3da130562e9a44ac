"""The person at the phone: says things, presses keys, hangs up, before the call or in the middle of it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from batkol.audio import mulaw
from batkol.quantity import quantity

FRAME: Final = 160
"""Samples in one media message: 20 ms at 8000 Hz."""


@dataclass(frozen=True, slots=True)
class SpokenPiece:
    """The place of a piece of sound: samples of the stream's audio time, and the times (monotonic seconds)."""

    begins: int  # absolute index of its first sample
    ends: int  # one past its last
    begun_at: float
    ended_at: float


@dataclass(slots=True)
class _Sound:
    samples: bytes
    done: asyncio.Future[SpokenPiece]
    taken: int = 0
    begins: int = -1
    begun_at: float = 0.0


@dataclass(slots=True)
class Handset:
    """Sound and keys that wait for their turn on the line. Use it from the call's event loop."""

    keys: deque[str] = field(default_factory=deque)
    hung_up: bool = False
    ended_by_rest: bool = False  # Twilio ended the call, in whatever way its plan would
    held: bool = False  # kept open by a script, though no sound is queued
    line: int = 0  # counts the call's moves: a stream that began on an earlier one is no longer spoken into
    _sounds: deque[_Sound] = field(default_factory=deque)

    @property
    def silent(self) -> bool:
        """Whether no sound is queued."""
        return not self._sounds

    def say(self, samples: bytes) -> asyncio.Future[SpokenPiece]:
        """Queue mu-law samples behind what is being said; the future resolves when the last one has gone out.

        It need not be awaited. Cancelling it does not take the sound back. It is cancelled if the call ends
        first.
        """
        done: asyncio.Future[SpokenPiece] = asyncio.get_running_loop().create_future()
        if self.hung_up:
            done.cancel()
        elif samples:
            self._sounds.append(_Sound(samples, done))
        else:
            done.set_result(SpokenPiece(0, 0, 0.0, 0.0))
        return done

    def next_frame(self, position: int, now: float) -> bytes | None:
        """Return the next 20 ms, for the stream's sample `position`; None where all of it is silence."""
        if not self._sounds:
            return None
        frame = b""
        # Mostly one turn; a second one where a sound ends within these 20 ms and the next one follows on.
        while self._sounds and len(frame) < FRAME:
            sound = self._sounds[0]
            if sound.begins < 0:
                sound.begins, sound.begun_at = position + len(frame), now
            piece = sound.samples[sound.taken : sound.taken + FRAME - len(frame)]
            sound.taken += len(piece)
            frame += piece
            if sound.taken == len(sound.samples):
                self._sounds.popleft()
                if not sound.done.done():
                    sound.done.set_result(SpokenPiece(sound.begins, position + len(frame), sound.begun_at, now))
        return frame.ljust(FRAME, bytes([mulaw.SILENCE]))

    def put_down(self) -> None:
        """Put the phone down: queued sound is discarded."""
        self.hung_up = True
        while self._sounds:
            self._sounds.popleft().done.cancel()


def read_wav(path: str | Path) -> bytes:
    """Return the mu-law samples of a mono WAV file at 8000 Hz, 16-bit PCM or mu-law.

    Raises `ValueError` for any other, with the command that converts it. Nothing is resampled here: a poor
    resampler would be heard by the recognizer, and blamed on it.
    """
    chunks = _riff_chunks(Path(path).read_bytes())
    form, sound = chunks.get(b"fmt ", b""), chunks.get(b"data")
    if len(form) < 16 or sound is None:
        raise ValueError(f"{path} is not a WAV file: it has no format or no data chunk.")
    coding, channels = int.from_bytes(form[0:2], "little"), int.from_bytes(form[2:4], "little")
    rate, bits = int.from_bytes(form[4:8], "little"), int.from_bytes(form[14:16], "little")
    if coding == 0xFFFE and len(form) >= 26:  # WAVE_FORMAT_EXTENSIBLE: the coding is in the sub-format's GUID
        coding = int.from_bytes(form[24:26], "little")
    match (coding, channels, rate, bits):
        case (1, 1, mulaw.SAMPLE_RATE, 16):
            return mulaw.encode(np.frombuffer(sound[: len(sound) // 2 * 2], dtype="<i2").astype(np.int16))
        case (7, 1, mulaw.SAMPLE_RATE, 8):
            return sound
    raise ValueError(
        f"{path} is not mono at 8000 Hz in 16-bit PCM or mu-law (coding {coding}, {quantity(channels, 'channel')}, "
        f"{rate} Hz, {bits} bits). Convert it: sox {path} -r 8000 -c 1 -b 16 -e signed-integer phone.wav"
    )


def _riff_chunks(content: bytes) -> dict[bytes, bytes]:
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return {}
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(content):
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        chunks.setdefault(content[at : at + 4], content[at + 8 : at + 8 + length])
        at += 8 + length + length % 2  # chunks begin at even bytes
    return chunks
