"""The policy in virtual time: streams and requests that fail."""

import asyncio

import pytest
from structlog.testing import capture_logs

from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.speech.utterance import Mode, Source
from batkol.voices.marked.voice import WORDS, script
from support.process.killing import cancel
from support.speech.policy_call import (
    BROKEN,
    FAILED,
    GOES_ON,
    HASTY,
    REFUSED,
    THREE,
    TWO,
    dying,
    failures,
    in_memory,
    warnings,
)
from support.speech.scripted_recognizer import ScriptedRecognizer, unreachable
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time


async def test_a_stream_that_dies_in_mid_utterance_is_replaced_and_the_utterance_goes_on() -> None:
    with capture_logs() as logs:
        async with in_memory(THREE, faults=(dying(1.0, times=1),)) as talk:
            for index in range(3):
                await talk.say(index)

            talk.right(0, 1, 2)
            assert set(talk.told.sources.values()) == {Source.FINAL}
            assert (talk.told.opened, talk.streams, talk.unary) == (1, 2, 0)
            assert (talk.told.reconnects, talk.told.steps) == (["unavailable"], [])
    assert warnings(logs) == [GOES_ON]


@pytest.mark.parametrize("victim", ["stt.send", "stt.read"])
async def test_a_stream_one_of_whose_tasks_is_cancelled_by_accident_is_replaced(victim: str) -> None:
    async with in_memory(THREE) as talk:
        await talk.say(0)
        assert cancel(victim) == 1
        for index in (1, 2):
            await talk.say(index)

        talk.right(0, 1, 2)
        assert (talk.told.opened, talk.streams, talk.unary) == (1, 2, 0)
        assert talk.told.reconnects == ["cancelled"]


async def test_a_session_that_is_cancelled_by_accident_is_followed_by_another() -> None:
    async with in_memory(THREE) as talk:
        await talk.say(0)
        assert cancel("stt.session") == 1
        await until(lambda: talk.told.closed == 1)
        for index in (1, 2):
            await talk.say(index)

        talk.right(0, 1, 2)
        assert (talk.told.opened, talk.streams, talk.unary) == (2, 2, 0)


async def test_where_no_stream_is_to_be_had_a_single_request_gets_the_same_audio() -> None:
    with capture_logs() as logs:
        async with in_memory(faults=BROKEN) as talk:
            await talk.begin(0)
            await until(lambda: talk.told.closed == 1)
            assert not talk.transcription.session_open
            await talk.end(0)
            await until(lambda: 0 in talk.told.texts)

            talk.right(0)
            assert talk.told.sources[0] is Source.SINGLE
            assert talk.told.steps == [("streaming", "unavailable")]
            assert talk.unary == 1

    assert failures(logs) == [FAILED + "UNAVAILABLE: The service is currently unavailable."]


async def test_the_next_utterance_streams_again() -> None:
    async with in_memory(faults=BROKEN) as talk:
        await talk.begin(0)
        await until(lambda: talk.told.closed == 1)
        await talk.end(0)
        await until(lambda: 0 in talk.told.texts)
        await talk.say(1)

        talk.right(0, 1)
        assert talk.told.sources[1] is Source.FINAL
        assert (talk.told.opened, talk.streams) == (2, 3)


async def test_a_session_that_is_lost_while_an_utterance_waits_for_its_final_has_it_answered_by_a_single_request() -> (
    None
):
    async with in_memory(faults=(Fault(kind=Kind.SLOW_FINALS, latency_s=4.0),)) as talk:
        await talk.say(0, settle=False)
        talk.double.inject(Fault(kind=Kind.END), Fault(kind=Kind.END, when=Moment.ELAPSED, running=True))
        await until(lambda: 0 in talk.told.texts)

        talk.right(0)
        assert (talk.told.sources[0], talk.unary) == (Source.SINGLE, 1)
        assert talk.told.closed == 1


async def test_after_the_single_request_whisper_gets_the_same_audio() -> None:
    whisper = ScriptedRecognizer("מה שוויספר שמע")
    with capture_logs() as logs:
        async with in_memory(faults=(*BROKEN, REFUSED), whisper=whisper) as talk:
            await talk.begin(0)
            await until(lambda: talk.told.closed == 1)
            await talk.end(0)
            await until(lambda: 0 in talk.told.texts)

            assert talk.told.texts[0] == "מה שוויספר שמע"
            assert talk.told.sources[0] is Source.WHISPER
            assert talk.told.steps == [("streaming", "unavailable"), ("single", "unavailable")]
    (audio,) = whisper.asked
    assert audio in talk.spoken.mulaw
    assert [line.partition(" err=")[0] for line in failures(logs)] == [
        FAILED.removesuffix(" err="),
        "[STT] single failed",
    ]


async def test_when_nobody_can_hear_it_the_final_says_so_and_every_step_is_logged_once() -> None:
    whisper = ScriptedRecognizer(unreachable("http_error"))
    with capture_logs() as logs:
        async with in_memory(faults=(dying(0.2), REFUSED), whisper=whisper) as talk:
            await talk.feed(talk.spoken.utterances[0].start)
            await until(lambda: talk.told.closed == 1)
            talk.on = False
            await talk.say(0)

            assert (talk.told.texts[0], talk.told.sources[0]) == ("", Source.NONE)
            assert talk.told.unheard == [0]
            assert talk.told.steps == [
                ("streaming", "unavailable"),
                ("single", "unavailable"),
                ("whisper", "http_error"),
            ]
    assert failures(logs) == [
        FAILED + "UNAVAILABLE: The service is currently unavailable.",
        "[STT] single failed",
        "[STT] whisper failed",
        "[STT] no recognizer could be reached for an utterance; its words are lost",
    ]
    assert not any(word in repr(logs) for word in TWO.text.split())


