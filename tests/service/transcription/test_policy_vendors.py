"""Several streaming recognizers under one call: chosen by flag, and one after another by failure. In virtual time."""

from __future__ import annotations

import asyncio

import pytest

from batkol.audio.segmenter import SegmentQuiet, SegmentResumed
from batkol.recognizers.streaming.errors import NO_STREAM_FREE, Next
from batkol.recognizers.streaming.events import StreamOpening, StreamReplaced, StreamRotated
from batkol.speech.breaker import BreakerState
from batkol.speech.rotation import Why
from batkol.speech.utterance import Source
from batkol.transcription.events import FinalReady, StepFailed
from batkol.voices.marked.voice import WORDS, script
from support.speech.memory_vendor import TIMED, UNTIMED, broken
from support.speech.policy_call import PRE_ROLL, QUIET
from support.speech.vendor_call import KnowingFallback, VendorCall, vendor_call
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time

THREE = script([WORDS[0:3], WORDS[3:6], WORDS[6:9]], gap_ms=1500)
LONG = script([WORDS[0:3], WORDS * 3])
"""The second utterance goes on long enough for a vendor to fail in it, and another one to take over."""

FIRST, SECOND = "first/a", "second/b"


def by(call: VendorCall) -> list[str]:
    """Who gave the text of each final."""
    return [event.utterance.recognizer for event in call.told.of(FinalReady)]


async def test_a_flag_changes_the_recognizer_by_one_planned_cut_where_the_utterance_begins() -> None:
    async with vendor_call(THREE) as call:
        await call.say(0)
        call.preferred = SECOND
        await call.say(1)
        call.preferred = FIRST
        await call.say(2)

    assert call.text == THREE.text
    assert by(call) == [FIRST, SECOND, FIRST]
    assert call.changes == [(SECOND, "chosen"), (FIRST, "chosen")]
    rotated = call.told.of(StreamRotated)
    assert [(each.cut.why, each.recognizer) for each in rotated] == [(Why.CHOSEN, SECOND), (Why.CHOSEN, FIRST)]
    assert [each.cut.limit for each in rotated] == [span.start - PRE_ROLL for span in THREE.utterances[1:]]
    assert (call.told.opened, len(call.single.asked), call.told.revisions) == (1, 0, [])


async def test_a_call_begins_with_the_recognizer_that_its_flag_names() -> None:
    async with vendor_call(THREE) as call:
        pass
    assert [opening.stream.recognizer.name for opening in call.told.of(StreamOpening)] == [FIRST]

    async with vendor_call(THREE, preferred=SECOND) as call:
        await call.say(0, 1)
    assert [opening.stream.recognizer.name for opening in call.told.of(StreamOpening)] == [SECOND]
    assert by(call) == [SECOND, SECOND]


async def test_a_name_that_there_is_not_changes_nothing() -> None:
    async with vendor_call(THREE, preferred=SECOND) as call:
        await call.say(0)
        call.preferred = "third/c"
        await call.say(1)

    assert (by(call), call.changes) == ([SECOND, SECOND], [])


@pytest.mark.parametrize("step", [Next.REPLAY, Next.COOL_OFF, Next.MISCONFIGURED])
async def test_a_vendor_that_dies_in_mid_utterance_and_refuses_is_followed_by_the_other(step: Next) -> None:
    async with vendor_call(LONG) as call:
        first, _ = call.vendors
        await call.say(0)
        await call.begin(1, words=6)
        first.refusal = broken(step=step)
        first.die(first.refusal)
        partials, died = len(call.told.partials), asyncio.get_running_loop().time()
        await asyncio.gather(call.end(1), until(lambda: len(call.told.partials) > partials))
        waited = asyncio.get_running_loop().time() - died
        await until(lambda: 1 in call.told.texts)

    assert call.text == LONG.text
    assert call.changes == [(SECOND, "unavailable")]
    assert (len(call.single.asked), call.told.sources[1]) == (0, Source.FINAL)
    assert waited < 60
    texts = [text for index, text in call.told.partials[partials:] if index == 1]
    assert all(LONG.utterances[1].text.startswith(text) for text in texts)


