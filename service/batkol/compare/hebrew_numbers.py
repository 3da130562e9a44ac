"""Hebrew number words as digits, where that is certain: "עשרים ושלוש" and "23" are the same number.

Both texts are treated alike, so a word that is a number here and none there (שבע, אחת) costs nothing. What could be two
numbers stays two: "עשרים שלוש" is 20 and 3. "שני" (two, second, Monday) and "שנים" (two, years) stay words, but in
"שנים עשר".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from batkol.compare.compared_word import ComparedWord

_FINAL: Final = str.maketrans("ךםןףץ", "כמנפצ")


def folded(word: str) -> str:
    """Return the word with ordinary letters in the place of final ones."""
    return word.translate(_FINAL)


def _table(*entries: tuple[int, str]) -> Mapping[str, int]:
    return {folded(word): value for value, spellings in entries for word in spellings.split()}


_UNITS: Final = _table(
    (0, "אפס"), (1, "אחת אחד"), (2, "שתיים שניים שתי"), (3, "שלוש שלושה"), (4, "ארבע ארבעה"), (5, "חמש חמישה"),
    (6, "שש שישה ששה"), (7, "שבע שבעה"), (8, "שמונה"), (9, "תשע תשעה"),
)  # fmt: skip
_TEN: Final = _table((10, "עשר עשרה"))
_TEEN_TWO: Final = _table((2, "שתים שנים"))
_TENS: Final = _table(
    (20, "עשרים"), (30, "שלושים"), (40, "ארבעים"), (50, "חמישים"), (60, "שישים ששים"), (70, "שבעים"), (80, "שמונים"),
    (90, "תשעים"),
)  # fmt: skip
_HUNDRED: Final = _table((100, "מאה"), (200, "מאתיים"))
_HUNDREDS: Final = folded("מאות")
_CONSTRUCT: Final = _table(
    (3, "שלושת"), (4, "ארבעת"), (5, "חמשת"), (6, "ששת"), (7, "שבעת"), (8, "שמונת"), (9, "תשעת"), (10, "עשרת")
)
_THOUSANDS: Final = folded("אלפים")
_SCALES: Final = _table((1000, "אלף"), (1_000_000, "מיליון"))
_TWO_THOUSAND: Final = folded("אלפיים")

_PREFIXES: Final = re.compile("[והבכלמש]{1,2}")
_SHORTEST: Final = 3
"""Letters of a number that carries a prefix; `שש` is none."""

_SMALL: Final = {**_UNITS, **_TEN, **_TENS, **_HUNDRED}
"""Numbers below 1000, which carry a prefix here, and so does 2000. Others are words of their own with it, as מאלף."""

_FEWEST_HUNDREDS: Final = 3


class _Found(NamedTuple):
    value: int
    taken: int  # words


_Read = Callable[[Sequence[str]], _Found | None]


def with_digits(words: Sequence[ComparedWord]) -> list[ComparedWord]:
    """Return the words with one word of digits in the place of each number in words; a prefix stays in front of it."""
    result: list[ComparedWord] = []
    normals = [word.normal for word in words]
    at = 0
    while at < len(words):
        prefix, found = _number(normals[at : at + 12])
        if found is None:
            result.append(words[at])
            at += 1
            continue
        shown = " ".join(word.shown for word in words[at : at + found.taken])
        result.append(ComparedWord(f"{prefix}{found.value}", shown))
        at += found.taken
    return result


def _number(words: Sequence[str]) -> tuple[str, _Found | None]:
    """Return the number that the words begin with, and the prefix of its first word."""
    if (found := _below_million(words)) is not None:
        return "", found
    for length in (1, 2):
        prefix, rest = words[0][:length], words[0][length:]
        if (rest in _SMALL or rest == _TWO_THOUSAND) and len(rest) >= _SHORTEST and _PREFIXES.fullmatch(prefix):
            return prefix, _below_million([rest, *words[1:]])
    return "", None


def _below_million(words: Sequence[str]) -> _Found | None:
    thousands = _thousands(words)
    if thousands is None:
        return _below_1000(words)
    rest = words[thousands.taken :]
    more = _joined_by_vav(rest, _below_1000)
    if more is None and rest and (rest[0] in _TENS or _hundreds(rest) is not None):
        more = _below_1000(rest)
    return thousands if more is None else _Found(thousands.value + more.value, thousands.taken + more.taken)


def _thousands(words: Sequence[str]) -> _Found | None:
    if not words:
        return None
    first = words[0]
    if first == _TWO_THOUSAND:
        return _Found(2000, 1)
    if first in _SCALES:
        return _Found(_SCALES[first], 1)
    if first in _CONSTRUCT and words[1:2] == [_THOUSANDS]:
        return _Found(_CONSTRUCT[first] * 1000, 2)
    times = _below_1000(words)
    scale = words[times.taken] if times is not None and times.taken < len(words) else ""
    if times is None or not times.value or scale not in _SCALES:
        return None
    return _Found(times.value * _SCALES[scale], times.taken + 1)


def _hundreds(words: Sequence[str]) -> _Found | None:
    if not words:
        return None
    if words[0] in _HUNDRED:
        return _Found(_HUNDRED[words[0]], 1)
    times = _UNITS.get(words[0], 0)
    return _Found(times * 100, 2) if times >= _FEWEST_HUNDREDS and words[1:2] == [_HUNDREDS] else None


def _below_1000(words: Sequence[str]) -> _Found | None:
    hundreds = _hundreds(words)
    if hundreds is None:
        return _below_100(words)
    rest = words[hundreds.taken :]
    more = _joined_by_vav(rest, _below_100)
    if more is None and rest and rest[0] in _TENS:
        more = _below_100(rest)
    return hundreds if more is None else _Found(hundreds.value + more.value, hundreds.taken + more.taken)


def _below_100(words: Sequence[str]) -> _Found | None:
    if not words:
        return None
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first in _TENS:
        unit = _UNITS.get(second[1:], 0) if second.startswith("ו") else 0
        return _Found(_TENS[first] + unit, 2 if unit else 1)
    unit = _UNITS.get(first, _TEEN_TWO.get(first, 0))
    if unit and second in _TEN:
        return _Found(10 + unit, 2)
    if first in _UNITS:
        return _Found(_UNITS[first], 1)
    return _Found(10, 1) if first in _TEN else None


def _joined_by_vav(words: Sequence[str], read: _Read) -> _Found | None:
    """Return the number behind a vav, which joins it to the one before."""
    if not words or not words[0].startswith("ו"):
        return None
    return read([words[0][1:], *words[1:]])
