"""The built-in voice: the marked words, and a hum for every other word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio import mulaw
from batkol.voices.builtin import BuiltinVoice, sound
from batkol.voices.marked.voice import WORDS, word_samples
from batkol.voices.voice import Voice
from support.voices.pieces import Pieces, collected, heard, joined, spoken, words_of

pytestmark = pytest.mark.virtual_time


async def test_speaks_the_marked_words_and_knows_where_each_ends() -> None:
    voice: Voice = BuiltinVoice()

    sounds = await spoken(voice, "שלום, תודה!", "מה בבקשה?")

    first, second = joined(sounds, 0), joined(sounds, 1)
    assert words_of(first.mulaw + second.mulaw) == ["שלום", "תודה", "מה", "בבקשה"]
    for piece in (first, second):
        assert all(abs(end - known) <= 8 for (_, end), known in zip(heard(piece.mulaw), piece.word_ends, strict=True))


async def test_a_pause_parts_all_words_also_of_two_pieces_or_of_one_word_with_a_sign_in_it() -> None:
    sounds = await spoken(BuiltinVoice(), "כן לא", "כן-לא")

    whole = joined(sounds, 0).mulaw + joined(sounds, 1).mulaw
    ends = [end for _, end in heard(whole)]
    lengths = [word_samples(word) for word in ("כן", "לא", "כן", "לא")]
    pauses = [end - length - before for end, length, before in zip(ends[1:], lengths[1:], ends, strict=False)]
    assert pauses == pytest.approx([480] * 3, abs=16)


async def test_a_word_that_it_lacks_is_a_hum_as_long_as_the_word_and_no_marked_word() -> None:
    sound = joined(await spoken(BuiltinVoice(), "שלום ירושלים כן"), 0)

    assert words_of(sound.mulaw) == ["שלום", "כן"]
    hum = mulaw.decode(sound.mulaw[sound.word_ends[0] : sound.word_ends[1]])
    assert 0.4 < len(hum) / 8000 < 0.8
    assert np.sqrt((hum.astype(float) ** 2).mean()) > 500
    longer = joined(await spoken(BuiltinVoice(), "התייעצויותיהם"), 0)
    assert len(longer.mulaw) > len(hum)


async def test_niqqud_and_punctuation_make_no_other_word() -> None:
    sound = joined(await spoken(BuiltinVoice(), "שָׁלוֹם… (תודה)"), 0)

    assert words_of(sound.mulaw) == ["שלום", "תודה"]


@pytest.mark.parametrize("text", ["", "  ", "—", "?!"])
async def test_a_piece_without_a_word_is_an_empty_sound(text: str) -> None:
    sounds = await spoken(BuiltinVoice(), text, "כן")

    assert joined(sounds, 0).mulaw == b""
    assert words_of(joined(sounds, 1).mulaw) == ["כן"]


@given(st.lists(st.sampled_from([*WORDS, "ירושלים", "14:30", "—", "ok", "😀"]), max_size=6))
async def test_every_word_of_a_text_has_an_end(words: list[str]) -> None:
    sound = joined(await spoken(BuiltinVoice(), " ".join(words)), 0)

    assert len(sound.word_ends) == len(words)
    assert (sound.word_ends or (0,))[-1] == len(sound.mulaw)


async def test_what_the_pieces_raise_goes_through_after_the_piece_before_it() -> None:
    reply = BuiltinVoice().speak(Pieces("כן", error=ZeroDivisionError()))

    assert words_of((await anext(reply)).mulaw) == ["כן"]
    with pytest.raises(ZeroDivisionError):
        await anext(reply)


def test_the_longest_word_is_still_a_hum_of_a_second_at_most() -> None:
    assert len(sound("א" * 10_000).mulaw) <= 8000


async def test_closing_it_ends_it() -> None:
    reply = BuiltinVoice().speak(Pieces("כן לא"))

    await anext(reply)
    await reply.aclose()

    assert await collected(reply) == []
