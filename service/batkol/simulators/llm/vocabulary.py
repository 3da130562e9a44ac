"""The words that the double's own answers are made of: those that the marked voice can speak and be understood in."""

from __future__ import annotations

import random
import re
from functools import cache
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_MOST_REPEATED: Final = 6


@cache
def vocabulary() -> tuple[str, ...]:
    """Return the marked words. The first call loads the voice."""
    from batkol.voices.marked.voice import WORDS  # noqa: PLC0415 - numpy and the samples, for default answers only

    return WORDS


def echoing_answer(text: str, draw: random.Random) -> str:
    """Return three Hebrew sentences of marked words, the first with those that the text has."""
    words = vocabulary()
    known = frozenset(words)
    heard = [word for word in _WORD.findall(text) if word in known][:_MOST_REPEATED] or ["שלום"]
    others = [draw.choices(words, k=draw.randint(4, 6)) for _ in range(2)]
    return " ".join(f"{' '.join(sentence)}." for sentence in (heard, *others))
