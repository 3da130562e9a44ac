"""The order of a run: what waits for the clock of a call stands evenly between what computes.

Each worker starts with a stretch of the list. In the order of the folders one of them would have nearly all real calls
and wait most of its time, alone at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import pytest

Unit = list[pytest.Item]


def spread(items: Sequence[pytest.Item], waits: Callable[[pytest.Item], bool]) -> list[pytest.Item]:
    """Return all items. Tests that share a fixture of their module stay together, so that it is made once."""
    waiting = [unit for unit in _units(items) if waits(unit[0])]
    computing = [unit for unit in _units(items) if not waits(unit[0])]
    waiting.sort(key=len, reverse=True)  # a long one must not be the last
    total = sum(map(len, computing))
    ordered: list[pytest.Item] = []
    done = placed = 0
    for unit in computing:
        while placed < len(waiting) and placed * total <= done * len(waiting):
            ordered += waiting[placed]
            placed += 1
        ordered += unit
        done += len(unit)
    return ordered + [item for unit in waiting[placed:] for item in unit]


def _units(items: Sequence[pytest.Item]) -> Iterator[Unit]:
    for _, group in groupby(items, key=lambda item: item.path):
        module = list(group)
        if any(map(shares_a_fixture, module)):
            yield module
        else:
            yield from ([item] for item in module)


def shares_a_fixture(item: pytest.Item) -> bool:
    """Whether it has a fixture that is made once for its module."""
    info = getattr(item, "_fixtureinfo", None)  # None: not a Python test
    return info is not None and any(
        definitions and definitions[-1].scope == "module" for definitions in info.name2fixturedefs.values()
    )
