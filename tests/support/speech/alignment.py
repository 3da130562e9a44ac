"""Where in a text somebody is who heard some of its words, and perhaps others."""

from __future__ import annotations

from collections.abc import Sequence


def words_played(intended: Sequence[str], heard: Sequence[str]) -> int:
    """Return how many of the intended words had been played when the last of the heard ones was.

    It is where the heard words fit best (fewest words missed, misheard or heard besides), and the furthest such place:
    a word that is misheard, or heard twice, moves none that follows.
    """
    fits = list(range(len(intended) + 1))  # by words of the reply: how badly those heard so far fit its first ones
    for count, word in enumerate(heard, 1):
        before, fits[0] = fits[0], count
        for at, meant in enumerate(intended, 1):
            before, fits[at] = fits[at], min(before + (word != meant), fits[at] + 1, fits[at - 1] + 1)
    return max(range(len(fits)), key=lambda at: (-fits[at], at))
