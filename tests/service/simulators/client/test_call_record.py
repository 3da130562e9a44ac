from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batkol.events.events import (
    CallEnded,
    FinalText,
    PartialText,
    TentativeText,
    TentativeWithdrawn,
    UtteranceEnded,
    UtteranceStarted,
)
from batkol.simulators.client.call_record import CallWatch, Said, align, words_of, words_right

WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=8)


def event(kind: Any, **fields: Any) -> Any:
    """Make an event, with made-up values for what the test does not care about."""
    made_up = {"call_sid": "CA1", "seq": 1, "at": 0.0, "utterance_id": "u", "index": 0, "text": "", "mode": "streaming"}
    made_up |= {"source": "final", "begin_ms": 0, "end_ms": 0, "words": 0, "partials": 0, "first_partial_ms": None}
    made_up |= {"latency_ms": 500.0, "stability": 0.0, "number": 1, "speech_ms": 0, "flag_variant": "on"}
    made_up |= {"flag_reason": "STATIC", "reason": "stop", "duration_s": 5.0, "utterances": 1, "finals": {}}
    made_up |= {"fallbacks": 0, "sessions": 1, "gap_ms": 0, "close_code": 1000}
    wanted = set(kind.__struct_fields__)
    return kind(**{name: value for name, value in (made_up | fields).items() if name in wanted})


def test_punctuation_is_not_part_of_a_word_but_a_garble_is_one() -> None:
    assert words_of("מה, שלום ⟨?⟩ תודה?") == ["מה", "שלום", "⟨?⟩", "תודה"]


@given(WORDS, WORDS)
def test_no_more_words_are_right_than_were_said_or_heard(said: list[str], heard: list[str]) -> None:
    right = words_right(said, heard)

    assert right <= min(len(said), len(heard))
    assert right == words_right(heard, said)
    assert words_right(said, said) == len(said)


def test_a_lost_a_doubled_and_a_swapped_word_each_cost_one() -> None:
    assert words_right("abcd", "abd") == 3
    assert words_right("abcd", "abbcd") == 4
    assert words_right("abcd", "acbd") == 3


def test_each_final_goes_to_the_utterance_it_lies_in_even_if_it_was_cut_in_two() -> None:
    watch = CallWatch("CA1")
    for index, (begin, end, text) in enumerate([(0, 900, "a"), (1000, 1900, "b."), (4000, 5000, "c?")]):
        watch.observe(event(FinalText, index=index, begin_ms=begin, end_ms=end, text=text))

    rows = align([Said(("a", "b"), 300, 1800), Said(("c",), 4200, 4900), Said(("d",), 8000, 9000)], watch)

    assert [len(row.heard) for row in rows] == [2, 1, 0]
    assert [row.perfect for row in rows] == [True, True, False]
    assert [row.right for row in rows] == [2, 1, 0]


def test_a_word_too_many_is_not_perfect_though_all_are_right() -> None:
    watch = CallWatch("CA1")
    watch.observe(event(FinalText, text="a b b", end_ms=500))

    (row,) = align([Said(("a", "b"), 0, 500)], watch)

    assert (row.right, row.perfect) == (2, False)


def test_gaps_are_between_the_partials_of_one_utterance() -> None:
    watch = CallWatch("CA1")
    for index, at in ((0, 1.0), (0, 1.2), (1, 5.0), (1, 5.25)):
        watch.observe(event(PartialText, index=index, at=at))

    gaps = [round(gap) for seen in watch.utterances.values() for gap in seen.gaps_ms]

    assert gaps == [200, 250]


def test_a_tentative_stands_until_it_is_withdrawn_or_the_final_comes() -> None:
    watch = CallWatch("CA1")
    watch.observe(event(TentativeWithdrawn, number=1, reason="speech"))  # of one that this subscriber never got
    watch.observe(event(TentativeText, number=2, text="a"))
    seen = watch.utterances[0]
    assert seen.standing is not None
    watch.observe(event(TentativeWithdrawn, number=2, reason="text"))
    assert seen.standing is None
    watch.observe(event(TentativeText, number=3, text="a b"))
    watch.observe(event(UtteranceEnded, end_ms=900))
    assert (seen.standing, seen.ended) == (seen.tentatives[-1], event(UtteranceEnded, end_ms=900))
    watch.observe(event(FinalText, text="a b", confirms=3))
    assert seen.standing is None
    assert seen.final is not None
    assert seen.final.confirms == 3


async def test_other_calls_are_left_alone_and_the_end_ends_the_following() -> None:
    handed_on: list[Any] = []
    watch = CallWatch("CA1", handed_on.append)

    async def events() -> Any:
        yield event(UtteranceStarted, call_sid="CA2")
        yield event(UtteranceStarted)
        yield event(CallEnded)
        raise AssertionError("nobody asks for more")

    await watch.follow(events())

    assert [type(one) for one in handed_on] == [UtteranceStarted, CallEnded]
    assert await watch.until(lambda: watch.ended is not None, 5)
    assert not await watch.until(lambda: False, 0.01)
