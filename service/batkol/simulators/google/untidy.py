"""Interims that change their mind, as a recognizer's do: the profile `untidy` of the speech double.

Only the newest words are in doubt: those that would come as an unstable interim. Each interim is drawn anew, so what
one has wrong the next one may put right, or the other way round. The caller's silence changes nothing about that:
until the final comes, the same words are said again every now and then, up to a later time. Finals are not touched.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.simulators.google.settings import DoubleSettings
from batkol.voices.marked.voice import WORDS, SpokenWord

AGAIN_MS: Final = 200
"""Milliseconds of audio after which words that no final has settled are said again."""

REPLACED, JOINED, DROPPED, LATE = 0.10, 0.05, 0.10, 0.15
"""Shares of the interims to which that happens."""

LATENESS_S: Final = (0.05, 0.35)
"""Shortest and longest time, in seconds, by which a late interim comes later than the others."""


class Untidiness:
    """One per stream. `draw` is its source of chance."""

    __slots__ = ("_again", "_draw", "_stable_after")

    def __init__(self, settings: DoubleSettings, draw: random.Random) -> None:
        self._draw = draw
        self._stable_after = settings.stable_after_ms * SAMPLES_PER_MS
        self._again = AGAIN_MS * SAMPLES_PER_MS

    def says_again(self, since: int, position: int) -> bool:
        """Whether words that were last said at sample `since` are said again at `position`."""
        return position - since >= self._again

    def lateness_s(self) -> float:
        """Draw how much later than the others an interim comes, in seconds."""
        return self._draw.uniform(*LATENESS_S) if self._draw.random() < LATE else 0.0

    def change(self, words: Sequence[SpokenWord], position: int) -> tuple[SpokenWord, ...]:
        """Return the words of an interim at `position`, as they are understood this time. Never fewer than one."""
        words = tuple(words)
        if words[-1].end <= position - self._stable_after:
            return words
        chance = self._draw.random()
        if chance < REPLACED:
            return (*words[:-1], words[-1]._replace(text=self._another(words[-1].text)))
        shaky = len(words) > 1 and words[-2].end > position - self._stable_after
        if chance < REPLACED + JOINED and shaky:
            (before, last) = words[-2:]
            return (*words[:-2], SpokenWord(before.text + last.text, before.start, last.end))
        if REPLACED + JOINED <= chance < REPLACED + JOINED + DROPPED and len(words) > 1:
            return words[:-1]
        return words

    def _another(self, word: str) -> str:
        return self._draw.choice([other for other in WORDS if other != word])
