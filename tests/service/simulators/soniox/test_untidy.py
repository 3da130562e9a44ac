"""The profile `untidy`: tokens that are not final change their mind, and times go back; what is final is right."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.simulators.soniox.untidy import SonioxUntidiness
from batkol.voices.marked.voice import WORDS as ALL_WORDS
from batkol.voices.marked.voice import script
from support.soniox.heard import HeardSession

WORDS = ("שלום", "כתובת", "חשבון", "פגישה", "מחר")
OTHERS = set(ALL_WORDS) - set(WORDS)
AUDIO = script((WORDS,))


def played(seed: int) -> HeardSession:
    session = HeardSession(SonioxDoubleSettings(untidy=True, seed=seed, revised=0.0, pacing_factor=0))
    session.speak(AUDIO.mulaw)
    session.finish()
    return session


def open_words(message: dict[str, Any]) -> list[str]:
    """The words of a message that are not final."""
    return "".join(token["text"] for token in message["tokens"] if not token["is_final"]).split()


def test_the_text_of_finals_is_right_whatever_was_shown() -> None:
    assert {played(seed).final_text for seed in range(5)} == {" ".join(WORDS)}


def test_a_word_that_was_shown_is_another_one_or_gone_in_the_next_message() -> None:
    another, gone = 0, 0
    for seed in range(10):
        shown = [words for message in played(seed).said if (words := open_words(message))]
        another += sum(any(word in OTHERS for word in words[:-1]) for words in shown)
        gone += sum(len(after) < len(before) and after[0] == before[0] for before, after in pairwise(shown))

    assert another > 3
    assert gone > 3


def test_times_of_finals_go_back_and_some_have_none() -> None:
    tokens = [token for seed in range(5) for token in played(seed).tokens(final=True)]
    dated = [token["end_ms"] for token in tokens if "end_ms" in token]

    assert 0 < len(tokens) - len(dated) < len(tokens) / 3
    assert 2 < sum(after < before for before, after in pairwise(dated)) < len(dated) / 2


def test_a_token_has_the_same_time_in_every_message() -> None:
    untidy = SonioxUntidiness(SonioxDoubleSettings(seed=3), random.Random(0))
    once, again = ([{"text": "א", "start_ms": at, "end_ms": at + 100} for at in range(0, 5000, 100)] for _ in range(2))
    untidy.misdate(once)
    untidy.misdate(again)

    assert once == again
    assert any("end_ms" not in token for token in once)


@pytest.mark.parametrize("texts", [[], ["ום"], [" "], ["של", "ום", " "]])
def test_what_is_no_whole_word_is_left_alone(texts: list[str]) -> None:
    """Half of a final word, and a space that belongs to nothing yet."""
    untidy = SonioxUntidiness(SonioxDoubleSettings(), random.Random(0))

    assert all(untidy.change(texts) == texts for _ in range(50))
