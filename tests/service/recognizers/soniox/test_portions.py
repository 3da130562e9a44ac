"""Tokens, joined to words and portions: what the codec makes of Soniox's messages, and of those of the double."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batkol.recognizers.soniox.portions import LONGEST_WORD, PortionReader
from batkol.recognizers.soniox.wire import SonioxResponse, parse
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.speech.results import Portion, Word
from batkol.speech.timeline import Timeline
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


def _read(reader: PortionReader, response: SonioxResponse, sent_ms: int = 600_000) -> list[Portion]:
    return reader.read(response, sent_ms=sent_ms)


def _word(text: str, start: int, end: int) -> Word:
    return Word(text, start * 8, end * 8)


SHA, LOM, MA = ("של", 300, 420), ("ום", 420, 600), (" מה", 700, 860)


def test_pieces_of_a_word_that_are_not_final_are_one_interim_with_its_times() -> None:
    (interim,) = _read(PortionReader(), _response([], [SHA, LOM, MA], heard=900))

    assert interim == Portion(
        text="שלום מה", end=900 * 8, final=False, words=(_word("שלום", 300, 600), _word("מה", 700, 860))
    )


def test_a_word_is_final_when_the_next_one_begins_and_the_last_one_goes_on_as_an_interim() -> None:
    reader = PortionReader()
    final, interim = _read(reader, _response([SHA, LOM, MA], [("ז", 860, 900)], heard=1000, settled=860))

    assert final == Portion(text="שלום", end=600 * 8, final=True, words=(_word("שלום", 300, 600),))
    assert (interim.text, interim.final, interim.end) == ("מהז", False, 1000 * 8)


def test_a_word_whose_first_half_is_final_is_not_committed_until_its_second_half_is() -> None:
    reader = PortionReader()
    (held,) = _read(reader, _response([SHA], [LOM], heard=700, settled=420))
    (final,) = _read(reader, _response([LOM], marker="<fin>", heard=900, settled=900))

    assert (held.text, held.final) == ("שלום", False)
    assert final == Portion(text="שלום", end=900 * 8, final=True, words=(_word("שלום", 300, 600),))


@pytest.mark.parametrize("marker", ["<fin>", "<end>"])
def test_a_marker_ends_the_word_and_is_no_text(marker: str) -> None:
    reader = PortionReader()
    (first,) = _read(reader, _response([SHA, LOM], marker=marker, heard=900, settled=880))
    (second,) = _read(reader, _response([("מה", 1000, 1100)], marker=marker, heard=1300, settled=1300))

    assert (first.text, first.end) == ("שלום", 880 * 8)
    assert (second.text, second.words) == ("מה", (_word("מה", 1000, 1100),))


def test_a_space_may_be_a_token_and_a_mark_belongs_to_the_word_before_it() -> None:
    pieces: list[Piece] = [SHA, LOM, (",", 600, 600), (" ", 700, 700), ("מה", 700, 860), ("?", 860, 860)]
    (final,) = _read(PortionReader(), _response(pieces, marker="<fin>", heard=900, settled=900))

    assert final.text == "שלום, מה?"
    assert final.words[0] == _word("שלום,", 300, 600)


def test_a_mark_alone_is_no_word() -> None:
    assert _read(PortionReader(), _response([(" .", 900, 900)], marker="<fin>", heard=900, settled=900)) == []


def test_what_is_taken_back_is_taken_back() -> None:
    reader = PortionReader()
    _read(reader, _response([], [SHA], heard=500))
    (empty,) = _read(reader, _response([], heard=800))
    nothing = _read(reader, _response([], heard=1000))

    assert (empty.text, empty.final, empty.end) == ("", False, 800 * 8)
    assert nothing == []


def test_a_marker_without_words_takes_back_what_was_shown() -> None:
    reader = PortionReader()
    _read(reader, _response([], [SHA], heard=500))
    (empty,) = _read(reader, _response([], marker="<fin>", heard=900, settled=900))

    assert empty == Portion(text="", end=900 * 8, final=True)
    assert _read(reader, _response([], marker="<fin>", heard=2000, settled=2000)) == []


def test_a_final_that_leaves_out_what_was_shown_behind_it_takes_that_back() -> None:
    reader = PortionReader()
    _read(reader, _response([], [SHA, LOM, MA], heard=900))
    final, empty = _read(reader, _response([SHA, LOM, (" ", 600, 600)], heard=1000, settled=600))

    assert (final.text, final.final) == ("שלום", True)
    assert (empty.text, empty.final) == ("", False)


def test_a_final_word_is_whole_when_it_has_been_quiet_since() -> None:
    reader = PortionReader()
    (held,) = _read(reader, _response([SHA, LOM], heard=1100, settled=600))
    (final,) = _read(reader, _response([], heard=1200, settled=600))

    assert held.final is False
    assert (final.text, final.end, final.final) == ("שלום", 600 * 8, True)


def test_the_second_half_of_a_word_may_be_missing_from_one_message() -> None:
    reader = PortionReader()
    _read(reader, _response([SHA], [LOM], heard=2400, settled=420))
    (held,) = _read(reader, _response([], heard=2500, settled=420))
    (final,) = _read(reader, _response([LOM], marker="<fin>", heard=2600, settled=2600))

    assert (held.text, held.final) == ("של", False)
    assert final.text == "שלום"


def test_the_end_of_the_session_ends_the_word() -> None:
    reader = PortionReader()
    _read(reader, _response([SHA], heard=500, settled=420))
    (final,) = _read(reader, _response([], heard=600, settled=600, finished=True))

    assert (final.text, final.final, final.end) == ("של", True, 600 * 8)


def test_tokens_without_times_of_a_message_without_figures_lie_before_the_newest_audio() -> None:
    message = {"tokens": [{"text": "של", "is_final": True}, {"text": "<fin>", "is_final": True}], "x": 1}
    (final,) = _read(PortionReader(), parse(msgspec.json.encode(message)), sent_ms=1000)

    assert final.words == (_word("של", 0, 800),)


def test_a_token_without_text_is_nothing_not_even_the_end_of_a_word() -> None:
    tokens = [*_tokens([SHA], final=True), {"text": None, "is_final": True}, {"text": "", "is_final": True}]
    message = {"tokens": [*tokens, *_tokens([LOM], final=True)], "finished": None}
    reader = PortionReader()
    (held,) = _read(reader, parse(msgspec.json.encode({**message, "total_audio_proc_ms": 900})))
    (final,) = _read(reader, _response([], marker="<fin>", heard=900, settled=900))

    assert (held.text, held.final) == ("שלום", False)
    assert final.words == (_word("שלום", 300, 600),)


def _with_times(response: SonioxResponse, times: object, totals: object) -> SonioxResponse:
    """The message with other times; `...` leaves them."""
    message = msgspec.to_builtins(response)
    for token in message["tokens"] if times is not ... else ():
        if token["text"] != "<fin>":
            token.update(start_ms=times, end_ms=times)
    if totals is not ...:
        message.update(final_audio_proc_ms=totals, total_audio_proc_ms=totals)
    return parse(msgspec.json.encode(message))


@pytest.mark.parametrize("totals", [..., None, 0, 10**9, -5000, 1e300, "nan", "inf"], ids=str)
@pytest.mark.parametrize("times", [..., None, 10**9, 10**30, -5000, 1200, 1050.5, "nan", "inf"], ids=str)
def test_a_message_whose_times_cannot_be_costs_no_word_then_or_later(times: object, totals: object) -> None:
    reader, timeline = PortionReader(), Timeline()
    stream = timeline.follow(0)
    bad = _response([("שלום", 300, 600), (" מה", 700, 860)], marker="<fin>", heard=1000, settled=900)
    good = _response([("תודה", 1250, 1400)], marker="<fin>", heard=1500, settled=1500)
    placed = []
    for message, sent_ms in ((_with_times(bad, times, totals), 1200), (good, 1600)):
        portions = [portion.within(sent_ms * 8) for portion in _read(reader, message, sent_ms)]
        placed += [heard for heard in timeline.place(stream, portions) if heard.final]
    first, second, third = [word for heard in placed for word in heard.words]

    assert [word.text for word in (first, second, third)] == ["שלום", "מה", "תודה"]
    assert 0 <= first.end <= second.end < third.end == 1400 * 8
    assert timeline.repeats == 0


def test_a_total_that_cannot_be_makes_no_two_words_of_one() -> None:
    """As if it had been quiet since: the second half of the word would come out as a word of its own."""
    reader = PortionReader()
    _read(reader, _response([SHA], heard=500, settled=420), sent_ms=3000)
    _read(reader, _response([], heard=10**9, settled=420), sent_ms=3000)
    (final,) = _read(reader, _response([LOM], marker="<fin>", heard=800, settled=800), sent_ms=3000)

    assert final.text == "שלום"


def test_final_tokens_whose_times_cannot_be_have_those_that_they_had_when_they_were_not_final() -> None:
    """Their audio may be seconds old: what was sent since is not committed with them."""
    reader = PortionReader()
    _read(reader, _response([], [("שלום", 300, 600), (" מה", 700, 860), (" לא", 900, 1000)], heard=1100), sent_ms=1200)
    bad = _response([("שלום", 10**9, 10**9)], [(" מה", -9, -9), (" לא", 900, 1000)], heard=0)
    held, *_ = _read(reader, bad, sent_ms=3000)
    final, interim = _read(reader, _response([(" מה", 10**9, 10**9)], [(" לא", 900, 1000)], heard=10**9), sent_ms=4000)

    assert held.words == (_word("שלום", 300, 600), _word("מה", 700, 860), _word("לא", 900, 1000))
    assert (final.words, final.end) == ((_word("שלום", 300, 600),), 600 * 8)
    assert interim.words == (_word("מה", 700, 860), _word("לא", 900, 1000))


def test_a_time_before_the_beginning_counts_as_none() -> None:
    pieces: list[Piece] = [("שלום", -900, -600), (" מה", 700, 860)]
    (final,) = _read(PortionReader(), _response(pieces, marker="<fin>", heard=900, settled=900))

    assert final.words == (_word("שלום", 0, 700), _word("מה", 700, 860))


def test_a_start_behind_its_end_counts_as_none() -> None:
    (final,) = _read(
        PortionReader(), _response([("שלום", 880, 600), (" מה", 700, 860)], marker="<fin>", heard=900, settled=900)
    )

    assert final.words == (_word("שלום", 0, 600), _word("מה", 700, 860))


@pytest.mark.parametrize(("over", "end"), [(100, 900), (101, 700)])
def test_a_time_is_rounded_by_up_to_100_ms_and_what_is_more_is_none(over: int, end: int) -> None:
    (final,) = _read(PortionReader(), _response([("שלום", 300, 900 + over)], marker="<fin>", heard=900, settled=700))

    assert final.words == (_word("שלום", 300, end),)


def test_a_word_without_a_time_lies_between_its_neighbours() -> None:
    reader = PortionReader()
    _read(reader, _response([SHA, LOM], marker="<fin>", heard=900, settled=800))
    untimed = [{"text": " תודה", "is_final": True}, *_tokens([(" מה", 1500, 1600)], final=True)]
    message = {"tokens": [*untimed, {"text": "<fin>", "is_final": True}], "final_audio_proc_ms": 1800}
    (final,) = _read(reader, parse(msgspec.json.encode({**message, "total_audio_proc_ms": 1900})))

    assert final.words == (_word("תודה", 800, 1500), _word("מה", 1500, 1600))


def test_times_that_go_back_behind_a_final_take_no_word_out_of_the_call() -> None:
    """Audio is committed by time: a final that lies before the last one is a repeat to the time line."""
    reader, timeline = PortionReader(), Timeline()
    stream = timeline.follow(0)
    messages = [
        _response([("שלום", 300, 900), (" מה", 900, 1000)], heard=1200, settled=1000),
        _response([(" שלומך", 400, 500)], heard=1300, settled=1000),
        _response([(" היום", 100, 120)], marker="<fin>", heard=1500, settled=1400),
        _response([(" תודה", 1300, 1350)], marker="<fin>", heard=2000, settled=1900),
    ]
    placed = [heard for message in messages for heard in timeline.place(stream, _read(reader, message))]
    finals = [word for heard in placed if heard.final for word in heard.words]

    assert [word.text for word in finals] == ["שלום", "מה", "שלומך", "היום", "תודה"]
    assert all(before.end <= after.start < after.end for before, after in pairwise(finals))
    assert timeline.repeats == 0


def test_a_time_that_is_still_to_come_does_not_push_the_words_behind_it() -> None:
    reader = PortionReader()
    _read(reader, _response([("שלום", 300, 90_000)], marker="<fin>", heard=900, settled=900))
    (final,) = _read(reader, _response([(" מה", 1000, 1100)], marker="<fin>", heard=1300, settled=1300))

    assert final.words == (_word("מה", 1000, 1100),)


def test_a_word_that_never_ends_is_cut_and_nothing_of_it_is_lost_or_kept() -> None:
    reader = PortionReader()
    pieces = [(f"{number % 10}א", number * 20, number * 20 + 20) for number in range(3000)]
    finals: list[str] = []
    for at in range(0, len(pieces), 50):
        held = _read(reader, _response(pieces[at : at + 50], heard=pieces[at + 49][2]))
        finals += [word.text for portion in held if portion.final for word in portion.words]
        assert all(len(word.text) <= LONGEST_WORD for portion in held for word in portion.words)
    finals += [word.text for word in _read(reader, _response([], marker="<fin>", heard=60_000))[0].words]

    assert "".join(finals) == "".join(text for text, _, _ in pieces)
    assert len(finals) == 6000 // LONGEST_WORD


def test_one_token_as_long_as_a_page_is_cut_into_words() -> None:
    (final,) = _read(PortionReader(), _response([("א" * 950, 0, 60)], marker="<fin>", heard=100, settled=100))

    assert [len(word.text) for word in final.words] == [*[LONGEST_WORD] * 9, 50]
    assert final.end == 800


@few_by_day(10)
@given(
    seed=st.integers(0, 10_000),
    spaced=st.floats(0, 1),
    final_after_ms=st.sampled_from([400, 2000]),
    rate=st.sampled_from([1.0, 2.5, 1000.0]),
    untidy=st.booleans(),
)
@example(seed=0, spaced=0.0, final_after_ms=2000, rate=1000.0, untidy=False)  # a replay, all at once
@example(seed=1, spaced=0.0, final_after_ms=400, rate=1.0, untidy=True)
@example(seed=5, spaced=0.0, final_after_ms=2000, rate=1000.0, untidy=True)  # a time that was guessed comes later
def test_whatever_the_double_makes_of_them_the_words_come_out_once_and_where_they_were_said(
    seed: int, spaced: float, final_after_ms: int, rate: float, untidy: bool
) -> None:
    said = script((("כמה", "תודה"), ("כתובת", "לא", "חשבון")), gap_ms=900)
    settings = SonioxDoubleSettings(
        seed=seed, spaced=spaced, revised=0.3, final_after_ms=final_after_ms, pacing_factor=0, untidy=untidy
    )
    session = HeardSession(settings)
    session.speak(said.mulaw, rate)
    session.finish()
    reader = PortionReader()

    sent = len(said.mulaw) // 8
    portions = [p for message in session.said for p in _read(reader, msgspec.convert(message, SonioxResponse), sent)]
    finals = [word for portion in portions if portion.final for word in portion.words]

    assert [word.text for word in finals] == [word.text for word in said.words]
    both = list(zip(finals, said.words, strict=True))
    assert untidy or all(
        abs(heard.start - spoken.start) <= 80 and abs(heard.end - spoken.end) <= 80 for heard, spoken in both
    )
    near = [span for span in said.utterances for _ in span.text.split()]
    assert all(
        span.start - 450 * 8 < heard.place < span.end + 450 * 8 for heard, span in zip(finals, near, strict=True)
    )
    assert portions[-1].final
