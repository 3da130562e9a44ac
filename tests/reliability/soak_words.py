"""What became of a call's words: those said beside those that its record holds in the end.

Both are put side by side so that as many as possible agree (a longest common subsequence). A word said that agrees
with nothing is lost; one heard that agrees with nothing is doubled if it stands beside its twin, else it is somebody
else's, or nobody's. A word that agrees but stands in an utterance that was not on the air when it was said is
misattributed too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.simulators.client.call_record import CallWatch, words_of
from batkol.voices.marked.voice import SpokenWord

REACH_MS: Final = 1000
"""A word may lie this far outside its utterance: the detector's edges, and a cut in the middle of speech."""

_BESIDE: Final = 3  # words around a run of extra ones in which a twin makes it a repeat


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word of a call's record, and the utterance it stands in (ms of audio)."""

    text: str
    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Fate:
    """How many words were said, and what went wrong with how many."""

    said: int = 0
    heard: int = 0
    lost: int = 0
    doubled: int = 0
    misattributed: int = 0
    faults: tuple[str, ...] = ()
    """What each of these is, and where: for whoever has to find out why."""

    @property
    def whole(self) -> bool:
        return not (self.lost or self.doubled or self.misattributed)

    def __add__(self, other: Fate) -> Fate:
        return Fate(
            self.said + other.said,
            self.heard + other.heard,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.misattributed + other.misattributed,
            self.faults + other.faults,
        )


def record(watch: CallWatch) -> list[HeardWord]:
    """Return the words of a call's finals, as late finals corrected them, in the order of their speech."""
    closed = [(seen.final, seen.revised) for seen in watch.utterances.values() if seen.final is not None]
    return [
        HeardWord(word, final.begin_ms, final.end_ms)
        for final, revised in sorted(closed, key=lambda pair: (pair[0].begin_ms, pair[0].index))
        for word in words_of(final.text if revised is None else revised.text)
    ]


def fate(said: Sequence[SpokenWord], heard: Sequence[HeardWord]) -> Fate:
    """Account for every word. `said` is in samples of the call's audio time."""
    pairs = align([word.text for word in said], [word.text for word in heard])
    missing = set(range(len(said))) - {ours for ours, _ in pairs}
    lost = [f"lost: {said[place].text}, said at {_middle_ms(said[place]) / 1000:.1f} s" for place in sorted(missing)]
    strayed = [_told("astray", heard[theirs]) for ours, theirs in pairs if not _at_home(said[ours], heard[theirs])]
    doubled, foreign = [], []
    partner = {theirs: ours for ours, theirs in pairs}
    before = -1  # the last word said that has been heard
    for place, word in enumerate(heard):
        if place in partner:
            before = partner[place]
        elif any(near.text == word.text for near in said[max(0, before - _BESIDE + 1) : before + _BESIDE + 1]):
            doubled.append(_told("doubled", word))
        else:
            foreign.append(_told("not said there", word))
    faults = (*lost, *doubled, *foreign, *strayed)
    return Fate(len(said), len(heard), len(lost), len(doubled), len(strayed) + len(foreign), faults)


def _told(what: str, word: HeardWord) -> str:
    return f"{what}: {word.text}, in the utterance of {word.begin_ms / 1000:.1f} to {word.end_ms / 1000:.1f} s"


def _middle_ms(said: SpokenWord) -> int:
    return (said.start + said.end) // (2 * SAMPLES_PER_MS)


def _at_home(said: SpokenWord, heard: HeardWord) -> bool:
    return heard.begin_ms - REACH_MS <= _middle_ms(said) <= heard.end_ms + REACH_MS


def align(said: Sequence[str], heard: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of the words that agree, in order: a longest common subsequence."""
    head = 0
    while head < min(len(said), len(heard)) and said[head] == heard[head]:
        head += 1
    tail = 0
    while tail < min(len(said), len(heard)) - head and said[-1 - tail] == heard[-1 - tail]:
        tail += 1
    middle = _align(said[head : len(said) - tail], heard[head : len(heard) - tail])
    return [
        *((at, at) for at in range(head)),
        *((ours + head, theirs + head) for ours, theirs in middle),
        *((len(said) - at, len(heard) - at) for at in range(tail, 0, -1)),
    ]


def _align(said: Sequence[str], heard: Sequence[str]) -> list[tuple[int, int]]:
    best = [[0] * (len(heard) + 1) for _ in range(len(said) + 1)]  # of what is left from here on
    for ours in reversed(range(len(said))):
        row, below = best[ours], best[ours + 1]
        for theirs in reversed(range(len(heard))):
            agree = said[ours] == heard[theirs]
            row[theirs] = below[theirs + 1] + 1 if agree else max(below[theirs], row[theirs + 1])
    pairs: list[tuple[int, int]] = []
    ours = theirs = 0
    while ours < len(said) and theirs < len(heard):
        if said[ours] == heard[theirs]:
            pairs.append((ours, theirs))
            ours, theirs = ours + 1, theirs + 1
        elif best[ours + 1][theirs] >= best[ours][theirs + 1]:
            ours += 1
        else:
            theirs += 1
    return pairs
