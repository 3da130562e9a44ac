"""The interface of a voice activity detector: many calls' windows in, one probability each out.

A phone call needs 31 decisions a second and a neural network is cheapest in batches, so the interface is
a batch: the next windows of each of `n` calls. What the detector remembers of a call lies in its own arrays, in
the row (the *slot*) that `open` hands out, so that a batch is gathered and put back without a Python
loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class EngineName(StrEnum):
    """The detectors there are; docs/vad.md compares them."""

    SILERO = "silero"
    WEBRTC = "webrtc"


class VadEngine(Protocol):
    """A detector for many calls at once. It owns no thread: its caller calls from one thread at a time.

    `open` and `close` may replace the arrays that `score` works on: never call them while `score` runs.
    """

    @property
    def name(self) -> EngineName: ...

    @property
    def window(self) -> int:
        """Samples a decision is made on (8 kHz)."""
        ...

    def open(self) -> int:
        """Return a slot that has heard nothing yet."""
        ...

    def score(self, slots: Sequence[int], sounds: Sequence[bytes]) -> list[list[float]]:
        """Return the probability of speech, 0 to 1, of each slot's windows, and remember the windows.

        `sounds[i]` is the mu-law of the next windows of `slots[i]`, whole ones, any number; no slot comes twice. What
        a window scores depends on its own slot's past alone, not on its neighbours or on how its call's windows came.
        """
        ...

    def close(self, slot: int) -> None:
        """Take a slot back; it may be handed out again."""
        ...


class SlotPool:
    """Hands out row numbers, the lowest free one first, so that the arrays stay as small as the calls
    need.
    """

    __slots__ = ("_free", "_next")

    def __init__(self) -> None:
        self._free: list[int] = []
        self._next = 0

    def acquire(self) -> int:
        if self._free:
            self._free.sort(reverse=True)
            return self._free.pop()
        self._next += 1
        return self._next - 1

    def give_back(self, slot: int) -> None:
        """Raise `ValueError` for a slot that is not out: two calls would share one memory."""
        if not 0 <= slot < self._next or slot in self._free:
            raise ValueError(f"slot {slot} is not open")
        self._free.append(slot)
