"""Measurements of one case of the benchmark."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from findings import Heard, Words

_BUCKET = re.compile(r'^batkol_audio_written_seconds_bucket\{.*?le="([^"]+)".*\} (\S+)', re.MULTILINE)


class Histogram(msgspec.Struct):
    """A Prometheus histogram: cumulative counts by upper bound, in seconds."""

    buckets: list[tuple[float, float]]

    @classmethod
    def read(cls, exposition: str) -> Histogram | None:
        found: dict[float, float] = {}
        for bound, count in _BUCKET.findall(exposition):  # of each recognizer
            found[float(bound)] = found.get(float(bound), 0) + float(count)
        return cls(sorted(found.items())) if found else None

    def since(self, before: Histogram) -> Histogram:
        return Histogram(
            [(bound, count - old) for (bound, count), (_, old) in zip(self.buckets, before.buckets, strict=True)]
        )

    def quantile_ms(self, share: float) -> float:
        """Return the upper bound of the bucket in which that share of the values is complete."""
        total = self.buckets[-1][1]
        return next((1000 * bound for bound, count in self.buckets if count >= share * total), float("inf"))


class Measured(msgspec.Struct):
    """One case: CPU by the operating system, and what the load and the recognizer found."""

    name: str
    kind: str
    calls: int
    ms_per_call_second: float
    seconds: float
    rss_before: int
    rss: int
    rss_after: int
    threads: int
    load_share: float  # of core 1 that the load and the recognizer took
    changes: dict[str, float]  # what was changed while calls were up -> seconds until it was in effect
    written: Histogram | None = None
    heard: Heard | None = None
    late_ms: float = 0.0
    duty: float = 0.0
    invalid: bool = False  # the load took more of its core than it can be trusted with

    @property
    def saturated(self) -> bool:
        """Whether the server's core was full."""
        return self.ms_per_call_second * self.calls > 950

    @classmethod
    def of_turns(cls, turns: Sequence[Measured]) -> Measured:
        """Return the turn of median cost, with the words of all of them."""
        ordered = sorted(turns, key=lambda turn: turn.ms_per_call_second)
        median = ordered[len(ordered) // 2]
        if median.heard is not None:
            words = [turn.heard.words for turn in turns if turn.heard is not None]
            median.heard.words = Words(*(sum(each) for each in zip(*map(msgspec.structs.astuple, words), strict=True)))
        return median
