"""A recognizer without word times and with sessions of ten minutes, which announces their end. In virtual time.

Gemini Transcribe Live is of this kind: interims are the whole utterance so far, a final comes where the caller pauses
or where it is asked for, neither has any time, and a session ends ten minutes after it began.
"""

from __future__ import annotations

import gc
from dataclasses import replace
from itertools import pairwise

import pytest

from batkol.recognizers.streaming.events import AudioLost, RecognizerChanged, StreamReplaced, StreamRotated
from batkol.recognizers.streaming.stream import Stream
from batkol.speech.rotation import Why
from batkol.speech.utterance import Source
from batkol.voices.marked.voice import WORDS, script
from support.speech.memory_vendor import TIMED, UNTIMED, broken
from support.speech.vendor_call import KnowingFallback, VendorCall, vendor_call
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time

NAME = "gemini/transcribe-live"
SHORT = replace(UNTIMED, limit=20.0, rotate_after=8.0, rotate_by=12.0)
TALK = script([WORDS[at : at + 4] for at in range(0, 24, 4)], gap_ms=2500)
MONOLOGUE = script([[*WORDS] * 2])
"""One utterance without a pause."""

NEAR = script([WORDS[at : at + 3] for at in range(0, 15, 3)], gap_ms=1200)
"""Each utterance begins before a single request has answered for the one before it."""


def cuts(call: VendorCall) -> list[Why]:
    return [each.cut.why for each in call.told.of(StreamRotated)]


async def say_all(call: VendorCall) -> None:
    for index in range(len(call.spoken.utterances)):
        await call.say(index)


async def test_a_session_is_replaced_in_silence_before_its_ten_minutes_are_over() -> None:
    async with vendor_call(TALK, traits={NAME: SHORT}) as call:
        await say_all(call)

    sessions = call.vendors[0].connections
    assert call.text == TALK.text
    assert cuts(call)
    assert set(cuts(call)) == {Why.SILENCE}
    assert len(sessions) == len(cuts(call)) + 1
    for old, new in pairwise(sessions):
        assert old.half_closed_at is not None
        assert new.opened_at <= old.half_closed_at < old.opened_at + 20.0, "make before break, before the limit"
    assert (call.told.of(AudioLost), call.told.of(StreamReplaced), call.single.asked) == ([], [], [])


async def test_a_call_keeps_no_session_that_has_ended() -> None:
    """A call of hours has one every few minutes."""
    async with vendor_call(TALK, traits={NAME: SHORT}) as call:
        await say_all(call)
        sessions = len(cuts(call)) + 1
        call.told.events.clear()
        gc.collect()
        streams = [each for each in gc.get_objects() if isinstance(each, Stream)]
        kept = sum(each.recognizer is call.vendors[0] for each in streams)

    assert 1 <= kept <= 2 < sessions, "the one that hears the call, and the one that it has replaced"


async def test_a_session_that_announces_its_end_is_replaced_well_before_that() -> None:
    async with vendor_call(TALK, traits={NAME: UNTIMED}) as call:
        call.vendors[0].goes_away_after = 6.0
        await say_all(call)

    assert call.text == TALK.text
    assert cuts(call)
    assert call.told.of(StreamReplaced) == []


async def test_a_caller_who_never_pauses_loses_no_word_where_the_session_must_change() -> None:
    async with vendor_call(MONOLOGUE, traits={NAME: SHORT}) as call:
        await say_all(call)

    assert set(cuts(call)) == {Why.FORCED}
    assert call.text == MONOLOGUE.text
    assert call.single.asked == []


async def test_a_caller_who_never_pauses_loses_no_word_where_the_vendor_announces_the_end() -> None:
    async with vendor_call(MONOLOGUE, traits={NAME: UNTIMED}) as call:
        call.vendors[0].goes_away_after, call.vendors[0].notice = 7.0, 12.0
        await say_all(call)

    assert set(cuts(call)) == {Why.FORCED}
    assert call.text == MONOLOGUE.text
    assert call.told.of(StreamReplaced) == []


