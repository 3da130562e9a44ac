"""The outcome of a comparison: each recognizer's errors, times and cost, and for each two of them who is better.

Rates are over the speech that every recognizer heard, so that one that fails on what is hard gains nothing by it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from typing import Final

import msgspec
import numpy as np

from batkol.compare.errors import ErrorCounts, Scored, score
from batkol.compare.hearing import Hearing
from batkol.compare.intervals import CONFIDENCE, GroupErrors, Interval, difference_interval, rate_interval
from batkol.compare.known_speech import KnownSpeech
from batkol.compare.prices import PublishedPrice

TIMES: Final = ("first_interims", "right", "settled", "finals", "forced")
"""The latencies of which quantiles are given, as `Latencies` has them."""


class HeardSpeech(msgspec.Struct, frozen=True):
    """A sound as all recognizers heard it, by their names."""

    speech: KnownSpeech
    hearings: Mapping[str, Hearing]
    scores: Mapping[str, Scored]

    @property
    def is_compared(self) -> bool:
        """Whether every recognizer heard it."""
        return all(hearing.fault is None for hearing in self.hearings.values())


class Quantiles(msgspec.Struct, frozen=True):
    """Median and 95th percentile in milliseconds, of so many times."""

    number: int
    p50: float
    p95: float


class RecognizerOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One recognizer's figures. Rates are shares of 1, an interval None where there are too few groups for one."""

    name: str
    counts: ErrorCounts
    word_error_rate: float
    word_interval: Interval | None
    without_prefixes: float
    character_error_rate: float
    character_interval: Interval | None
    without_an_error: int
    """Sounds without any error."""
    unfinished: int
    """Sounds whose text ended with an interim."""
    faults: Mapping[str, int]
    """Sounds that the recognizer did not hear whole, by the reason."""
    times: Mapping[str, Quantiles]
    heard_minutes: float
    cost: float | None
    """Dollars; None without a known price."""
    price: PublishedPrice | None


class Outcome(StrEnum):
    """Outcomes for two recognizers."""

    FIRST = "first"
    SECOND = "second"
    NOT_SHOWN = "no_difference_shown"
    TOO_LITTLE = "too_little"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Two recognizers on the same sounds. `difference` is the first one's word error rate less the second one's."""

    first: str
    second: str
    difference: float
    interval: Interval | None
    outcome: Outcome

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        match self.outcome:
            case Outcome.FIRST:
                return f"{self.first} is better than {self.second}."
            case Outcome.SECOND:
                return f"{self.second} is better than {self.first}."
            case Outcome.NOT_SHOWN:
                return f"No difference between {self.first} and {self.second} is shown."
            case Outcome.TOO_LITTLE:
                return f"Too little was compared to tell {self.first} from {self.second}."


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    recognizers: Sequence[RecognizerOutcome]
    differences: Sequence[Difference]
    speech: Sequence[HeardSpeech]
    confidence: float
    """Confidence of each interval of a difference; several pairs together have `CONFIDENCE`."""
    late_ms: float
    """The latest that this machine was with a frame of any sound."""
    planned: int
    """Sounds that were to be heard."""
    ended_early: str = ""
    """The reason why not all of them were, in a sentence; empty if they were."""

    @property
    def compared(self) -> Sequence[HeardSpeech]:
        """The sounds that count."""
        return [each for each in self.speech if each.is_compared]


def scored(speech: KnownSpeech, hearings: Mapping[str, Hearing]) -> HeardSpeech:
    """Return a sound with the errors of all who heard it."""
    return HeardSpeech(speech, hearings, {name: score(speech.said, each.text) for name, each in hearings.items()})


def compared(
    heard: Sequence[HeardSpeech],
    names: Sequence[str],
    prices: Mapping[str, PublishedPrice | None],
    *,
    seed: int,
    planned: int | None = None,
    ended_early: str = "",
) -> Comparison:
    """Return the outcome of a comparison. `planned`: the sounds that were to be heard, by default those that were."""
    common = [each for each in heard if each.is_compared]
    pairs = list(combinations(names, 2))
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(pairs))
    late = (hearing.late_ms for each in heard for hearing in each.hearings.values())
    return Comparison(
        recognizers=[_outcome(name, heard, common, prices[name], seed=seed) for name in names],
        differences=[_difference(*pair, common, seed=seed, confidence=confidence) for pair in pairs],
        speech=heard,
        confidence=confidence,
        late_ms=max(late, default=0.0),
        planned=len(heard) if planned is None else planned,
        ended_early=ended_early,
    )


def _outcome(
    name: str, heard: Sequence[HeardSpeech], common: Sequence[HeardSpeech], price: PublishedPrice | None, *, seed: int
) -> RecognizerOutcome:
    hearings = [each.hearings[name] for each in heard]
    counts = sum((each.scores[name].counts for each in common), ErrorCounts())
    groups = _groups(name, common)
    characters = [GroupErrors(group.character_errors, group.characters) for group in groups]
    minutes = sum(hearing.heard_s for hearing in hearings) / 60
    return RecognizerOutcome(
        name=name,
        counts=counts,
        word_error_rate=counts.word_error_rate,
        word_interval=rate_interval(_word_errors(groups), seed=seed),
        without_prefixes=counts.without_prefixes,
        character_error_rate=counts.character_error_rate,
        character_interval=rate_interval(characters, seed=seed),
        without_an_error=sum(not each.scores[name].counts.errors for each in common),
        unfinished=sum(each.hearings[name].unfinished for each in common),
        faults=dict(Counter(hearing.fault for hearing in hearings if hearing.fault is not None)),
        times=_times(each.hearings[name] for each in common),
        heard_minutes=minutes,
        cost=None if price is None else minutes * price.per_minute,
        price=price,
    )


def _groups(name: str, common: Sequence[HeardSpeech]) -> list[ErrorCounts]:
    """Return the errors of each call, in one order for all recognizers."""
    groups: defaultdict[str, ErrorCounts] = defaultdict(ErrorCounts)
    for each in common:
        groups[each.speech.group] += each.scores[name].counts
    return list(groups.values())


def _word_errors(groups: Iterable[ErrorCounts]) -> list[GroupErrors]:
    return [GroupErrors(group.errors, group.words) for group in groups]


def _difference(first: str, second: str, common: Sequence[HeardSpeech], *, seed: int, confidence: float) -> Difference:
    one, other = (_word_errors(_groups(name, common)) for name in (first, second))
    interval = difference_interval(one, other, seed=seed, confidence=confidence)
    words = max(1, sum(group.words for group in one))
    return Difference(
        first=first,
        second=second,
        difference=(sum(group.errors for group in one) - sum(group.errors for group in other)) / words,
        interval=interval,
        outcome=_told_apart(interval),
    )


def _told_apart(interval: Interval | None) -> Outcome:
    if interval is None:
        return Outcome.TOO_LITTLE
    if interval.high < 0:
        return Outcome.FIRST
    return Outcome.SECOND if interval.low > 0 else Outcome.NOT_SHOWN


def _times(hearings: Iterable[Hearing]) -> Mapping[str, Quantiles]:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for hearing in hearings:
        times = hearing.latencies
        found["first_interims"] += times.first_interims
        found["finals"] += times.finals
        for name in ("right", "settled", "forced"):
            found[name] += [] if (value := getattr(times, name)) is None else [value]
    return {name: Quantiles(len(found[name]), *_quantiles(found[name])) for name in TIMES if found[name]}


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    p50, p95 = np.quantile(values, [0.5, 0.95])
    return float(p50), float(p95)
