"""Numbers of examples: few of a property whose examples are slow in `make test`, and all of them in `make nightly`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import pytest
from hypothesis import settings

Test = TypeVar("Test", bound=Callable[..., None])

BY_NIGHT: Final = 1_000
"""Examples of the profile that `make nightly` has."""


def examples(by_day: int) -> int:
    """Return how many examples a property has in this run."""
    by_profile = settings().max_examples
    return by_profile if by_profile >= BY_NIGHT else by_day


def few_by_day(by_day: int) -> Callable[[Test], Test]:
    """Give a property so many examples in `make test`; `make nightly` runs it as well, with its own number."""

    def mark(test: Test) -> Test:
        marked: Test = pytest.mark.day_and_night(settings(max_examples=examples(by_day))(test))
        return marked

    return mark
