"""The policy in virtual time: on and off, tuning, the end of a call."""

import asyncio
from itertools import pairwise

import msgspec
import pytest
from structlog.testing import capture_logs

from batkol.live.tuning import Tuning
from batkol.simulators.google.faults import Fault, Kind
from batkol.simulators.google.settings import DoubleSettings
from batkol.speech.utterance import Mode, Source
from batkol.speech.utterances import LONGEST
from batkol.voices.marked.voice import WORDS, script
from support.google.scripted import ScriptedGoogle, ServedStream, result
from support.speech.policy_call import PATIENT, THREE, TWO, in_memory, warnings
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time


async def test_streaming_is_one_session_with_partials_and_one_final_an_utterance() -> None:
    async with in_memory(THREE) as talk:
        for index in range(3):
            await talk.say(index)

        talk.right(0, 1, 2)
        assert set(talk.told.sources.values()) == {Source.FINAL}
        assert {index for index, _ in talk.told.partials} == {0, 1, 2}
        assert (talk.told.opened, talk.streams, talk.unary) == (1, 1, 0)
    assert talk.told.closed == 1


async def test_no_partial_comes_after_its_final() -> None:
    """Trap: an utterance that is over must not speak again, least of all in the next one's name."""
    async with in_memory(THREE, tuning=msgspec.structs.replace(PATIENT, partial_debounce_ms=150)) as talk:
        for index in range(3):
            await talk.say(index)
        await asyncio.sleep(0.2)
        assert talk.transcription._partials._held == {}
        assert not talk.transcription._alarm.armed

    for index in range(3):
        kinds = [kind for kind, of in talk.told.story if of == index]
        assert (kinds[0], kinds[-1], kinds.count("final")) == ("started", "final", 1)


async def test_with_the_flag_off_streaming_does_not_exist() -> None:
    async with in_memory(on=False) as talk:
        await talk.say(0)
        await talk.say(1)

        talk.right(0, 1)
        assert talk.told.modes == [Mode.SINGLE] * 2
        assert (talk.told.partials, talk.told.opened, talk.streams, talk.unary) == ([], 0, 0, 2)
        assert talk.told.steps == []


async def test_a_flip_to_off_spares_the_utterance_under_way_and_ends_the_session_after_it() -> None:
    async with in_memory() as talk:
        await talk.begin(0)
        talk.on = False
        await talk.end(0)
        await talk.feed(talk.spoken.utterances[0].end + 7600)
        await until(lambda: 0 in talk.told.texts)
        assert talk.transcription.session_open
        await talk.say(1)
        await until(lambda: talk.told.closed == 1)

        talk.right(0, 1)
        assert talk.told.modes == [Mode.STREAMING, Mode.SINGLE]
        assert (talk.streams, talk.unary) == (1, 1)


async def test_a_session_that_no_utterance_needs_any_more_ends_with_the_last_that_did() -> None:
    """Utterance 0 is still waiting for its final when 1 begins with the flag off."""
    slow = Fault(kind=Kind.SLOW_FINALS, latency_s=4.0)
    async with in_memory(faults=(slow,)) as talk:
        await talk.say(0, settle=False)
        talk.on = False
        await talk.say(1)
        assert (talk.told.closed, talk.transcription.session_open) == (0, True)
        await until(lambda: len(talk.told.texts) == 2)
        assert not talk.transcription.session_open
        await until(lambda: talk.told.closed == 1)

        talk.right(0, 1)
        assert talk.told.steps == []


async def test_on_again_opens_a_session_for_the_next_utterance() -> None:
    async with in_memory(THREE) as talk:
        await talk.say(0)
        talk.on = False
        await talk.say(1)
        await until(lambda: talk.told.closed == 1)
        talk.on = True
        await talk.say(2)

        talk.right(0, 1, 2)
        assert talk.told.modes == [Mode.STREAMING, Mode.SINGLE, Mode.STREAMING]
        assert (talk.told.opened, talk.streams, talk.unary) == (2, 2, 1)


async def test_a_session_that_opens_in_mid_call_places_its_results_on_the_calls_time_line() -> None:
    async with in_memory(THREE, on=False) as talk:
        await talk.say(0)
        talk.on = True
        await talk.say(1)
        await talk.say(2)

        talk.right(0, 1, 2)
        assert talk.told.sources == {0: Source.SINGLE, 1: Source.FINAL, 2: Source.FINAL}


