"""Words of callers and agents, as a person reads them in a terminal: each text in its own direction.

Hebrew beside Latin letters is in the right order only where its ends are marked: the full stop of a Hebrew sentence at
the end of a line belongs to its left. So each such text has the characters of an isolate around it, one pair a line,
because the direction of text begins anew with each line. A terminal without directions shows nothing of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

FIRST_STRONG_ISOLATE: Final = "\u2068"
POP_ISOLATE: Final = "\u2069"
INDENT: Final = "   "
_WIDE: Final = frozenset({"W", "F"})
_WITHOUT_WIDTH: Final = frozenset({"Mn", "Me", "Cf", "Cc"})
_STEERING: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")  # Hebrew, Arabic and their kin


def without_steering(text: str) -> str:
    """Return a text without characters that steer a terminal or turn the direction of a line."""
    return "".join(" " if unicodedata.category(each) in _STEERING else each for each in text)


def isolated(text: str) -> str:
    """Return a text in its own direction, which its first letter gives; an empty text stays empty."""
    return f"{FIRST_STRONG_ISOLATE}{without_steering(text)}{POP_ISOLATE}" if text else ""


def isolated_behind_label(line: str) -> str:
    """Return a line of a log with its text, if that is written from right to left, in its own direction.

    The text stands behind the first `: `; a line without such a text stays as it is.
    """
    label, colon, text = line.partition(": ")
    return f"{label}{colon}{isolated(text)}" if colon and _RIGHT_TO_LEFT.search(text) else line


def cells(text: str) -> int:
    """Return the columns that a text takes in a terminal."""
    return sum(map(_cells, text))


def lines(label: str, text: str, columns: int, indent: str = INDENT) -> list[str]:
    """Return a label and, behind it, a text in lines of so many columns. A longer word has a line of its own."""
    rows: list[list[str]] = [[]]
    left = columns - cells(label)
    for word in without_steering(text).split():
        if cells(word) > left and (rows[-1] or (label and len(rows) == 1)):
            rows.append([])
            left = columns - len(indent)
        rows[-1].append(word)
        left -= cells(word) + 1
    first, *others = (isolated(" ".join(row)) for row in rows)
    return [f"{label}{first}".rstrip(), *(f"{indent}{other}" for other in others)]


def wrapped(text: str, columns: int) -> list[str]:
    """Return a text without Hebrew in lines of so many columns. An address or a path is never cut."""
    rows = []
    for line in text.split("\n"):
        row = ""
        for word in re.findall(r" *[^ ]+", line):
            if row and cells(row + word) > columns:
                rows.append(row)
                row = word.lstrip()
            else:
                row += word
        rows.append(row)
    return rows


def newest(label: str, text: str, columns: int) -> str:
    """Return a label and as many of a text's last words as one line of so many columns has room for.

    Of a last word that is too long for the line, its end is shown.
    """
    words: Sequence[str] = without_steering(text).split()
    left = columns - cells(label)
    for dropped in range(len(words)):
        shown = " ".join(words[dropped:]) if not dropped else " ".join(["…", *words[dropped:]])
        if cells(shown) <= left:
            return label + isolated(shown)
    end = words[-1] if words else ""
    while end and (cells(f"…{end}") > left or not _cells(end[0])):
        end = end[1:]
    return label + isolated(f"…{end}") if end else label.rstrip()


def _cells(character: str) -> int:
    if unicodedata.category(character) in _WITHOUT_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
