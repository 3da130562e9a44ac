"""A number with its noun, as English has it. The service has the same: the two programs share no code."""

from __future__ import annotations


def quantity(number: int, one: str, many: str = "") -> str:
    """Return the number and what it counts: `quantity(1, "call")` is `1 call`; `many` is by default `one` and an s.

    A verb that follows is part of both: `quantity(2, "call was", "calls were")`.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"
