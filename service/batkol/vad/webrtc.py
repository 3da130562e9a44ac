"""WebRTC's VAD: a Gaussian mixture over six bands, fixed point, a few microseconds a window and no model
file.

It separates sound from line noise rather than speech from sound (docs/vad.md has the figures): for machines
where the CPU counts for more than false starts do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import webrtcvad

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.vad.engine import EngineName, SlotPool

WINDOW: Final = 160
"""20 ms, one Twilio frame. The detector takes 10, 20 or 30 ms (webrtc:
common_audio/vad/include/webrtc_vad.h).
"""
AGGRESSIVENESS: Final = 2
"""0 (all that may be speech) to 3 (only what surely is)."""

_WIDTH = 2  # bytes of a sample of LINEAR16


class WebRtcEngine:
    """`VadEngine` over one small C object per call. Scores are 0 or 1: it makes no finer statement."""

    __slots__ = ("_aggressiveness", "_calls", "_pool")

    def __init__(self, *, aggressiveness: int = AGGRESSIVENESS) -> None:
        self._aggressiveness = aggressiveness
        self._pool = SlotPool()
        self._calls: dict[int, webrtcvad.Vad] = {}

    @property
    def name(self) -> EngineName:
        return EngineName.WEBRTC

    @property
    def window(self) -> int:
        return WINDOW

    def open(self) -> int:
        slot = self._pool.acquire()
        self._calls[slot] = webrtcvad.Vad(self._aggressiveness)
        return slot

    def close(self, slot: int) -> None:
        self._pool.give_back(slot)
        del self._calls[slot]

    def score(self, slots: Sequence[int], sounds: Sequence[bytes]) -> list[list[float]]:
        """Return 0.0 or 1.0 of each window. The C object takes one at a time, so there is a loop; not over samples."""
        return [self._of(self._calls[slot], sound) for slot, sound in zip(slots, sounds, strict=True)]

    @staticmethod
    def _of(call: webrtcvad.Vad, sound: bytes) -> list[float]:
        pcm = mulaw.decode_to_bytes(sound)
        return [
            float(call.is_speech(pcm[at : at + WINDOW * _WIDTH], SAMPLE_RATE, WINDOW))
            for at in range(0, len(pcm), WINDOW * _WIDTH)
        ]