async def test_words_that_another_recognizer_did_not_find_are_not_unheard() -> None:
    """A hum: that it has no word is known."""
    async with in_memory(faults=(dying(0.2), REFUSED), whisper=ScriptedRecognizer("")) as talk:
        await talk.say(0)

        assert (talk.told.texts[0], talk.told.sources[0]) == ("", Source.NONE)
        assert talk.told.unheard == []


async def test_what_nobody_could_be_reached_to_hear_is_heard_later_and_the_record_put_right() -> None:
    """Google is away, and back after a moment: the final went out without words, and the audio is still in hand."""
    away = Fault(kind=Kind.END, surface=Surface.UNARY, times=2)
    async with in_memory(on=False, faults=(away,), late_attempts=3) as talk:
        await talk.say(0)
        assert (talk.told.texts[0], talk.told.sources[0]) == ("", Source.NONE)
        await until(lambda: talk.told.revisions)

        assert talk.told.revisions == [(0, talk.spoken.utterances[0].text)]
        assert talk.unary == 3


async def test_what_the_stream_had_heard_is_better_than_nothing() -> None:
    with_partials = script([WORDS[0:5]])
    async with in_memory(with_partials, faults=(dying(2.5), REFUSED)) as talk:
        await talk.begin(0, words=3)
        await until(lambda: talk.told.partials or talk.told.closed)
        await talk.end(0)
        await until(lambda: 0 in talk.told.texts)

        assert talk.told.sources[0] is Source.INTERIM
        assert with_partials.text.startswith(talk.told.texts[0].split()[0])


async def test_a_stream_that_is_refused_at_the_start_costs_no_word() -> None:
    """Trap: a session that failed and looks alive would swallow every utterance from here on."""
    refused = Fault(kind=Kind.END, code="RESOURCE_EXHAUSTED")
    async with in_memory(faults=(refused,)) as talk:
        await talk.say(0)
        await talk.say(1)

        talk.right(0, 1)
        assert not talk.transcription.session_open
        assert talk.told.modes[1] is Mode.SINGLE
        assert (talk.streams, talk.unary) == (1, 2)  # too much was asked of Google: nothing is asked again for a while


async def test_a_configuration_google_refuses_is_not_tried_twice() -> None:
    with capture_logs() as logs:
        async with in_memory(THREE, faults=(Fault(kind=Kind.END, code="INVALID_ARGUMENT"),)) as talk:
            for index in range(3):
                await talk.say(index)

            talk.right(0, 1, 2)
            assert talk.streams == 1
    assert len(warnings(logs)) == 1


async def test_a_call_whose_session_keeps_failing_stays_on_single_requests() -> None:
    four = script([WORDS[i : i + 2] for i in range(0, 8, 2)])
    async with in_memory(four, faults=(Fault(kind=Kind.END, when=Moment.FIRST_AUDIO),)) as talk:
        for index in range(4):
            await talk.say(index)

        talk.right(0, 1, 2, 3)
        assert talk.streams == 4
        assert talk.told.modes[2:] == [Mode.SINGLE] * 2


async def test_googles_time_limit_is_no_failure() -> None:
    limit = Fault(kind=Kind.END, when=Moment.AUDIO, seconds=1.0, code="OUT_OF_RANGE", times=2)
    with capture_logs() as logs:
        async with in_memory(THREE, faults=(limit,)) as talk:
            for index in range(3):
                await talk.say(index)

            talk.right(0, 1, 2)
            assert talk.streams == 3
    assert warnings(logs) == []


async def test_a_stream_that_takes_over_in_mid_utterance_and_says_nothing_is_replaced() -> None:
    """The stream before it has given partials: the utterance has text of a stream, and not of this one."""
    silent = Fault(kind=Kind.STALL, streams=(2,))
    async with in_memory(THREE, faults=(silent,)) as talk:
        await talk.begin(0, words=2)
        await until(lambda: talk.told.partials)
        talk.double.inject(Fault(kind=Kind.END, when=Moment.ELAPSED, running=True, streams=(1,)))
        await talk.end(0)
        await until(lambda: 0 in talk.told.texts)
        await until(lambda: not talk.transcription.session_open)
        for index in (1, 2):
            await talk.say(index)

        talk.right(1, 2)
        assert {**talk.told.texts, **dict(talk.told.revisions)}[0] == talk.spoken.utterances[0].text
        assert talk.told.sources == {0: Source.INTERIM, 1: Source.FINAL, 2: Source.FINAL}
        assert talk.streams == 3
        assert ("streaming", "stalled") in talk.told.steps


async def test_a_text_that_went_out_is_not_called_lost_when_nobody_can_check_it() -> None:
    """It is asked for once by each recognizer, and not again and again: its words are known."""
    with capture_logs() as logs:
        async with in_memory(faults=(REFUSED,), late_attempts=3) as talk:
            talk.tune(HASTY)
            await talk.begin(0, words=3)
            await until(lambda: talk.told.partials and talk.told.partials[-1][1].count(" ") == 2)
            talk.double.inject(Fault(kind=Kind.STALL, when=Moment.ELAPSED, running=True))
            await asyncio.sleep(0.1)
            await talk.end(0)
            await until(lambda: talk.unary)
            await asyncio.sleep(2)

            assert (talk.unary, talk.told.sources) == (1, {0: Source.INTERIM})
    assert not [line for line in logs if "its words are lost" in line["event"]]