async def test_a_session_that_ends_without_a_word_is_replayed_from_the_last_final() -> None:
    async with vendor_call(TALK, traits={NAME: UNTIMED}) as call:
        await call.say(0)
        await call.begin(1, words=3)
        call.vendors[0].die(broken())
        await call.end(1)
        await until(lambda: 1 in call.told.texts)
        for index in range(2, len(TALK.utterances)):
            await call.say(index)

    assert call.text == TALK.text
    assert [each.reason for each in call.told.of(StreamReplaced)] == ["unavailable"]
    assert call.single.asked == []


async def test_every_utterance_keeps_its_own_words_though_no_word_has_a_time() -> None:
    async with vendor_call(TALK, traits={NAME: SHORT}) as call:
        await say_all(call)

    heard = {**call.told.texts, **dict(call.told.revisions)}
    assert [heard[index] for index in sorted(heard)] == [span.text for span in TALK.utterances]


@pytest.mark.parametrize("takes_s", [0.2, 2.5, 6.0])
async def test_words_that_a_single_request_has_answered_are_not_heard_twice(takes_s: float) -> None:
    """A session that opens late hears at once all that was said, across two utterances and without a time.

    The answer comes before the session's text, while later utterances grow, or when they have their finals.
    """
    single = KnowingFallback(NEAR, takes_s=takes_s)
    async with vendor_call(NEAR, traits={NAME: UNTIMED}, single=single) as call:
        (vendor,) = call.vendors
        await call.say(0)
        vendor.opening_s = 3.8
        await call.begin(1)
        vendor.die(broken())
        await call.end(1)
        for index in range(2, len(NEAR.utterances)):
            await call.begin(index)
            await call.end(index)
        await until(lambda: len(call.told.texts) == len(NEAR.utterances))

    heard = {**call.told.texts, **dict(call.told.revisions)}
    assert [heard[index] for index in sorted(heard)] == [span.text for span in NEAR.utterances]
    assert call.told.sources[1] is Source.SINGLE


async def test_a_session_without_word_times_begins_exactly_where_the_other_recognizer_has_committed() -> None:
    async with vendor_call(MONOLOGUE, traits={"first/a": TIMED, NAME: UNTIMED}) as call:
        first, second = call.vendors
        await call.begin(0, words=8)
        await first.connections[0].flush()
        await until(lambda: bool(first.connections[0].final_at))
        first.refusal = broken()
        first.die(first.refusal)
        await call.end(0)
        await until(lambda: 0 in call.told.texts)

    assert [change.after for change in call.told.of(RecognizerChanged)] == [NAME]
    assert second.connections[0].base in {word.end for word in MONOLOGUE.words}
    assert call.text == MONOLOGUE.text


async def test_a_change_that_takes_long_to_open_gives_no_word_to_the_utterance_before() -> None:
    """The old session hears the utterance as well meanwhile, and the new one answers nothing: a single request does."""
    single = KnowingFallback(NEAR)
    async with vendor_call(NEAR, traits={"first/a": TIMED, NAME: UNTIMED}, single=single, preferred=NAME) as call:
        first, _ = call.vendors
        await call.say(0)
        first.opening_s = 1.0
        call.preferred = "first/a"
        await call.begin(1)
        await call.feed(NEAR.utterances[1].start + 10_000)
        first.hangs = True
        await call.end(1)
        await until(lambda: 1 in call.told.texts)

    assert call.told.texts == {0: NEAR.utterances[0].text, 1: NEAR.utterances[1].text}
    assert (call.told.revisions, call.told.sources[1]) == ([], Source.SINGLE)


async def test_a_session_that_ends_at_a_guess_in_mid_word_loses_no_word() -> None:
    """A final is dated by the audio that was sent, in the midst of the next word, of which nothing was heard so far."""
    async with vendor_call(MONOLOGUE, traits={NAME: UNTIMED}) as call:
        (vendor,) = call.vendors
        word = MONOLOGUE.words[6]
        await call.begin(0, words=6)
        await call.feed(word.end - 400)
        await vendor.connections[0].flush()
        await until(lambda: bool(vendor.connections[0].final_at))
        vendor.die(broken())
        await call.end(0)
        await until(lambda: 0 in call.told.texts)

    assert len(vendor.connections) == 2
    assert call.text == MONOLOGUE.text
