"""Compares what was said with what was written down, word by word.

The words of a call are aligned with those of its record (as few words missing and added as can be). A word without
its counterpart is *lost*, one more than was said is *doubled*; a word that is there, but in another utterance than the
one it was spoken in, or in another call, is *misattributed*. Where the detector cuts utterances is its own affair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from batkol.simulators.voice.recognizer import GARBLE

SLACK_MS: Final = 300
"""A word at the edge of an utterance may be this much nearer to the next one: detectors are good to that."""


class Said(NamedTuple):
    """A word, and its place in the call's audio time. `whole` is false where only a piece of it may have arrived."""

    text: str
    begin_ms: float
    end_ms: float
    whole: bool = True


class Written(NamedTuple):
    """One utterance of the record."""

    begin_ms: float
    end_ms: float
    text: str


class Score(NamedTuple):
    """Counts of words, and the words themselves for whoever has to find out why."""

    sent: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    misattributed: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.misattributed)


class _Word(NamedTuple):
    text: str
    line: int


def score(said: Sequence[Said], record: Sequence[Written], others: Collection[str] = ()) -> Score:
    """Score one call. `others` are words that only other calls say."""
    lines = sorted(record, key=lambda line: (line.begin_ms, line.end_ms))
    got = [_Word(text, number) for number, line in enumerate(lines) for text in line.text.split()]
    pairs = _align(said, got, lines)
    matched_said, matched_got = {a for a, _ in pairs}, {b for _, b in pairs}
    missing = Counter(word.text for n, word in enumerate(said) if word.whole and n not in matched_said)
    added = Counter(word.text for n, word in enumerate(got) if n not in matched_got)
    elsewhere = missing & added
    strangers = Counter({text: count for text, count in added.items() if text in others})
    astray = [got[b].text for a, b in pairs if _astray(said[a], got[b].line, lines)]
    return Score(
        sent=sum(word.whole for word in said),
        lost=tuple((missing - elsewhere).elements()),
        doubled=tuple((added - elsewhere - strangers).elements()),
        misattributed=(*elsewhere.elements(), *(strangers - elsewhere).elements(), *astray),
    )


def _align(said: Sequence[Said], got: Sequence[_Word], lines: Sequence[Written]) -> list[tuple[int, int]]:
    """Return the pairs of the cheapest alignment: an error costs 1, and among equals time decides."""
    rows, columns = len(said) + 1, len(got) + 1
    cost = [[0.0] * columns for _ in range(rows)]
    for a in range(rows - 1, -1, -1):
        for b in range(columns - 1, -1, -1):
            ways = []
            if a < len(said):
                ways.append(cost[a + 1][b] + said[a].whole)
            if b < len(got):
                ways.append(cost[a][b + 1] + 1)
            if a < len(said) and b < len(got) and _same(said[a], got[b].text):
                ways.append(cost[a + 1][b + 1] + _far(said[a], lines[got[b].line]))
            cost[a][b] = min(ways, default=0.0)
    return _walk(said, got, lines, cost)


def _walk(
    said: Sequence[Said], got: Sequence[_Word], lines: Sequence[Written], cost: Sequence[Sequence[float]]
) -> list[tuple[int, int]]:
    pairs = []
    a = b = 0
    while a < len(said) and b < len(got):
        matched = cost[a + 1][b + 1] + _far(said[a], lines[got[b].line])
        if _same(said[a], got[b].text) and matched <= cost[a][b] + 1e-9:
            pairs.append((a, b))
            a, b = a + 1, b + 1
        elif cost[a + 1][b] + said[a].whole <= cost[a][b] + 1e-9:
            a += 1
        else:
            b += 1
    return pairs


def _same(said: Said, text: str) -> bool:
    if said.whole:
        return said.text == text
    return text == GARBLE or said.text.startswith(text)


def _far(said: Said, line: Written) -> float:
    """A tie-breaker, always far below 1."""
    return min(_distance(said, line), 1e6) / 1e9


def _distance(said: Said, line: Written) -> float:
    middle = (said.begin_ms + said.end_ms) / 2
    return max(0.0, line.begin_ms - middle, middle - line.end_ms)


def _astray(said: Said, line: int, lines: Sequence[Written]) -> bool:
    nearest = min(_distance(said, other) for other in lines)
    return _distance(said, lines[line]) - nearest > SLACK_MS
