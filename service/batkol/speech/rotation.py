"""The moment and the sample at which one RPC hands a call over to the next.

Google ends every stream at 305 s, even while the caller speaks. So from `after` seconds on the RPC is replaced at the
first opportunity: in silence, or right behind a final; at `by` seconds it is replaced wherever the caller stands. The
clock decides, never a response: a caller who is silent gets none.

The new RPC begins a little before the place where the old one's word ends to count, so that a word at the seam is
heard whole by one of them; `speech.timeline` keeps it once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS

OVERLAP: Final = 250 * SAMPLES_PER_MS
"""Samples before a final's end in which the new RPC may begin: that end is good to about 100 ms."""

UNSURE: Final = 500 * SAMPLES_PER_MS
"""The latest silence may be speech already that no detector has made out yet: the seam lies before it."""

SETTLED_S: Final = 0.5
"""Seconds of silence before it is used: the seam and its overlap then lie in silence."""

LAP: Final = SAMPLE_RATE
"""In mid-speech the old one hears a second beyond the seam, longer than most words, and the new one …"""

HALF_LAP: Final = LAP // 2
"""… begins half a second to a second and a quarter before it."""

FRESH: Final = 5 * SAMPLE_RATE
"""A final further back than this is no place to hand over: too much would be heard twice."""

_MARGIN_S: Final = 10.0
"""Seconds before an announced end at which the RPC is replaced in any case: to open the next one takes five at most."""

_FIRST_RETRY: Final = 1.0  # seconds after an attempt that failed; doubled each time
_LONGEST_RETRY: Final = 4.0


class Why(StrEnum):
    """Occasions for a hand-over."""

    SILENCE = "silence"
    FINAL = "final"
    FORCED = "forced"
    CHOSEN = "chosen"  # the call changes to another recognizer


class Cut(NamedTuple):
    """A hand-over: the old RPC speaks for the samples before `limit`, the new one hears from `base` on.

    Better than at `base` it begins at a quiet spot up to `slack` samples before: half a word makes nonsense. From
    `quiet_from` to `limit` there is no speech; None: there may be.
    """

    why: Why
    limit: int
    base: int
    slack: int
    quiet_from: int | None = None


class CallPosition(NamedTuple):
    """The state of the call. `end` and `watermark` in absolute samples."""

    end: int  # audio there is
    watermark: int  # the end of the last committed final that was reported
    quiet_since: float | None  # when silence began; None while the caller speaks
    committed: bool  # a final has just been committed
    timed: bool  # finals come with word times
    spoken_to: int | None = None  # the last sample of speech, while the caller is silent


def cut_here(why: Why, now: float, position: CallPosition) -> Cut:
    """Return a hand-over where the caller stands, in silence or in mid-speech."""
    if position.quiet_since is not None and now - position.quiet_since >= SETTLED_S:
        limit = max(position.watermark, position.end - UNSURE)
        return Cut(why, limit, limit, OVERLAP, position.spoken_to)
    limit = max(position.watermark, position.end - LAP)
    return Cut(why, limit, max(0, limit - HALF_LAP), LAP - HALF_LAP // 2)


class Rotation:
    """The rotation of one RPC that opened at `opened_at`. All times are seconds of one clock."""

    __slots__ = ("_by", "_not_before", "_retry")

    def __init__(self, *, opened_at: float, after: float, by: float) -> None:
        self._by = opened_at + by
        self._not_before = opened_at + after
        self._retry = _FIRST_RETRY

    def deadline(self, now: float, quiet_since: float | None) -> float | None:
        """Return when to decide again without a report of silence or a final; None: only at the next report."""
        due = [self._not_before, self._by]
        if quiet_since is not None:
            due.append(max(self._not_before, quiet_since + SETTLED_S))
        return min((moment for moment in due if moment > now), default=None)

    def may(self, now: float) -> bool:
        """Whether a good moment would be taken now."""
        return now >= self._not_before

    def cut(self, now: float, position: CallPosition) -> Cut | None:
        """Return the hand-over if this is the moment for one."""
        if now < self._not_before:
            return None
        end, watermark = position.end, position.watermark
        if position.quiet_since is not None and now - position.quiet_since >= SETTLED_S:
            return cut_here(Why.SILENCE, now, position)
        if position.committed and end - watermark <= FRESH:
            return Cut(Why.FINAL, watermark, watermark, OVERLAP if position.timed else 0)
        return cut_here(Why.FORCED, now, position) if now >= self._by else None

    def hurry(self, now: float, within: float) -> None:
        """The RPC will be ended within so many seconds, before its time: replace it from now on, well before that."""
        self._not_before = min(self._not_before, now)
        self._by = min(self._by, now + max(0.0, within - _MARGIN_S))

    def failed(self, now: float) -> None:
        """The next RPC could not be opened: leave the old one alone for a moment."""
        self._not_before = now + self._retry
        self._retry = min(2 * self._retry, _LONGEST_RETRY)
