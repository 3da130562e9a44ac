"""The production adapters against the speech double, which gets an exact share of the words wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import msgspec
import pytest

from batkol.audio.segmenter import SegmenterSettings
from batkol.compare.comparison import Comparison, compared
from batkol.compare.known_speech import KnownSpeech, SpeechSpan
from batkol.compare.recognizers import ComparedRecognizer, open_recognizers
from batkol.compare.running import chosen_probes, hear_all
from batkol.compare.spans import find_spans
from batkol.compare.table import faults, lines
from batkol.errors import ConfigurationError
from batkol.recognizers.soniox.wire import SONIOX_URL
from batkol.settings import Settings
from batkol.simulators.google.faults import Fault, Kind
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind, SonioxMoment
from batkol.simulators.soniox.server import SonioxDouble
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.vad.webrtc import WebRtcEngine
from batkol.voices.marked.voice import random_utterances, script

PACE = 12.0
QUICK = DoubleSettings(pacing_factor=0, final_latency_s=0.02, half_close_latency_s=0.01, unary_latency_s=0.01)
SONIOX_QUICK = SonioxDoubleSettings(pacing_factor=0, finalize_s=0.02, padding_s=0.0, interim_latency_ms=20)
STREAMING, SINGLE, SONIOX = "google-v1/default", "single", "soniox/stt-rt-v5"


def known_speech(sounds: int, words: int) -> list[KnownSpeech]:
    engine, found = WebRtcEngine(), []
    for number, utterance in enumerate(random_utterances(5, sounds, words)):
        audio = script((utterance,), lead_ms=200, tail_ms=100)
        spans = find_spans(audio.mulaw, engine, SegmenterSettings())
        found.append(KnownSpeech(f"{number}.wav", f"{number}.wav", audio.text, audio.mulaw, spans))
    return found


async def compare(
    double: SpeechDouble,
    names: Sequence[str],
    speech: Sequence[KnownSpeech],
    *,
    probes: int = 0,
    soniox: str = "",
    soniox_streams: int = 10,
    pace: float = PACE,
    at_once: int = 12,
) -> Comparison:
    settings = Settings(
        twilio_validate_signatures=False,
        gcp_stt_endpoint=f"127.0.0.1:{await double.start()}",
        gcp_stt_insecure=True,
        soniox_url=soniox or SONIOX_URL,
        soniox_api_key="any" if soniox else "",
        soniox_max_streams=soniox_streams,
    )
    async with AsyncExitStack() as stack:
        recognizers: Sequence[ComparedRecognizer] = [
            replace(each, pace=pace) for each in await open_recognizers(names, settings, stack)
        ]
        probed = chosen_probes(speech, probes, 0)
        run = await hear_all(speech, recognizers, at_once=at_once, probed=probed, again_s=0.05)
    found = [each.name for each in recognizers]
    prices = dict.fromkeys(found)
    return compared(run.speech, found, prices, seed=0, planned=len(speech), ended_early=run.ended_early)


@pytest.mark.parametrize(
    ("sounds", "words", "share"),
    [(12, 10, 0.1), pytest.param(100, 20, 0.183, marks=pytest.mark.nightly)],
)
async def test_an_injected_error_rate_is_found_within_a_tenth_of_a_point(sounds: int, words: int, share: float) -> None:
    misheard = msgspec.structs.replace(QUICK, misheard=share)
    speech = known_speech(sounds, words)
    async with SpeechDouble(QUICK) as right, SpeechDouble(misheard) as wrong:
        (of_right,) = (await compare(right, [STREAMING], speech, at_once=6)).recognizers
        (of_wrong,) = (await compare(wrong, [STREAMING], speech, at_once=6)).recognizers
        injected = wrong.mishearing.count

    assert of_right.faults == of_wrong.faults == {}
    assert of_right.counts.errors == 0
    assert of_wrong.counts.words == sounds * words
    assert int(sounds * words * share) - injected in {0, 1}, "the last one may be due when the last word was heard"
    assert abs(of_wrong.counts.errors - injected) <= of_wrong.counts.words / 1000
    kinds = (of_wrong.counts.wrong, of_wrong.counts.missing, of_wrong.counts.extra)
    assert max(kinds) - min(kinds) <= 1 + injected // 30


async def test_single_requests_are_compared_and_a_probe_makes_a_stream_finish() -> None:
    speech = known_speech(3, 4)
    async with SpeechDouble(msgspec.structs.replace(QUICK, final_latency_s=2.0)) as double:
        outcome = await compare(double, [], speech, probes=2)

    streaming, single = outcome.recognizers
    assert (streaming.name, single.name) == (STREAMING, SINGLE)
    assert streaming.counts.errors == single.counts.errors == 0
    assert streaming.times["forced"].number == 2
    assert "finals" not in streaming.times, "no final came while the call went on"
    assert streaming.times["right"].number == streaming.times["first_interims"].number == 3
    assert single.times["finals"].number == 3
    assert "forced" not in single.times
    sound_s = sum(each.seconds for each in speech)
    assert streaming.heard_minutes * 60 > sound_s + 3 * 4.0
    assert single.heard_minutes * 60 <= sound_s


async def test_a_sound_that_a_recognizer_fails_on_counts_for_none_and_says_why() -> None:
    speech = known_speech(2, 3)
    async with SpeechDouble(QUICK) as double:
        double.inject(Fault(kind=Kind.END, refusal="BILLING_DISABLED", streams=(1,)))
        outcome = await compare(double, [], speech)

    assert [each.is_compared for each in outcome.speech].count(False) == 1
    assert list(outcome.recognizers[0].faults.values()) == [1]
    assert outcome.recognizers[1].faults == {}
    (failed,) = (each.hearings[STREAMING] for each in outcome.speech if not each.is_compared)
    assert "illing" in failed.why
    assert [each.counts.words for each in outcome.recognizers] == [3, 3]


async def test_a_session_that_hangs_is_a_fault_and_no_wrong_words_and_one_that_lacks_its_end_alone_counts() -> None:
    speech = known_speech(2, 2)
    hangs = SonioxFault(kind=SonioxFaultKind.STALL, when=SonioxMoment.FIRST_AUDIO, sessions=(1,))
    endless = SonioxFault(kind=SonioxFaultKind.SLOW_FINALS, when=SonioxMoment.FINISH, latency_s=60, sessions=(2,))
    async with SpeechDouble(QUICK) as double, SonioxDouble(SONIOX_QUICK) as other:
        url = await other.start()
        other.inject(hangs, endless)
        outcome = await compare(double, [SONIOX], speech, soniox=url, pace=2.0)

    assert outcome.recognizers[0].faults == {"not_ended": 1}
    (counted,) = outcome.compared
    assert counted.scores[SONIOX].counts.errors == 0
    assert any("answered nothing any more" in line for line in faults(outcome))


async def test_where_one_recognizer_hears_nothing_any_more_no_other_one_is_sent_more_sounds() -> None:
    """They would be paid for, and not count."""
    speech = known_speech(8, 2)
    async with SpeechDouble(QUICK) as double:
        double.inject(Fault(kind=Kind.END, refusal="BILLING_DISABLED"))
        outcome = await compare(double, [], speech, at_once=2)
        asked = double.stats()["unary_calls"]

    assert outcome.ended_early == f"{STREAMING} failed on 3 sounds in a row, and no recognizer was sent another one."
    assert asked < 8
    assert (len(outcome.speech), outcome.planned) == (max(3, asked), 8), "what was heard is there, and what failed"
    assert lines(outcome)[0].startswith("The comparison ended early: 0 of 8 sounds count. ")
    said = "\n".join(faults(outcome))
    assert f"{STREAMING}: 3 times" in said
    assert "illing" in said


async def test_a_run_that_is_interrupted_keeps_what_was_heard_by_then() -> None:
    speech = known_speech(5, 2)
    async with SpeechDouble(QUICK) as double, AsyncExitStack() as stack:
        settings = Settings(
            twilio_validate_signatures=False,
            gcp_stt_endpoint=f"127.0.0.1:{await double.start()}",
            gcp_stt_insecure=True,
        )
        (one,) = await open_recognizers([STREAMING, STREAMING], settings, stack)

        def interrupt(done: int, _: int) -> None:
            if done == 2:
                running.cancel()

        running = asyncio.create_task(
            hear_all(speech, [replace(one, pace=PACE)], at_once=1, probed=frozenset(), on_heard=interrupt)
        )
        run = await running

    assert run.interrupted
    assert run.ended_early == "It was interrupted."
    assert [each.speech.name for each in run.speech] == ["0.wav", "1.wav"]
    assert [each.scores[STREAMING].counts.errors for each in run.speech] == [0, 0]
    assert running.cancelling() == 0, "what writes the reports is not cancelled"


class Defective:
    """Hears one sound, and has a defect at the next one; the third one's cancellation ends in another error."""

    def __init__(self) -> None:
        self.asked = 0

    async def recognize(self, _: bytes) -> str:
        """See `Recognizer`."""
        self.asked += 1
        if self.asked == 2:
            raise KeyError("a defect")
        if self.asked == 3:
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("the connection did not close")
        return "שלום"


