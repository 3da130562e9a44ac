"""Words at a seam between two RPCs: which are one and the same, and where exactly the seam is."""

from __future__ import annotations

from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.speech.results import Word
from batkol.speech.sameness import same

SEAM: Final = SAMPLE_RATE // 4
"""Within 250 ms of the watermark a word's time does not show a repeat: recognizers give it in steps of 100 ms."""


def are_one(word: Word, other: Word) -> bool:
    """Whether two RPCs mean the same word. One of them may have returned the word without its length."""
    sure = word.start < word.end and other.start < other.end
    return same(word.text, other.text) and abs(word.place - other.place) <= (SEAM if sure else 2 * SEAM)


def before(limit: int, words: tuple[Word, ...], end: int) -> tuple[tuple[Word, ...], int, bool]:
    """Return the words that lie before the seam, where exactly it is, and whether there are words behind it.

    It is between two words, not in one: half-way between their places, not their times, which lie end to end, with a
    pause in one of them.
    """
    count = next((number for number, word in enumerate(words) if word.place >= limit), len(words))
    kept = words[:count]
    if count == len(words):
        return kept, max(min(end, limit), kept[-1].end if kept else 0), False
    first = words[count]
    return kept, (kept[-1].place + first.place) // 2 if kept else min(limit, first.onset), True
