"""Sameness of two texts: whether a recognizer that changed its text changed what was said.

Two results of the same speech differ in punctuation, in niqqud, in the signs for a geresh, in the width of letters and
in the spelling of joined words, and mean the same. Digits and words decide.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_WITHIN_WORDS: Final = frozenset("'’‘ʼ`´׳\"”“״")
"""Geresh, gershayim and what is typed for them: צ׳ק, צ'ק; צה״ל, צה"ל. They separate nothing."""

_UNSEEN: Final = frozenset(["Cf", "Cc", "Mn", "Me"])
"""Unicode's categories of format and control characters and of combining marks (niqqud, accents)."""

_GROUPED: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
"""A comma between thousands: 1,500 is 1500."""


def same(one: str, other: str) -> bool:
    """Whether two texts say the same."""
    return one == other or spoken(one) == spoken(other)


def spoken(text: str) -> str:
    """Return the text as it is compared: words and digits in lower case, one space between them.

    It applies Unicode's NFKC, and removes niqqud, geresh, gershayim and all punctuation. Symbols that are spoken (₪, %,
    +) stay. Text without a word gives "".
    """
    # Apart first and compatible then: a letter with its niqqud may be one character, and a wide one another's twin.
    apart = unicodedata.normalize("NFKD", text).casefold()
    plain = apart.translate(_KEPT)
    if "," in plain:
        plain = _GROUPED.sub("", plain).replace(",", " ")
    return " ".join(plain.split())


def _kept(character: str) -> str:
    if character in _WITHIN_WORDS:
        return ""
    category = unicodedata.category(character)
    if category == "Cc":
        return " "  # a line break or a tab separates words
    if category in _UNSEEN:
        return ""
    if character == ",":
        return character  # until the digits around it are known
    return " " if category.startswith(("P", "Z")) else character


class _Translation(dict[int, str]):
    """Table of what is kept of each character, by its number. It fills as characters occur, but for rare scripts."""

    def __missing__(self, number: int) -> str:
        kept = _kept(chr(number))
        if number < _REMEMBERED:
            self[number] = kept
        return kept


_REMEMBERED: Final = 0x3000
_KEPT: Final = _Translation()