async def test_a_defect_costs_its_own_sound_and_none_that_was_paid_for() -> None:
    recognizer, speech = Defective(), known_speech(4, 2)

    def interrupt(done: int, _: int) -> None:
        if done == 2:
            asyncio.get_running_loop().call_soon(running.cancel)

    one = ComparedRecognizer("defective", single=recognizer)
    running = asyncio.create_task(hear_all(speech, [one], at_once=1, probed=frozenset(), on_heard=interrupt))
    run = await running

    assert run.interrupted
    assert [each.hearings["defective"].fault for each in run.speech][:2] == [None, "defect"]
    assert run.speech[0].hearings["defective"].text == "שלום"


async def test_no_more_sounds_are_heard_at_once_than_a_recognizer_bears() -> None:
    speech = known_speech(4, 2)
    async with SpeechDouble(QUICK) as double, SonioxDouble(SONIOX_QUICK) as other:
        url = await other.start()
        outcome = await compare(double, [SONIOX], speech, soniox=url, soniox_streams=1, pace=4.0)
        most = other.stats()["sessions_most"]

    assert outcome.recognizers[0].faults == {}
    assert most == 1


async def test_an_account_without_room_is_asked_again_and_the_sound_counts() -> None:
    speech = known_speech(2, 2)
    async with SpeechDouble(QUICK) as double, SonioxDouble(SONIOX_QUICK) as other:
        url = await other.start()
        other.inject(SonioxFault(kind=SonioxFaultKind.ERROR, code=429, when=SonioxMoment.START, times=1))
        outcome = await compare(double, [SONIOX], speech, soniox=url, pace=4.0, at_once=1)
        endings = [session["ending"] for session in other.stats()["sessions"]]

    assert endings == ["429", "finished", "finished"]
    assert outcome.recognizers[0].faults == {}
    assert outcome.recognizers[0].counts.errors == 0


