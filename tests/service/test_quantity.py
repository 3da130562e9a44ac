"""A number and its noun."""

from __future__ import annotations

from pathlib import Path

import pytest

from batkol.quantity import quantity

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("call",), "0 calls"),
        (1, ("call",), "1 call"),
        (2, ("call",), "2 calls"),
        (1, ("reply", "replies"), "1 reply"),
        (3, ("reply", "replies"), "3 replies"),
        (1, ("utterance was", "utterances were"), "1 utterance was"),
    ],
)
def test_one_is_one_and_every_other_number_is_many(number: int, words: tuple[str, ...], text: str) -> None:
    assert quantity(number, *words) == text


def test_the_operator_has_the_same() -> None:
    """The two programs share no code."""
    ours, theirs = (ROOT / f"{path}/quantity.py" for path in ("service/batkol", "operator/batkol_operator"))

    assert ours.read_text().partition("def ")[2] == theirs.read_text().partition("def ")[2]
