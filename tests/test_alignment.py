"""How far a reply had come, by the words that an ear heard of it: each row is one that a naive count gets wrong."""

from __future__ import annotations

import pytest

from support.speech.alignment import words_played

REPLY = ["address", "please", "today", "number", "where", "doctor", "thanks", "please", "who"]


@pytest.mark.parametrize(
    ("heard", "played"),
    [
        ([], 0),
        (REPLY[:4], 4),
        (REPLY, 9),
        (["address", "today"], 3),  # one had a hole
        (["please", "today"], 3),  # the first one had
        (["please", "please", "today", "number"], 4),  # the filler's last word, and the reply's first has a hole
        (["please", "address", "please"], 2),
        (["address", "pleas", "today"], 3),  # misheard
        (["address", "please", "please", "today"], 3),  # twice
    ],
)
def test_a_hole_a_mishearing_and_a_word_besides_move_no_word_that_follows(heard: list[str], played: int) -> None:
    assert words_played(REPLY, heard) == played