def test_as_many_sounds_are_probed_as_asked_though_names_repeat() -> None:
    spoken = msgspec.structs.replace(known_speech(1, 1)[0], name="a.wav")
    silent = msgspec.structs.replace(spoken, spans=())

    assert chosen_probes([spoken, silent, spoken, spoken], 2, 0) < {0, 2, 3}
    assert len(chosen_probes([spoken, silent, spoken, spoken], 2, 0)) == 2


async def test_a_name_that_no_recognizer_has_is_refused_with_those_there_are() -> None:
    async with SpeechDouble(QUICK) as double:
        with pytest.raises(
            ConfigurationError, match=r"'single-2' is no recognizer.*there are: google-v1/default, single"
        ):
            await compare(double, ["single-2"], [])
        with pytest.raises(
            ConfigurationError, match=r"whisper needs WHISPER_URL.*there are: google-v1/default, single"
        ):
            await compare(double, ["whisper"], [])


async def test_a_recognizer_of_another_vendor_is_compared_though_no_call_uses_it() -> None:
    speech = known_speech(3, 4)
    async with SpeechDouble(QUICK) as double, SonioxDouble(SONIOX_QUICK) as other:
        outcome = await compare(double, [STREAMING, SONIOX], speech, soniox=await other.start(), pace=2.0)

    assert [each.name for each in outcome.recognizers] == [STREAMING, SONIOX]
    assert [each.counts.words for each in outcome.recognizers] == [12, 12]
    assert [each.counts.errors for each in outcome.recognizers] == [0, 0]
    assert outcome.recognizers[1].times["finals"].number == 3


async def test_a_final_is_asked_for_in_a_pause_that_goes_on_and_never_in_mid_word() -> None:
    """In mid-word it would cost Soniox the word, which no call asks it to lose."""
    audio = script((("שלום", "לקבוע", "תודה"),), lead_ms=200, tail_ms=100)
    first, second, last = audio.words
    middle = (second.start + second.end) // 2
    pauses = (middle - 136 * 8, last.end + 64 * 8)  # the first would have its request in the middle of the word
    span = SpeechSpan(first.start, last.end, last.end + 480 * 8, pauses=pauses, resumed=(middle - 100 * 8,))
    paused = KnownSpeech("1.wav", "1.wav", audio.text, audio.mulaw, (span,))
    cut_off = KnownSpeech("2.wav", "2.wav", audio.text, audio.mulaw, (span._replace(pauses=pauses[:1]),))
    late = span._replace(resumed=(middle + 100 * 8,))  # the detector has not noticed yet that a word is under way
    unnoticed = KnownSpeech("3.wav", "3.wav", audio.text, audio.mulaw, (late,))
    async with SpeechDouble(QUICK) as double, SonioxDouble(SONIOX_QUICK) as other:
        outcome = await compare(double, [SONIOX], [paused, cut_off, unnoticed], soniox=await other.start(), pace=2.0)
        asked = sorted(len(session["finalizes"]) for session in other.stats()["sessions"])

    assert outcome.recognizers[0].counts.errors == 0
    assert asked == [0, 1, 1]


async def test_soniox_without_its_key_is_refused_with_the_variable_that_has_it() -> None:
    async with SpeechDouble(QUICK) as double:
        with pytest.raises(ConfigurationError, match="set SONIOX_API_KEY"):
            await compare(double, [SONIOX], [])
