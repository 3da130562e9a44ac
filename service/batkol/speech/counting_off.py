"""Words that a recognizer without word times heard of an utterance for which another recognizer has answered.

They are the words at the beginning of its text, or a stretch of it, that differ least from the known text: by the
fewest words added, missing or other (Levenshtein's distance). Where two recognizers agree, that is exact. Between
counts that are equally good, the most words that are the same decide, and then the length of the known text:
recognizers mishear words more often than they leave them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from batkol.speech.sameness import spoken

MOST_COMPARED: Final = 64
"""Words of a known text that are compared; of a longer one no more than the number is known."""

_MOST_SEARCHED: Final = 128  # words in which a stretch is looked for

# A match is one number, as tuples take ten times as long: its cost, less its words that are the same, and then
# the place where it begins.
_COST: Final = 1 << 20
_SAME: Final = 1 << 8


def count_off(known: Sequence[str], words: Sequence[str], expected: int) -> int:
    """Return how many words at the beginning of `words` are the known ones, or the end of these.

    `expected` is how many there should be, by the audio; of counts that are equally good, the nearest one is returned.
    """
    same = _same_beginning(known, words)
    rest, others = known[same:], words[same:]
    if not rest or not others or len(rest) > MOST_COMPARED:
        return min(len(words), same if not rest else max(same, expected))
    others = others[: 2 * len(rest)]
    ends = enumerate(_matches(rest, others, [count * _COST for count in range(len(others) + 1)]))
    return same + min((match, abs(same + count - expected), count) for count, match in ends)[-1]


def find(known: Sequence[str], words: Sequence[str]) -> tuple[int, int]:
    """Return the stretch of `words` that is the known ones; (0, 0) where more than half of those would differ."""
    if not known or len(known) > MOST_COMPARED:
        return 0, 0
    words = words[:_MOST_SEARCHED]
    ends = enumerate(_matches(known, words, list(range(len(words) + 1))))
    best, _, begin, end = min(
        (match - match % _SAME, abs(end - match % _SAME - len(known)), match % _SAME, end) for end, match in ends
    )
    cost = -(-best // _COST)
    return (begin, end) if 2 * cost <= len(known) else (0, 0)


def _same_beginning(known: Sequence[str], words: Sequence[str]) -> int:
    pairs = enumerate(zip(known, words, strict=False))
    most = min(len(known), len(words))
    return next((at for at, (one, other) in pairs if spoken(one) != spoken(other)), most)


def _matches(known: Sequence[str], words: Sequence[str], first: list[int]) -> list[int]:
    """Return for each end in `words` the best way to have all of `known` end there, from a first row."""
    said = [spoken(word) for word in words]
    row = first
    for word in known:
        wanted = spoken(word)
        above, added = row, row[0] + _COST
        row = [added]
        for place, other in enumerate(said, 1):
            both = above[place - 1] + (-_SAME if wanted == other else _COST)
            missing = above[place] + _COST
            added = min(both, missing, added + _COST)
            row.append(added)
    return row
