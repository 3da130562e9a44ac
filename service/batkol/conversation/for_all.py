"""Work for each of several, none of which may be left out because of a defect in the work for another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

_Each = TypeVar("_Each")


def for_all(work: Callable[[_Each], None], each: Iterable[_Each]) -> None:
    """Do the work for each, in order. Behind the last one, raise the first error that there was."""
    first: Exception | None = None
    for one in each:
        try:
            work(one)
        except Exception as error:  # noqa: BLE001 -- raised below
            first = first or error
    if first is not None:
        raise first
