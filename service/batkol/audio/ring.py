"""The last stretch of a call's mu-law, addressed by absolute sample index.

Index 0 is the first sample of the call and an index never changes its meaning, so the VAD, every recognizer
stream and the fallback each keep a cursor of their own and never share a queue.
"""

from __future__ import annotations

from batkol.audio import mulaw

_TRIM_SLACK = 8000  # samples: trim a second at a time, so that appending stays one memcpy


class Ring:
    """Mu-law bytes [start, end). The oldest go when more than `capacity` samples are held.

    One byte is one sample. Memory is what is held, at most `capacity` + one second.
    """

    __slots__ = ("_bytes", "_capacity", "end", "start")

    def __init__(self, *, capacity: int) -> None:
        if capacity <= 0:
            raise ValueError(f"a ring holds at least one sample, not {capacity}")
        self._bytes = bytearray()
        self._capacity = capacity
        self.start = 0
        self.end = 0

    def append(self, audio: bytes | bytearray | memoryview) -> None:
        """Add the call's next samples."""
        self._bytes += audio
        self.end += len(audio)
        if self.end - self.start > self._capacity + _TRIM_SLACK:
            self.release(self.end - self._capacity)

    def release(self, before: int) -> None:
        """Forget the samples before `before`: no reader needs them again."""
        drop = min(before, self.end) - self.start
        if drop > 0:
            del self._bytes[:drop]
            self.start += drop

    def read(self, start: int, end: int) -> bytes:
        """Return the mu-law of [start, end).

        What was released already comes back as silence, so that the length, and with it audio time, stays true.
        Raises `IndexError` for samples that have not been heard yet.
        """
        if not 0 <= start <= end <= self.end:
            raise IndexError(f"[{start}, {end}) is beyond the {self.end} samples received so far")
        if start >= self.start:
            return bytes(self._bytes[start - self.start : end - self.start])
        lost = min(end, self.start) - start
        return mulaw.silence(lost) + bytes(self._bytes[: max(0, end - self.start)])