async def test_the_next_partial_after_a_fault_comes_within_a_second() -> None:
    async with vendor_call(LONG) as call:
        first, _ = call.vendors
        await call.say(0)
        await call.begin(1, words=4)
        speaking = asyncio.create_task(call.end(1))
        first.refusal = broken()
        partials, died = len(call.told.partials), asyncio.get_running_loop().time()
        first.die(first.refusal)
        while len(call.told.partials) == partials:
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - died <= 1.0
        await speaking


async def test_a_vendor_that_hangs_in_mid_utterance_is_given_up_after_two_seconds_of_speech() -> None:
    async with vendor_call(LONG) as call:
        first, _ = call.vendors
        await call.say(0)
        await call.begin(1, words=4)
        first.hangs = True
        partials, hung = len(call.told.partials), asyncio.get_running_loop().time()
        speaking = asyncio.create_task(call.end(1))
        while len(call.told.partials) == partials:
            await asyncio.sleep(0.01)
        waited = asyncio.get_running_loop().time() - hung
        await speaking
        await until(lambda: 1 in call.told.texts)

    assert 1.5 <= waited <= 3.3
    assert call.changes == [(SECOND, "stalled")]
    assert (call.text, len(call.single.asked)) == (LONG.text, 0)


async def test_a_vendor_that_opens_no_stream_is_given_up_after_two_seconds() -> None:
    async with vendor_call(LONG, hanging=FIRST) as call:
        await call.say(0, 1)

    assert call.changes == [(SECOND, "stalled")]
    assert (call.text, len(call.single.asked)) == (LONG.text, 0)


async def test_a_refusal_of_one_model_is_grave_for_that_recognizer_alone() -> None:
    refusal = broken("not_found", Next.MISCONFIGURED)
    async with vendor_call(THREE, refusing=(FIRST, refusal)) as call:
        await call.say(0, 1, 2)
        first, second = call.recognizers.streaming

    assert (call.text, by(call)) == (THREE.text, [SECOND] * 3)
    assert (first.breaker.state, first.breaker.grave) == (BreakerState.OPEN, True)
    assert (second.breaker.state, second.breaker.grave) == (BreakerState.CLOSED, False)


async def test_with_every_vendor_dead_the_single_request_gets_the_same_audio() -> None:
    async with vendor_call(LONG) as call:
        await call.say(0)
        await call.begin(1, words=5)
        for vendor in call.vendors:
            vendor.refusal = broken()
        call.vendors[0].die(broken())
        call.single.asked.clear()
        await call.end(1)
        await until(lambda: 1 in call.told.texts)

    utterance = LONG.utterances[1]
    assert call.changes == [(SECOND, "unavailable")]
    assert [len(audio) >= utterance.end - utterance.start for audio in call.single.asked] == [True]
    assert [(each.step, each.reason, each.recognizer) for each in call.told.of(StepFailed)] == [
        ("streaming", "unavailable", SECOND)
    ]


async def test_a_fault_counts_for_the_vendor_that_had_it_and_not_for_the_one_that_takes_over() -> None:
    async with vendor_call(LONG) as call:
        first, _ = call.vendors
        await call.begin(0)
        first.refusal = broken()
        first.die(first.refusal)
        await call.end(0)
        await until(lambda: 0 in call.told.texts)

    (replaced,) = call.told.of(StreamReplaced)
    assert (replaced.reason, replaced.failed, replaced.recognizer) == ("unavailable", FIRST, SECOND)


async def test_a_call_goes_back_to_the_recognizer_it_prefers_when_that_one_has_rested() -> None:
    spoken = script([WORDS[0:3], WORDS[3:6], WORDS[6:9], WORDS[0:2]], gap_ms=16_000)
    async with vendor_call(spoken) as call:
        first, _ = call.vendors
        await call.begin(0)
        first.refusal = broken()
        first.die(first.refusal)
        await call.end(0)
        first.refusal = None
        await call.say(1, 2, 3)

    assert call.changes == [(SECOND, "unavailable"), (FIRST, "chosen")]
    assert (call.text, by(call)[-1]) == (spoken.text, FIRST)


