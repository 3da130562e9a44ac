"""Tokens, joined to words and portions: what the codec makes of Soniox's messages, and of those of the double."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batkol.recognizers.soniox.portions import PortionReader
from batkol.recognizers.soniox.wire import SonioxResponse, parse
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.speech.results import Portion, Word
from batkol.voices.marked.voice import script
from support.properties import few_by_day
from support.soniox.heard import HeardSession

Piece = tuple[str, int, int]


def _tokens(pieces: Sequence[Piece], *, final: bool) -> list[dict[str, Any]]:
    return [{"text": text, "start_ms": start, "end_ms": end, "is_final": final} for text, start, end in pieces]


def _response(
    final: Sequence[Piece],
    rest: Sequence[Piece] = (),
    *,
    heard: int = 0,
    settled: int = 0,
    marker: str = "",
    **more: Any,
) -> SonioxResponse:
    tokens = _tokens(final, final=True) + ([{"text": marker, "is_final": True}] if marker else [])
    message = {
        "tokens": tokens + _tokens(rest, final=False),
        "final_audio_proc_ms": settled,
        "total_audio_proc_ms": heard,
        **more,
    }
    return parse(msgspec.json.encode(message))


def _word(text: str, start: int, end: int) -> Word:
    return Word(text, start * 8, end * 8)


SHA, LOM, MA = ("של", 300, 420), ("ום", 420, 600), (" מה", 700, 860)


def test_pieces_of_a_word_that_are_not_final_are_one_interim_with_its_times() -> None:
    (interim,) = PortionReader().read(_response([], [SHA, LOM, MA], heard=900))

    assert interim == Portion(
        text="שלום מה", end=900 * 8, final=False, words=(_word("שלום", 300, 600), _word("מה", 700, 860))
    )


def test_a_word_is_final_when_the_next_one_begins_and_the_last_one_goes_on_as_an_interim() -> None:
    reader = PortionReader()
    final, interim = reader.read(_response([SHA, LOM, MA], [("ז", 860, 900)], heard=1000, settled=860))

    assert final == Portion(text="שלום", end=600 * 8, final=True, words=(_word("שלום", 300, 600),))
    assert (interim.text, interim.final, interim.end) == ("מהז", False, 1000 * 8)


def test_a_word_whose_first_half_is_final_is_not_committed_until_its_second_half_is() -> None:
    reader = PortionReader()
    (held,) = reader.read(_response([SHA], [LOM], heard=700, settled=420))
    (final,) = reader.read(_response([LOM], marker="<fin>", heard=900, settled=900))

    assert (held.text, held.final) == ("שלום", False)
    assert final == Portion(text="שלום", end=900 * 8, final=True, words=(_word("שלום", 300, 600),))


@pytest.mark.parametrize("marker", ["<fin>", "<end>"])
def test_a_marker_ends_the_word_and_is_no_text(marker: str) -> None:
    reader = PortionReader()
    (first,) = reader.read(_response([SHA, LOM], marker=marker, heard=900, settled=880))
    (second,) = reader.read(_response([("מה", 1000, 1100)], marker=marker, heard=1300, settled=1300))

    assert (first.text, first.end) == ("שלום", 880 * 8)
    assert (second.text, second.words) == ("מה", (_word("מה", 1000, 1100),))


def test_a_space_may_be_a_token_and_a_mark_belongs_to_the_word_before_it() -> None:
    pieces: list[Piece] = [SHA, LOM, (",", 600, 600), (" ", 700, 700), ("מה", 700, 860), ("?", 860, 860)]
    (final,) = PortionReader().read(_response(pieces, marker="<fin>", heard=900, settled=900))

    assert final.text == "שלום, מה?"
    assert final.words[0] == _word("שלום,", 300, 600)


def test_a_mark_alone_is_no_word() -> None:
    assert PortionReader().read(_response([(" .", 900, 900)], marker="<fin>", heard=900, settled=900)) == []


def test_what_is_taken_back_is_taken_back() -> None:
    reader = PortionReader()
    reader.read(_response([], [SHA], heard=500))
    (empty,) = reader.read(_response([], heard=800))
    nothing = reader.read(_response([], heard=1000))

    assert (empty.text, empty.final, empty.end) == ("", False, 800 * 8)
    assert nothing == []


def test_a_marker_without_words_takes_back_what_was_shown() -> None:
    reader = PortionReader()
    reader.read(_response([], [SHA], heard=500))
    (empty,) = reader.read(_response([], marker="<fin>", heard=900, settled=900))

    assert empty == Portion(text="", end=900 * 8, final=True)
    assert reader.read(_response([], marker="<fin>", heard=2000, settled=2000)) == []


def test_a_final_that_leaves_out_what_was_shown_behind_it_takes_that_back() -> None:
    reader = PortionReader()
    reader.read(_response([], [SHA, LOM, MA], heard=900))
    final, empty = reader.read(_response([SHA, LOM, (" ", 600, 600)], heard=1000, settled=600))

    assert (final.text, final.final) == ("שלום", True)
    assert (empty.text, empty.final) == ("", False)


def test_a_final_word_is_whole_when_it_has_been_quiet_since() -> None:
    reader = PortionReader()
    (held,) = reader.read(_response([SHA, LOM], heard=1100, settled=600))
    (final,) = reader.read(_response([], heard=1200, settled=600))

    assert held.final is False
    assert (final.text, final.end, final.final) == ("שלום", 600 * 8, True)


def test_the_end_of_the_session_ends_the_word() -> None:
    reader = PortionReader()
    reader.read(_response([SHA], heard=500, settled=420))
    (final,) = reader.read(_response([], heard=600, settled=600, finished=True))

    assert (final.text, final.final, final.end) == ("של", True, 600 * 8)


def test_tokens_without_times_lie_where_the_word_before_them_ends() -> None:
    message = {"tokens": [{"text": "של", "is_final": True}, {"text": "<fin>", "is_final": True}], "x": 1}
    (final,) = PortionReader().read(parse(msgspec.json.encode(message)))

    assert final.words == (_word("של", 0, 0),)


@few_by_day(10)
@given(
    seed=st.integers(0, 10_000),
    spaced=st.floats(0, 1),
    final_after_ms=st.sampled_from([400, 2000]),
    rate=st.sampled_from([1.0, 2.5, 1000.0]),
)
@example(seed=0, spaced=0.0, final_after_ms=2000, rate=1000.0)  # a replay, all at once
def test_whatever_the_double_makes_of_them_the_words_come_out_once_and_where_they_were_said(
    seed: int, spaced: float, final_after_ms: int, rate: float
) -> None:
    said = script((("כמה", "תודה"), ("כתובת", "לא", "חשבון")), gap_ms=900)
    session = HeardSession(
        SonioxDoubleSettings(seed=seed, spaced=spaced, revised=0.3, final_after_ms=final_after_ms, pacing_factor=0)
    )
    session.speak(said.mulaw, rate)
    session.finish()
    reader = PortionReader()

    portions = [p for message in session.said for p in reader.read(msgspec.convert(message, SonioxResponse))]
    finals = [word for portion in portions if portion.final for word in portion.words]

    assert [word.text for word in finals] == [word.text for word in said.words]
    assert all(
        abs(heard.start - spoken.start) <= 80 and abs(heard.end - spoken.end) <= 80
        for heard, spoken in zip(finals, said.words, strict=True)
    )
    assert portions[-1].final
