"""Cuts a call's audio into the messages a recognizer is sent.

Measured in audio, not by a clock: a batch is due when STT_BATCH_MS of audio are there, and earlier only when the
caller pauses or an utterance ends. There is no time-out in it, so a gap on the network is never taken for the end of a
call.
"""

from __future__ import annotations

from batkol.audio.mulaw import SAMPLES_PER_MS

Span = tuple[int, int]
"""[start, end) in absolute samples."""


class Batcher:
    """Turns "audio is there up to sample N" into spans of one batch each, without a gap or an overlap."""

    __slots__ = ("_size", "cursor")

    def __init__(self, *, start: int, batch_ms: int) -> None:
        self.cursor = start
        self._size = _samples(batch_ms)

    @property
    def due(self) -> int:
        """The sample that completes the next batch."""
        return self.cursor + self._size

    def tune(self, batch_ms: int) -> None:
        """Change the batch length; it holds from the next batch on."""
        self._size = _samples(batch_ms)

    def advance(self, end: int) -> list[Span]:
        """Return the whole batches that audio up to `end` completes: usually none, sometimes one."""
        spans = []
        while end - self.cursor >= self._size:
            spans.append((self.cursor, self.cursor + self._size))
            self.cursor += self._size
        return spans

    def flush(self, end: int) -> list[Span]:
        """Return all that is left up to `end`, the last batch being as short as it is."""
        spans = self.advance(end)
        if end > self.cursor:
            spans.append((self.cursor, end))
            self.cursor = end
        return spans


def _samples(batch_ms: int) -> int:
    if batch_ms <= 0:
        raise ValueError(f"a batch needs at least 1 ms of audio, not {batch_ms}")
    return batch_ms * SAMPLES_PER_MS