async def test_an_utterance_is_cut_at_fifty_five_seconds_and_no_word_is_lost_or_doubled() -> None:
    """A single request takes at most 60 s: the double refuses a longer one."""
    long = script([(WORDS * 20)[:130]])
    words = long.words
    cut = next(a.end + (b.start - a.end) // 2 for a, b in pairwise(words) if a.end > LONGEST)
    first = next(word for word in words if word.start > cut - LONGEST)
    assert long.utterances[0].end > LONGEST + 8000
    async with in_memory(long, on=False) as talk:
        await talk.feed(cut - LONGEST)
        talk.transcription.speech_started(cut - LONGEST, cut - LONGEST)
        await talk.feed(long.utterances[0].end)
        talk.transcription.speech_ended(long.utterances[0].end)
        await until(lambda: len(talk.told.texts) == 2)

        heard = f"{talk.told.texts[0]} {talk.told.texts[1]}"
        assert heard.split() == [word.text for word in words if word.start >= first.start]
        assert talk.unary == 2


async def test_a_new_tuning_holds_for_the_call_in_progress() -> None:
    async with in_memory() as talk:
        await talk.feed(8000)
        talk.transcription.tune(Tuning(batch_ms=500, final_timeout_ms=4000, partial_debounce_ms=0))
        await talk.say(0, settle=False)
        await talk.say(1, settle=False)
        await talk.transcription.finish()

        talk.right(0, 1)
        assert talk.transcription._utterances.patience.final == 4.0
        (stream,) = talk.double.stats()["streams"]
        assert stream["messages"] < stream["audio_s"] * 4  # 150 ms batches would be 6.7 a second


async def test_the_call_that_ends_in_mid_word_still_gets_its_words() -> None:
    async with in_memory() as talk:
        await talk.begin(0, words=3)
        await talk.transcription.finish()

        talk.right(0)
        assert talk.told.closed == 1


async def test_a_call_that_has_no_time_to_finish_keeps_what_was_made_out() -> None:
    deaf = Fault(kind=Kind.SLOW_FINALS, latency_s=20)
    async with in_memory(faults=(deaf,)) as talk:
        await talk.begin(0, words=3)
        await until(lambda: talk.told.partials)
        heard = talk.told.partials[-1][1]
        for task in talk.transcription._pending.tasks:
            task.cancel()
        await until(lambda: talk.told.closed == 1)
        talk.transcription.abandon()

        assert talk.told.texts == {0: heard}
        assert talk.told.sources == {0: Source.INTERIM}


async def test_what_comes_while_a_call_is_cut_off_starts_nothing() -> None:
    """Media and timers go on until `abandon`, but the call's tasks take no more."""
    async with in_memory(on=False) as talk:
        await talk.begin(0)
        async with asyncio.TaskGroup() as cut_off:
            talk.transcription.begin(cut_off)
        await talk.end(0)
        talk.transcription.abandon()

        assert (talk.told.sources, talk.unary) == ({0: Source.NONE}, 0)


async def test_the_call_that_ends_with_an_answer_on_the_way_waits_for_it() -> None:
    async with in_memory(on=False, double=DoubleSettings(unary_latency_s=0.3)) as talk:
        await talk.say(0, settle=False)
        await talk.transcription.finish()

        talk.right(0)
        assert talk.unary == 1


async def test_two_calls_at_once_never_hear_each_other() -> None:
    """Trap: one module-level session and one current utterance for the whole process."""
    others = script([WORDS[6:9], WORDS[9:12]])
    async with in_memory(TWO) as one, in_memory(others) as two:
        await asyncio.gather(*(talk.say(index) for talk in (one, two) for index in (0,)))
        await asyncio.gather(*(talk.say(index) for talk in (one, two) for index in (1,)))

        one.right(0, 1)
        two.right(0, 1)
        assert [len(talk.told.texts) for talk in (one, two)] == [2, 2]


async def test_a_post_process_that_raises_costs_its_punctuation_only() -> None:
    def broken(words: str) -> str:
        raise ValueError(words)

    with capture_logs() as logs:
        async with in_memory(punctuate=broken) as talk:
            await talk.say(0)

            talk.right(0)
    assert warnings(logs) == ["[STT] punctuation failed; the text goes out without it"]


async def test_partials_are_spaced_and_the_last_of_a_burst_is_not_forgotten() -> None:
    """Trap: a debounce that forgets the newest partial instead of delaying it."""

    async def google(stream: ServedStream) -> None:
        await stream.read_samples(7200)
        for number in range(1, 9):
            await stream.say(result(" ".join(["מילה"] * number), 100 * number))
        await stream.read_to_end()

    tuning = msgspec.structs.replace(PATIENT, partial_debounce_ms=200)
    async with in_memory(google=ScriptedGoogle(google).handlers(), tuning=tuning) as talk:
        talk.transcription.speech_started(0, 0)
        talk.append(bytes([0xFF]) * 8000)
        await until(lambda: talk.told.partials and talk.told.partials[-1][1].count("מילה") == 8)

        assert len(talk.told.partials) < 8
