"""Words that the speech double gets wrong, as many as it is asked for: for measures of errors.

Of so many words that all streams and requests heard, exactly that share is wrong: in turn one is another word, one is
missing, and one has another word behind it. Two words in a row of one stream are never both wrong, and the other words
are none that the built-in voice says, so that the fewest changes that put the text right are as many as the words that
are wrong: a word too many that is also the next one, and a word missing behind that, would be one wrong word together.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from batkol.voices.marked.voice import SpokenWord

OTHER_WORDS: Final = ("חלון", "שולחן", "ספר", "גשם", "כיסא", "דלת", "נעל", "ענן", "מפתח", "סולם", "ציפור", "מדרגה")
"""Words that are heard and were not said."""

_ROUNDING: Final = 1e-9
"""A tenth ten times is one."""


class Mishearing:
    """One per double. `share` is of 1."""

    def __init__(self, share: float, seed: int) -> None:
        self._share = share
        self._draw = random.Random(f"{seed}/misheard")
        self._words = 0
        self.count = 0
        """Words that were wrong so far."""

    def stream(self) -> StreamMishearing:
        """Return the mishearing of one stream or request."""
        return StreamMishearing(self)

    def next_is_wrong(self) -> bool:
        """Count a word; return whether as many are wrong as should be only if it is wrong, too."""
        self._words += 1
        return int(self._words * self._share + _ROUNDING) > self.count

    def wrong(self, word: SpokenWord) -> Sequence[SpokenWord]:
        """Return what is heard for a word that is misheard."""
        self.count += 1
        other = self._draw.choice(OTHER_WORDS)
        match self.count % 3:
            case 1:
                return (word._replace(text=other),)
            case 2:
                return ()
            case _:
                middle = (word.start + word.end) // 2
                return (word._replace(end=middle), SpokenWord(other, middle, word.end))


class StreamMishearing:
    """One per stream or request."""

    def __init__(self, mishearing: Mishearing) -> None:
        self._mishearing = mishearing
        self._was_wrong = False

    def change(self, words: Sequence[SpokenWord]) -> list[SpokenWord]:
        """Return the words as they are heard."""
        heard: list[SpokenWord] = []
        for word in words:
            self._was_wrong = self._mishearing.next_is_wrong() and not self._was_wrong
            heard += self._mishearing.wrong(word) if self._was_wrong else (word,)
        return heard