async def test_a_chosen_recognizer_that_refuses_leaves_the_call_where_it_is_and_rests() -> None:
    async with vendor_call(THREE) as call:
        _, second = call.vendors
        second.refusal = broken()
        call.preferred = SECOND
        await call.say(0, 1, 2)

    assert (call.text, by(call), call.changes) == (THREE.text, [FIRST] * 3, [])
    refused = [each.stream for each in call.told.of(StreamOpening) if each.stream.recognizer.name == SECOND]
    assert len(refused) == 1


async def test_a_chosen_recognizer_without_a_free_stream_costs_the_old_stream_nothing() -> None:
    async with vendor_call(THREE) as call:
        _, second = call.vendors
        second.refusal = broken(NO_STREAM_FREE, Next.COOL_OFF)
        await call.say(0)
        call.preferred = SECOND
        await call.say(1, 2)

    assert (call.text, by(call), call.changes) == (THREE.text, [FIRST] * 3, [])
    assert len(call.vendors[0].connections) == 1
    assert call.recognizers.step(SECOND).breaker.state is BreakerState.CLOSED


async def test_a_recognizer_that_can_finalize_is_asked_two_tenths_of_a_second_after_the_last_word() -> None:
    async with vendor_call(THREE) as call:
        await call.begin(0, words=3)
        assert call.vendors[0].connections[0].flushes == 0
        await call.end(0)
        await until(lambda: 0 in call.told.texts)
        assert call.vendors[0].connections[0].flushes == 1

    assert call.told.sources[0] is Source.FINAL


async def test_a_pause_that_is_none_asks_for_no_final_in_mid_word() -> None:
    """A detector may take a soft end of a word for a pause, and notice the next word late."""
    async with vendor_call(LONG) as call:
        await call.say(0)
        (connection,) = call.vendors[0].connections
        await call.begin(1, words=3)
        word = next(word for word in LONG.words if word.start >= call.ring.end)
        call.transcription.speech_paused(SegmentQuiet(call.ring.end - QUIET, call.ring.end))
        asked = connection.flushes
        await call.feed(word.end)
        call.transcription.speech_paused(SegmentResumed(word.start, call.ring.end))
        assert connection.flushes == asked
        await call.end(1)
        await until(lambda: 1 in call.told.texts)
        assert connection.flushes == asked + 1

    assert call.text == LONG.text


@pytest.mark.parametrize("there", [True, False])
async def test_a_change_between_a_vendor_with_word_times_and_one_without_loses_and_doubles_no_word(there: bool) -> None:
    order = {FIRST: TIMED, SECOND: UNTIMED} if there else {FIRST: UNTIMED, SECOND: TIMED}
    async with vendor_call(THREE, traits=order) as call:
        await call.say(0)
        call.preferred = SECOND
        await call.say(1)
        call.preferred = FIRST
        await call.say(2)

    assert (call.text, by(call)) == (THREE.text, [FIRST, SECOND, FIRST])


async def test_a_vendor_without_word_times_that_takes_over_late_doubles_and_loses_no_word() -> None:
    """It hears the missed utterance, and the beginning of the next one, when a single request is on its way."""
    spoken = script([WORDS[0:1], WORDS[1:3], WORDS[3:9]], gap_ms=1200)
    async with vendor_call(spoken, traits={FIRST: TIMED, SECOND: UNTIMED}, single=KnowingFallback(spoken)) as call:
        first, _ = call.vendors
        await call.say(0)
        first.refusal, first.hangs = broken("unauthenticated", Next.MISCONFIGURED), True
        await call.begin(1)
        first.die(broken("session_limit", Next.ROTATE))
        await call.end(1)
        await call.say(2)

    assert call.changes == [(SECOND, "stalled")]
    assert call.text == spoken.text
