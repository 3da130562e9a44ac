"""Limits of one call: what counts, and when one is reached."""

from __future__ import annotations

from typing import Any

import pytest

from batkol.answering.answerer import Usage
from batkol.conversation.limits import CallLimits, Spent
from batkol.conversation.track import Track


def test_an_attempt_costs_its_tokens_its_sound_and_its_text() -> None:
    track, spent = Track(), Spent(tokens=1, samples=1, characters=1)
    for number, text in enumerate(("שלום", "תודה רבה")):
        track.add_piece(text)
        track.add_sound(b"\xff" * 80, number, last=True)
    spent.add(track, Usage(10, 3))
    spent.add(Track())

    assert spent == Spent(tokens=14, samples=161, characters=13)


@pytest.mark.parametrize(
    ("limits", "below", "reached", "reason"),
    [
        ({"tokens": 10}, Spent(tokens=9), Spent(tokens=10), "tokens_spent"),
        ({"minutes": 0.5}, Spent(samples=239_999), Spent(samples=240_000), "minutes_spent"),
        ({"characters": 3}, Spent(characters=2), Spent(characters=3), "characters_spent"),
    ],
)
def test_a_budget_is_reached_when_all_of_it_is_spent(
    limits: dict[str, Any], below: Spent, reached: Spent, reason: str
) -> None:
    everything = Spent(tokens=10**9, samples=10**12, characters=10**9)

    assert CallLimits(**limits).reached(1e9, below) == ""
    assert CallLimits(**limits).reached(0.0, reached) == reason
    assert CallLimits().reached(1e9, everything) == "", "0: no limit"


def test_the_longest_call_is_over_when_it_has_lasted_so_long() -> None:
    limits = CallLimits(longest_call_s=60.0, tokens=1)

    assert limits.reached(59.9, Spent()) == ""
    assert limits.reached(60.0, Spent(tokens=1)) == "longest_call"
