"""The policy in virtual time: raw interims, pauses, tentatives, and finals that come early."""

from __future__ import annotations

import asyncio

import pytest

from batkol.audio import segmenter
from batkol.live.tuning import Tuning
from batkol.simulators.google.faults import Fault, Kind
from batkol.simulators.google.settings import DoubleSettings
from batkol.speech.utterance import Source
from batkol.transcription.events import (
    FinalReady,
    Interim,
    PartialReady,
    Quiet,
    SpeechLasted,
    SpeechResumed,
    Tentative,
    WithdrawalReason,
    Withdrawn,
)
from batkol.voices.marked.voice import WORDS, script
from support.google.scripted import ScriptedGoogle, ServedStream, result
from support.speech.policy_call import PATIENT, THREE, Talk, in_memory
from support.speech.tentatives import EarlyTextCheck
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time

USUAL = Tuning()
"""A debounce of 180 ms, and promotion at 700 ms."""


async def test_interims_are_raw_and_partials_are_debounced() -> None:
    async with in_memory(tuning=Tuning(partial_debounce_ms=2000)) as talk:
        await talk.say(0)
        await talk.transcription.finish()

        interims, partials = talk.told.of(Interim), talk.told.of(PartialReady)
        assert len(interims) > 3 * len(partials)
        assert [interim.end for interim in interims] == sorted(interim.end for interim in interims)
        assert not any(interim.settled for interim in interims)
        assert interims[-1].text == talk.spoken.utterances[0].text


async def test_a_tentative_stands_before_the_hang_over_is_over_and_the_final_confirms_it() -> None:
    async with in_memory(tuning=USUAL) as talk:
        for index in (0, 1):
            await talk.say(index)
        await talk.transcription.finish()

        kinds = [type(e) for e in talk.told.events if isinstance(e, Quiet | Tentative | FinalReady)]
        assert kinds == [Quiet, Tentative, FinalReady] * 2
        for index, tentative in enumerate(talk.told.of(Tentative)):
            assert (tentative.utterance.index, tentative.number) == (index, 1)
            assert tentative.text == talk.spoken.utterances[index].text
        assert [final.confirms for final in talk.told.of(FinalReady)] == [1, 1]
        EarlyTextCheck().follow(talk.told.events)


async def test_a_tentative_does_not_wait_for_the_debounce() -> None:
    async with in_memory(tuning=Tuning(partial_debounce_ms=2000)) as talk:
        await talk.say(0)
        await talk.transcription.finish()

        told = [event for event in talk.told.events if isinstance(event, Tentative | PartialReady)]
        whole = [type(event) for event in told if event.text == talk.spoken.utterances[0].text]
        assert whole[0] is Tentative


async def test_in_a_pause_all_that_was_heard_is_sent_whole_batch_or_not() -> None:
    google = ScriptedGoogle()
    async with in_memory(google=google.handlers(), tuning=PATIENT) as talk:
        talk.transcription.speech_started(0, 0)
        talk.append(bytes([0xFF]) * 8100)
        await until(lambda: bool(google.streams) and sent(google) == 7200)
        talk.transcription.speech_paused(segmenter.SegmentQuiet(7588, 8100))
        await until(lambda: sent(google) == 8100)
        talk.transcription.speech_paused(segmenter.SegmentResumed(8100, 8356))
        talk.append(bytes([0xFF]) * 1199)
        talk.append(bytes([0xFF]))
        await until(lambda: sent(google) > 8100)
        assert sent(google) == 9300, "the next batch is a whole one"
        talk.transcription.speech_ended(9300)
        await talk.transcription.finish()


def sent(google: ScriptedGoogle) -> int:
    """Samples that the one stream got."""
    (stream,) = google.streams
    return len(stream.linear16) // 2


async def test_speech_that_goes_on_withdraws_the_tentative() -> None:
    async def google(stream: ServedStream) -> None:
        await stream.read_samples(7200)
        await stream.say(result("שלום", 1000))
        await stream.read_samples(14_400)
        await stream.say(result("שלום לך", 2000, final=True))
        await stream.read_to_end()

    async with in_memory(google=ScriptedGoogle(google).handlers(), tuning=PATIENT) as talk:
        transcription = talk.transcription
        transcription.speech_started(0, 0)
        talk.append(bytes([0xFF]) * 8000)
        transcription.speech_paused(segmenter.SegmentQuiet(8000, 8000))
        await until(lambda: bool(talk.told.of(Tentative)))
        transcription.speech_paused(segmenter.SegmentResumed(9000, 9256))
        transcription.speech_paused(segmenter.SegmentLasted(9256, 9256))
        talk.append(bytes([0xFF]) * 8000)
        transcription.speech_ended(16_000)
        await until(lambda: 0 in talk.told.texts)
        await transcription.finish()

        (final,) = talk.told.of(FinalReady)
        utterance = final.utterance
        assert talk.told.of(SpeechResumed) == [SpeechResumed(utterance, 9000)]
        assert talk.told.of(SpeechLasted) == [SpeechLasted(utterance, 9256)]
        assert talk.told.of(Withdrawn) == [Withdrawn(utterance, 1, WithdrawalReason.SPEECH)]
        assert (final.text, final.confirms) == ("שלום לך", None)
        EarlyTextCheck().follow(talk.told.events)


