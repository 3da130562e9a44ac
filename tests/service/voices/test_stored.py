"""The stored phrases: there without any voice, and the ones that the texts say."""

from __future__ import annotations

import numpy as np
import pytest

from batkol.audio import mulaw
from batkol.voices.make_stored import spoken
from batkol.voices.stored import FILE, TEXTS, Stored, stored

EVERY = [(language, phrase) for language in TEXTS for phrase in Stored]


@pytest.mark.parametrize(("language", "phrase"), EVERY)
def test_each_phrase_is_stored_as_its_text_with_its_words(language: str, phrase: Stored) -> None:
    found = stored(phrase, f"{language}-XX")

    assert found.text == TEXTS[language][phrase]
    assert len(found.word_ends) == len(found.text.split())
    assert 0.5 < found.word_ends[-1] / 8000 <= len(found.mulaw) / 8000 < 5
    assert np.abs(mulaw.decode(found.mulaw).astype(int)).max() > 8000


def test_another_language_gets_english() -> None:
    assert stored(Stored.APOLOGY, "fr-FR") == stored(Stored.APOLOGY, "en-US")


def test_the_file_is_small() -> None:
    assert FILE.stat().st_size < 200_000


async def test_the_file_is_what_the_texts_give() -> None:
    made = await spoken()

    with np.load(FILE) as file:
        assert set(file) == set(made)
        for name, array in made.items():
            if name.endswith(".mulaw"):
                assert abs(len(file[name]) - len(array)) < 800, name
            elif name.endswith(".text"):
                assert str(file[name]) == str(array)
