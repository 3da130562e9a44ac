"""The order of a run: what waits for the clock of a call stands evenly between what computes.

Each worker starts with a stretch of the list. In the order of the folders one of them would have nearly all real calls
and wait most of its time, alone at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import pytest

Unit = list[pytest.Item]


def spread(
    items: Sequence[pytest.Item], waits: Callable[[pytest.Item], bool], is_long: Callable[[pytest.Item], bool]
) -> list[pytest.Item]:
    """Return all items. Tests that share a fixture of their module stay together, so that it is made once.

    `waits`: it has real calls. `is_long`: it must not be one of the last, which all others would wait for.
    """
    units = list(_units(items))
    long = [unit for unit in units if is_long(unit[0])]
    short = [unit for unit in units if not is_long(unit[0])]
    waiting = [unit for unit in short if waits(unit[0])]
    computing = [unit for unit in short if not waits(unit[0])]
    return [item for unit in _between(_between(computing, waiting), long) for item in unit]


def _between(units: Sequence[Unit], others: Sequence[Unit]) -> list[Unit]:
    """Put the others between the units, evenly by their number of items, the first of them first."""
    total = sum(map(len, units))
    ordered: list[Unit] = []
    done = placed = 0
    for unit in units:
        while placed < len(others) and placed * total <= done * len(others):
            ordered.append(others[placed])
            placed += 1
        ordered.append(unit)
        done += len(unit)
    return ordered + list(others[placed:])


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
