"""The caller's audio so far, against the clock: which sample was spoken when, and what a hold left out."""

from __future__ import annotations

import asyncio

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.audio.ring import Ring
from batkol.calls.limits import HELD, HOLD_S
from batkol.twilio.stream import MediaStream


class CallAudio:
    """One call's: the ring that its readers have in common, and what its stream has brought."""

    __slots__ = ("_accounted_to", "_loop", "_stream", "ring")

    def __init__(self, stream: MediaStream, loop: asyncio.AbstractEventLoop) -> None:
        self.ring = Ring(capacity=HELD)
        self._stream = stream
        self._loop = loop
        self._accounted_to = loop.time()  # the clock up to which audio, or silence in its place, is in the ring

    def append(self, audio: bytes) -> None:
        """Add what the caller said until now."""
        self.ring.append(audio)
        self._accounted_to = self._loop.time()

    def silence_of_hold(self, now: float) -> bytes:
        """Return the silence that is missing up to `now`; nothing, unless no media has come for so long."""
        missing_s = now - self._accounted_to
        return self._stream.fill(int(missing_s * SAMPLE_RATE)) if missing_s >= HOLD_S else b""

    def since(self, sample: int) -> float:
        """Seconds since the caller spoke that sample; the newest one in the ring was spoken just before it came."""
        return self._loop.time() - self._accounted_to + (self.ring.end - sample) / SAMPLE_RATE

    @property
    def ms(self) -> int:
        """Audio so far, silence for gaps included."""
        return self.ring.end // SAMPLES_PER_MS

    @property
    def gap_ms(self) -> int:
        """Silence put in for audio that never came."""
        return self._stream.counters.gap_ms
