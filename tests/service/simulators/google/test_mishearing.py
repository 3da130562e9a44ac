"""Words that are misheard on purpose: as many as asked for, and no fewer changes than that put the text right."""

from __future__ import annotations

import random

import pytest

from batkol.compare.errors import score
from batkol.simulators.google.mishearing import OTHER_WORDS, Mishearing
from batkol.voices.marked.voice import WORDS, SpokenWord


def heard(mishearing: Mishearing, streams: list[list[str]]) -> list[str]:
    """Hear the streams at once, a word of each in turn, as calls at the same time do."""
    ears = [mishearing.stream() for _ in streams]
    texts: list[list[str]] = [[] for _ in streams]
    for at in range(max(map(len, streams))):
        for ear, said, text in zip(ears, streams, texts, strict=True):
            text += [word.text for word in ear.change([SpokenWord(said[at], 0, 8)])]
    return [" ".join(text) for text in texts]


@pytest.mark.parametrize("seed", range(3))
def test_the_fewest_changes_are_as_many_as_the_words_that_were_misheard(seed: int) -> None:
    draw = random.Random(seed)
    streams = [draw.sample(WORDS, 20) for _ in range(200)]
    mishearing = Mishearing(0.4, seed)
    texts = heard(mishearing, streams)

    errors = sum(score(" ".join(said), text).counts.errors for said, text in zip(streams, texts, strict=True))
    assert errors == mishearing.count > 1500


def test_no_word_that_is_made_up_is_one_that_is_said() -> None:
    assert not set(OTHER_WORDS) & set(WORDS)
