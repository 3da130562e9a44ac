"""The clock of a caller who hears nothing: when the filler is due, and when the apology is. Pure.

The thresholds count at the caller's ear, so both are due a little earlier here: the detector knows the end of speech
late (docs/vad.md), a phrase takes a moment to be written, and the network takes its time in both directions.
"""

from __future__ import annotations

from typing import Final

from batkol.conversation.timers import Timer, Timers
from batkol.speech.turn_thresholds import TurnThresholds

DETECTOR_S: Final = 0.16
"""Seconds by which the detector's last sample of speech is later than the caller's: 0.10 mostly, 0.14 at the 95th
percentile of a quiet line."""
WRITING_S: Final = 0.04
"""Seconds from a due time to the first sound: the grid of the line and a frame."""
FARTHEST_S: Final = 0.1
"""Seconds of the network that are made up for. With more, a filler would come before most answers can."""

_LOOKS_S: Final = 1.0
"""Seconds, at least, from one look at an answer that waits in the line to the next."""

_ANSWER_FIRST_S: Final = 0.06
"""Seconds by which a turn is committed before the filler: an answer that is ready is written first."""


class SilenceClock:
    """The timers FILLER and APOLOGY of one conversation. Times in seconds of the turn's clock."""

    __slots__ = ("_since", "_timers", "path_s")

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._since = 0.0
        self.path_s = 0.0
        """Seconds that the network takes there and back, as measured; at most `FARTHEST_S` of them count."""

    def start(self, since: float, thresholds: TurnThresholds, *, now: float = 0.0, arrived: float = 0.0) -> None:
        """The caller hears nothing since then, and waits: a filler, then an apology, unless a reply sounds.

        Media that stood still has `arrived` later. So the filler may be too late `now`: it comes at once, and the
        apology as long behind it as usual, but put off by no more than the media was late.
        """
        self._since = since
        filler, apology = self._due(thresholds.filler_ms), self._due(thresholds.apology_ms)
        behind = min(max(filler, now) + thresholds.patience_s, apology + arrived - since)
        self._timers.set(Timer.FILLER, filler)
        self._timers.set(Timer.APOLOGY, max(apology, behind))

    def bring_back(self, since: float, thresholds: TurnThresholds, *, now: float, arrived: float) -> None:
        """The caller was silent earlier than was known at the start: since then. A filler that was said stays said."""
        if self.running and not self.filler_said and since < self._since:
            self.start(since, thresholds, now=now, arrived=arrived)

    def wait_for_line(self, timer: Timer, now: float, threshold_ms: int) -> None:
        """The answer waits in the line, though the timer is due: look again later."""
        self._timers.set(timer, now + max(threshold_ms / 1000, _LOOKS_S))

    def go_on(self, now: float, until: float, thresholds: TurnThresholds) -> None:
        """Something is said in the place of the apology, which is due `until` then, or earlier: the next one."""
        self._timers.set(Timer.APOLOGY, min(until, now + thresholds.apology_ms / 1000))

    def bring_forward(self, patient_until: float, thresholds: TurnThresholds) -> None:
        """The waiting has an end by then, though not before the apology's time: a filler may have put it off."""
        due = self._timers.due(Timer.APOLOGY)
        if due is not None:
            self._timers.set(Timer.APOLOGY, min(due, max(patient_until, self._due(thresholds.apology_ms))))

    def stop(self) -> None:
        """The caller hears something, or speaks."""
        self._timers.cancel(Timer.FILLER, Timer.APOLOGY)

    @property
    def due(self) -> tuple[float | None, float | None]:
        """The times at which both are due, for `restore`."""
        return self._timers.due(Timer.FILLER), self._timers.due(Timer.APOLOGY)

    def restore(self, due: tuple[float | None, float | None]) -> None:
        """Set both as they were, after all timers were cancelled."""
        for timer, at in zip((Timer.FILLER, Timer.APOLOGY), due, strict=True):
            if at is not None:
                self._timers.set(timer, at)

    @property
    def running(self) -> bool:
        return self._timers.is_set(Timer.APOLOGY)

    @property
    def filler_said(self) -> bool:
        """Whether the caller waits and has heard the filler, and not yet the apology."""
        return self.running and not self._timers.is_set(Timer.FILLER)

    @property
    def last_commit(self) -> float | None:
        """The latest time to commit a turn with an answer that is to come before the filler; None once that is said."""
        filler = self._timers.due(Timer.FILLER)
        return None if filler is None else filler - _ANSWER_FIRST_S

    def _due(self, threshold_ms: int) -> float:
        return self._since + threshold_ms / 1000 - DETECTOR_S - WRITING_S - min(self.path_s, FARTHEST_S)