async def test_a_text_that_stops_short_stands_by_the_clock_if_nothing_else_happens() -> None:
    async def google(stream: ServedStream) -> None:
        await stream.read_samples(7200)
        await stream.say(result("שלום", 700))
        await stream.read_to_end()

    async with in_memory(google=ScriptedGoogle(google).handlers(), tuning=PATIENT) as talk:
        loop = asyncio.get_running_loop()
        talk.transcription.speech_started(0, 0)
        talk.append(bytes([0xFF]) * 8000)
        await until(lambda: bool(talk.told.of(Interim)))
        quiet_at = loop.time()
        talk.transcription.speech_paused(segmenter.SegmentQuiet(8000, 8512))
        assert talk.told.of(Tentative) == []
        await until(lambda: bool(talk.told.of(Tentative)))

        assert loop.time() - quiet_at == pytest.approx(0.15, abs=0.02)
        talk.transcription.speech_ended(8000)


async def test_words_that_are_taken_back_are_an_empty_interim_and_withdraw_the_tentative() -> None:
    taken_back = asyncio.Event()

    async def google(stream: ServedStream) -> None:
        await stream.read_samples(8000)
        await stream.say(result("שלום", 1000))
        await taken_back.wait()
        await stream.say(result("", 1000))
        await stream.read_to_end()

    async with in_memory(google=ScriptedGoogle(google).handlers(), tuning=PATIENT) as talk:
        talk.transcription.speech_started(0, 0)
        talk.append(bytes([0xFF]) * 8000)
        talk.transcription.speech_ended(8000)
        await until(lambda: bool(talk.told.of(Tentative)))
        taken_back.set()
        await until(lambda: bool(talk.told.of(Withdrawn)))

        assert [(interim.text, interim.settled) for interim in talk.told.of(Interim)] == [("שלום", False), ("", False)]
        assert talk.told.of(Withdrawn)[0].reason is WithdrawalReason.TEXT


async def test_what_the_detector_finds_between_utterances_is_nobodys() -> None:
    async with in_memory() as talk:
        talk.transcription.speech_paused(segmenter.SegmentQuiet(0, 512))

        assert talk.told.of(Quiet) == []


async def test_with_the_flag_off_there_are_pauses_and_no_tentatives() -> None:
    async with in_memory(on=False) as talk:
        await talk.say(0)

        assert len(talk.told.of(Quiet)) == 1
        assert (talk.told.of(Tentative), talk.told.of(Interim)) == ([], [])


async def test_a_second_interim_that_says_the_same_is_promoted_before_the_clock() -> None:
    async def google(stream: ServedStream) -> None:
        await stream.read_samples(8000)
        await stream.say(result("שלום", 900))
        await asyncio.sleep(1)
        await stream.say(result("שלום", 1000))
        await stream.read_to_end()

    async with in_memory(google=ScriptedGoogle(google).handlers(), tuning=Tuning(final_timeout_ms=1400)) as talk:
        talk.transcription.speech_started(0, 0)
        talk.append(bytes([0xFF]) * 8000)
        talk.transcription.speech_ended(8000)
        begun = asyncio.get_running_loop().time()
        await until(lambda: 0 in talk.told.texts)

        assert talk.told.sources[0] is Source.INTERIM
        assert 1.0 <= asyncio.get_running_loop().time() - begun < 1.2
        assert talk.told.of(FinalReady)[0].confirms == 1


async def test_a_call_that_is_cut_off_leaves_no_tentative_behind() -> None:
    calls: list[Talk] = []

    async def cut_off() -> None:
        async with in_memory(faults=(Fault(kind=Kind.SLOW_FINALS, latency_s=20),)) as talk:
            calls.append(talk)
            await talk.begin(0)
            await talk.end(0)
            await until(lambda: bool(talk.told.of(Tentative)))
            raise TimeoutError

    with pytest.raises(ExceptionGroup) as cut:
        await cut_off()
    assert cut.group_contains(TimeoutError)
    (talk,) = calls
    talk.transcription.abandon()

    assert talk.told.of(FinalReady)[0].confirms == talk.told.of(Tentative)[-1].number
    EarlyTextCheck().follow(talk.told.events)


SAID = script([WORDS[0:4], WORDS[4:6], WORDS[6:11], WORDS[11:12]])


@pytest.mark.parametrize("seed", [*range(3), *[pytest.param(n, marks=pytest.mark.nightly) for n in range(3, 60)]])
async def test_with_interims_that_change_their_mind_at_most_one_stands_and_the_record_is_right(seed: int) -> None:
    double = DoubleSettings(untidy=True, seed=seed)
    async with in_memory(SAID, double=double, tuning=USUAL) as talk:
        for index in range(4):
            await talk.say(index)
        await talk.transcription.finish()

        record = {**talk.told.texts, **dict(talk.told.revisions)}
        assert record == {index: utterance.text for index, utterance in enumerate(SAID.utterances)}
        early = EarlyTextCheck().follow(talk.told.events)
        assert set(early.attempts) == set(range(4)), "each utterance had one"
        assert talk.unary == 0


async def test_three_utterances_have_a_tentative_each() -> None:
    async with in_memory(THREE, tuning=USUAL) as talk:
        for index in range(3):
            await talk.say(index)

        early = EarlyTextCheck().follow(talk.told.events)
        assert (set(early.attempts), early.confirmed) == ({0, 1, 2}, 3)
        assert {fallen.reason for fallen in talk.told.of(Withdrawn)} <= {WithdrawalReason.TEXT}, "half a word was heard"
