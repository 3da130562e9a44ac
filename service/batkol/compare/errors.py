"""Errors of a recognizer in one sample, and over many: counts that add up, and the rates made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Self

import msgspec

from batkol.compare.alignment import PairKind, WordPair, align
from batkol.compare.character_distance import character_distance
from batkol.compare.compared_word import ComparedWord
from batkol.compare.normalisation import words


class ErrorCounts(msgspec.Struct, frozen=True, kw_only=True):
    """`words` and `characters` are those that were said. `prefix` errors are among the `wrong` ones."""

    words: int = 0
    wrong: int = 0
    prefix: int = 0
    missing: int = 0
    extra: int = 0
    characters: int = 0
    character_errors: int = 0

    @property
    def errors(self) -> int:
        """Errors of all kinds."""
        return self.wrong + self.missing + self.extra

    @property
    def word_error_rate(self) -> float:
        """Errors by words that were said; 0 where nothing was said and nothing heard."""
        return self.errors / max(1, self.words)

    @property
    def without_prefixes(self) -> float:
        """The same rate without the errors that are only in a prefix."""
        return (self.errors - self.prefix) / max(1, self.words)

    @property
    def character_error_rate(self) -> float:
        """Changed, missing and extra characters by those that were said, spaces among them."""
        return self.character_errors / max(1, self.characters)

    def __add__(self, other: Self) -> Self:
        mine, others = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        return type(self)(**{name: mine[name] + others[name] for name in mine})


class Scored(msgspec.Struct, frozen=True):
    """A sample as one recognizer heard it: its counts, and word by word."""

    counts: ErrorCounts
    pairs: Sequence[WordPair]


def score(said: str, heard: str) -> Scored:
    """Compare what was heard with what was said."""
    reference, hypothesis = words(said), words(heard)
    pairs = align(reference, hypothesis)
    kinds = Counter(pair.kind for pair in pairs)
    plain = _plain(reference)
    return Scored(
        ErrorCounts(
            words=len(reference),
            wrong=kinds[PairKind.WRONG] + kinds[PairKind.PREFIX],
            prefix=kinds[PairKind.PREFIX],
            missing=kinds[PairKind.MISSING],
            extra=kinds[PairKind.EXTRA],
            characters=len(plain),
            character_errors=character_distance(plain, _plain(hypothesis)),
        ),
        pairs,
    )


def _plain(compared: Sequence[ComparedWord]) -> str:
    return " ".join(word.normal for word in compared)
