"""The streams of each call, as the double wrote them down: how long each lived, how one took over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.simulators.google.stats import StreamRecord
from batkol.voices.marked.voice import SpokenWord

_HEARD_WITHIN_S: Final = 2.0
"""From the end of a word to its being heard: a batch, the double's block, and a busy machine."""

_EDGE_S: Final = 0.1  # by which a word's last sample may be sent before its time
_TAKEN_UP_S: Final = 0.05
"""What comes first on one connection the double may take up last: it has a task for each stream."""

_EARLY_S: Final = 0.5  # clocks are read in three processes, a timer apart from the stream it is about


@dataclass(frozen=True, slots=True)
class Window:
    """When a stream is to be replaced, in seconds of its life, and when Google ends it."""

    after_s: float
    by_s: float
    limit_s: float

    @property
    def latest_s(self) -> float:
        """A forced replacement begins at `by_s`; opening its stream takes a moment more."""
        return min(self.by_s + 5.0, self.limit_s)


@dataclass(frozen=True, slots=True)
class Rotation:
    """One stream taking over from another."""

    at: float  # monotonic seconds: when the old one was half-closed, or ended without
    old_lived_s: float  # by then
    overlap_s: float  # in which both were open before that; negative: a gap
    forced: bool
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spoken:
    """What tells a call's streams from those of the others: what was said when."""

    began: float  # monotonic seconds of the call's first sample
    words: Sequence[SpokenWord]


def by_call(records: Sequence[StreamRecord], calls: Mapping[str, Spoken]) -> dict[str, list[StreamRecord]]:
    """Give each stream to the call most of whose words it heard; in doubt, to the one it comes in handy for."""
    said: dict[str, list[tuple[float, str]]] = defaultdict(list)  # by word: when, and by whom
    for sid, spoken in calls.items():
        for word in spoken.words:
            said[word.text].append((spoken.began + word.end / SAMPLE_RATE, sid))
    streams: dict[str, list[StreamRecord]] = {sid: [] for sid in calls}
    for record in sorted(records, key=lambda record: record.opened_at):
        votes = Counter(
            sid
            for word in record.words
            for at, sid in said.get(word.text, ())
            if -_EDGE_S <= word.at - at <= _HEARD_WITHIN_S
        )
        wanted = {sid: _over(own[-1]) if own else calls[sid].began for sid, own in streams.items()}
        claims = {sid: (votes[sid], -abs(at - record.opened_at)) for sid, at in wanted.items()}
        streams[max(claims, key=claims.__getitem__)].append(record)
    return streams


def rotations(streams: Sequence[StreamRecord], window: Window) -> list[Rotation]:
    """Judge how each stream of one call took over from the one before it."""
    return [_rotation(old, new, window) for old, new in pairwise(streams)]


def _rotation(old: StreamRecord, new: StreamRecord, window: Window) -> Rotation:
    over = _over(old)
    lived, overlap = over - old.opened_at, over - new.opened_at
    faults = []
    if not window.after_s - _EARLY_S <= lived <= window.latest_s:
        faults.append(f"replaced after {lived:.1f} s")
    if overlap < -_TAKEN_UP_S:
        faults.append(f"opened {-overlap:.2f} s after the old one was over")
    if old.ending != "OK":
        faults.append(f"the old one ended with {old.ending or 'nothing'}")
    return Rotation(over, lived, overlap, lived >= window.by_s - _EARLY_S, tuple(faults))


def _over(record: StreamRecord) -> float:
    """When a stream stopped listening."""
    ends = [at for at in (record.half_closed_at, record.ended_at) if at is not None]
    return min(ends, default=float("inf"))
