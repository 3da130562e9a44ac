"""Regular expressions of schemas that are quick on any text: the others are refused where the schema is read. Pure.

`re` tries one way after another. Repetitions within a repetition, and several that may share the same characters, take
it minutes for thirty characters, and it cannot be stopped.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST_MATCHED: Final = 128
"""Characters of a text that a pattern is tried on; a longer one does not match."""
MOST_UNBOUNDED: Final = 2
"""Repetitions without a bound, or with one above `_SMALL`."""
_SMALL: Final = 16
_MOST_WAYS: Final = 4096
"""Ways in which the small repetitions may be chosen together."""
_TOKEN: Final = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<open>\((?:\?(?P<kind>P?<[A-Za-z_]\w*>|:|.))?)|(?P<close>\))"
    r"|(?P<times>[*+?]|\{\d*,?\d*\})(?P<lazy>[?+]?)|(?P<or>\|)|(?P<other>.)",
    re.DOTALL,
)


def check_pattern(pattern: str) -> None:
    """Refuse what is no regular expression, or may be slow. Raises `ValueError`, a clause."""
    try:
        re.compile(pattern)
    except (re.error, TypeError, RecursionError, OverflowError):
        raise ValueError("is no regular expression") from None
    groups, closed, ways, unbounded = [False], False, 1, 0  # whether each open group has a choice in it
    for token in _TOKEN.finditer(pattern):
        if (token["escape"] or "")[1:].isdigit() or (token["open"] and _looks_around(token["kind"])):
            raise ValueError("has look-around or a reference such as \\1, which may be slow")
        if token["open"]:
            groups.append(False)
        elif token["or"]:
            groups[-1] = True
        elif token["times"]:
            least, most = _bounds(token["times"])
            if closed and most > 1:
                raise ValueError("repeats a group that has a repetition or | in it, which may be slow")
            groups[-1] = groups[-1] or least != most
            unbounded += most > _SMALL and least != most
            ways *= min(most, _SMALL) - min(least, _SMALL) + 1
        if token["close"]:
            inner = groups.pop()
            groups[-1] = groups[-1] or inner
            closed = inner
        else:
            closed = False
    if unbounded > MOST_UNBOUNDED or ways > _MOST_WAYS:
        raise ValueError(f"has too many repetitions, which may be slow: at most {MOST_UNBOUNDED} of * and +")


def _looks_around(kind: str | None) -> bool:
    return kind is not None and kind != ":" and not kind.endswith(">")


def _bounds(times: str) -> tuple[int, int]:
    match times:
        case "?":
            return 0, 1
        case "*":
            return 0, 1 << 30
        case "+":
            return 1, 1 << 30
    least, comma, most = times.strip("{}").partition(",")
    low = int(least or 0)
    return low, (int(most) if most else 1 << 30) if comma else low
