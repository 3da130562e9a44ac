"""A voice activity detector that takes loudness for speech: exact, where a network is only sure."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import numpy as np

from batkol.audio import mulaw
from batkol.vad.engine import EngineName, SlotPool

LOUD: Final = mulaw.encode(np.full(8000, 8000, np.int16))
"""A second of what it takes for speech."""


class LevelEngine:
    """Takes loudness for speech, 32 ms at a time; can be held up and broken."""

    name = EngineName.SILERO
    window = 256

    def __init__(self) -> None:
        self.pool = SlotPool()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.broken = False
        self.threads: set[str] = set()
        self.slots_out = 0

    def open(self) -> int:
        self.slots_out += 1
        return self.pool.acquire()

    def close(self, slot: int) -> None:
        self.slots_out -= 1
        self.pool.give_back(slot)

    def score(self, slots: Sequence[int], sounds: Sequence[bytes]) -> list[list[float]]:
        self.threads.add(threading.current_thread().name)
        self.may_go_on.wait(30)
        if self.broken:
            raise RuntimeError("the graphics card is on fire")
        return [
            [float(window.max() > 1000) for window in mulaw.decode(sound).reshape(-1, self.window)] for sound in sounds
        ]
