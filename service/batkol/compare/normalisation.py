"""Texts as words that can be compared: what is written differently and said alike becomes the same.

Niqqud, cantillation, punctuation, geresh and gershayim are removed (`speech.sameness`), a maqaf or hyphen between words
separates them, final letters become ordinary ones, and numbers become digits (`compare.hebrew_numbers`). Two spellings
of a word (שתים, שתיים; אמא, אימא) stay two words, but for those of numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from batkol.compare.compared_word import ComparedWord
from batkol.compare.hebrew_numbers import folded, with_digits
from batkol.speech.sameness import spoken

PREFIXES: Final = "והבכלמש"
"""The letters that Hebrew attaches to the front of a word."""

_DASHES: Final = "\u05be\u2010\u2011\u2012\u2013\u2014-"
_GROUPED: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_DIGIT_GROUPS: Final = re.compile(rf"\d+(?:[{_DASHES}]\d+)+")
_PREFIXED: Final = re.compile(rf"(?<![^\W\d_])([{PREFIXES}]{{1,3}})[{_DASHES}](?=\d)")
_POINT: Final = re.compile(r"(?<=\d)\.(?=\d)")
_TELEPHONE: Final = 7
"""Digits from which groups that hyphens join are one number of a telephone, not a range."""

_KEPT_POINT: Final = "\ue000"  # of the private use area: no text has it, and no normalisation touches it


def words(text: str) -> list[ComparedWord]:
    """Return the words of a text in order."""
    plain = [
        ComparedWord(folded(piece.replace(_KEPT_POINT, ".")), shown)
        for chunk in text.split()
        for piece, shown in _pieces(chunk)
    ]
    return _read_out(with_digits(plain))


def _pieces(chunk: str) -> list[tuple[str, str]]:
    """Return the words of a text without spaces, each with what is shown of it."""
    text = _GROUPED.sub("", chunk.replace(_KEPT_POINT, ""))
    text = _DIGIT_GROUPS.sub(_joined, text)
    text = _PREFIXED.sub(r"\1", text).replace("%", " אחוז ")
    text = _POINT.sub(_KEPT_POINT, text)
    for dash in _DASHES:
        text = text.replace(dash, " ")
    pieces = spoken(text).split()
    return [(pieces[0], chunk)] if len(pieces) == 1 else [(piece, piece.replace(_KEPT_POINT, ".")) for piece in pieces]


def _joined(groups: re.Match[str]) -> str:
    """Return the digits of a telephone number as one number, and of a range as two."""
    digits = re.sub(r"\D", "", groups[0])
    return digits if digits.startswith("0") or len(digits) >= _TELEPHONE else re.sub(r"\D", " ", groups[0])


_LONG: Final = 5
"""Digits from which a number is compared digit by digit: it may be an amount, or digits that were read out."""

_READ_OUT: Final = 3
"""Single digits in a row that are read out."""


def _read_out(compared: Sequence[ComparedWord]) -> list[ComparedWord]:
    """Cut numbers that are read out digit by digit into their digits: it says nothing how they were grouped."""
    result: list[ComparedWord] = []
    run: list[ComparedWord] = []
    for word in compared:
        if word.normal.isdecimal():
            run.append(word)
            continue
        result += _digits(run)
        result.append(word)
        run = []
    return result + _digits(run)


def _digits(run: Sequence[ComparedWord]) -> list[ComparedWord]:
    if not _is_read_out([word.normal for word in run]):
        return list(run)
    return [word if len(word.normal) == 1 else ComparedWord(digit, digit) for word in run for digit in word.normal]


def _is_read_out(numbers: Sequence[str]) -> bool:
    """Whether numbers in a row are digits one by one: of a telephone, a card, a code."""
    if any(len(number) >= _LONG or (len(number) > 1 and number[0] == "0") for number in numbers):
        return True
    begins_with_0 = len(numbers) > 1 and numbers[0] == "0"
    return begins_with_0 or sum(len(number) == 1 for number in numbers) >= _READ_OUT
