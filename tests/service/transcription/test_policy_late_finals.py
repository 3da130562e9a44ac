"""The policy in virtual time: finals that are late, missing, or other than what was promoted."""

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs

from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.speech.utterance import Source
from support.google.scripted import ScriptedGoogle, ServedStream, result
from support.speech.policy_call import HASTY, in_memory, warnings
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time


async def test_an_utterance_that_the_stream_misses_is_asked_for_once() -> None:
    with capture_logs() as logs:
        async with in_memory(faults=(Fault(kind=Kind.SILENCE),)) as talk:
            talk.tune(HASTY)
            await talk.say(0)

            talk.right(0)
            assert talk.told.sources[0] is Source.SINGLE
            assert talk.told.steps == [("streaming", "missed")]
            assert talk.transcription.session_open
        assert talk.unary == 1
    assert warnings(logs) == ["[STT] the stream missed an utterance; a single request gets its audio"]


@pytest.mark.parametrize("then", ["the stream dies", "the call ends"])
async def test_what_happens_while_its_answer_is_on_the_way_does_not_ask_again(then: str) -> None:
    slow = Fault(kind=Kind.SLOW_FINALS, surface=Surface.UNARY, latency_s=0.5)
    async with in_memory(faults=(Fault(kind=Kind.SILENCE), slow)) as talk:
        talk.tune(HASTY)
        await talk.say(0, settle=False)
        await until(lambda: talk.unary == 1)
        if then == "the stream dies":
            talk.double.inject(Fault(kind=Kind.END, when=Moment.ELAPSED, running=True))
            await until(lambda: talk.told.closed == 1)
        await talk.transcription.finish()

        talk.right(0)
        assert talk.unary == 1


async def test_a_late_final_is_not_waited_for_the_newest_interim_is_promoted() -> None:
    slow = Fault(kind=Kind.SLOW_FINALS, latency_s=20)
    async with in_memory(faults=(slow,)) as talk:
        await talk.begin(0, words=3)
        await until(lambda: talk.told.partials and talk.told.partials[-1][1] == talk.spoken.utterances[0].text)
        talk.tune(HASTY)
        await talk.end(0)
        await until(lambda: 0 in talk.told.texts)

        talk.right(0)
        assert talk.told.sources[0] is Source.INTERIM
        assert talk.unary == 0
        talk.double.inject(Fault(kind=Kind.END, when=Moment.ELAPSED, running=True))
        await until(lambda: talk.told.closed)
    assert talk.told.revisions == []


@pytest.mark.parametrize(
    ("later", "revisions"),
    [("שלום עולם", [(0, "שלום עולם")]), ("שלום עולמ", []), ("", [(0, "")]), (" ", [(0, "")])],
    ids=["other words", "the same words", "no alternatives", "an empty transcript"],
)
async def test_a_final_that_comes_after_its_promotion_corrects_the_record(
    later: str, revisions: list[tuple[int, str]]
) -> None:
    late = asyncio.Event()

    async def google(stream: ServedStream) -> None:
        await stream.read_samples(8000)
        await stream.say(result("שלום עולמ", 1000))
        await late.wait()
        await stream.say(result(later, 1000, final=True))
        await stream.read_to_end()

    async with in_memory(google=ScriptedGoogle(google).handlers(), tuning=HASTY) as talk:
        talk.transcription.speech_started(0, 0)
        talk.append(bytes([0xFF]) * 8000)
        talk.transcription.speech_ended(8000)
        await until(lambda: 0 in talk.told.texts)
        assert (talk.told.texts[0], talk.told.sources[0]) == ("שלום עולמ", Source.INTERIM)
        late.set()
        await talk.transcription.finish()

        assert talk.told.revisions == revisions


async def test_a_check_that_makes_out_nothing_marks_the_promoted_text_and_leaves_it() -> None:
    async def google(stream: ServedStream) -> None:
        await stream.read_samples(8000)
        await stream.say(result("שלום עולם", 1000))
        await stream.read_to_end()

    served = ScriptedGoogle(google)
    async with in_memory(google=served.handlers(), tuning=HASTY) as talk:
        talk.transcription.speech_started(0, 0)
        talk.append(bytes([0xFF]) * 8000)
        talk.transcription.speech_ended(8000)
        await until(lambda: 0 in talk.told.texts)
        await talk.transcription.finish()

        assert len(served.requests) == 1
        assert talk.told.texts == {0: "שלום עולם"}
        assert talk.told.revisions == [(0, "שלום עולם")]
        assert talk.told.unconfirmed == [0]


async def test_a_promoted_interim_that_no_final_confirms_is_checked_by_a_single_request() -> None:
    """The stream stalled just when the caller ended: the promoted text may lack the end of the last word."""
    async with in_memory() as talk:
        talk.tune(HASTY)
        await talk.begin(0, words=3)
        await until(lambda: talk.told.partials and talk.told.partials[-1][1].count(" ") == 2)
        talk.double.inject(Fault(kind=Kind.STALL, when=Moment.ELAPSED, running=True))
        await asyncio.sleep(0.1)
        await talk.end(0)
        await until(lambda: talk.unary == 1)
        await until(lambda: (0, Source.SINGLE, "answered") in talk.told.answers)
        if talk.told.texts[0] != talk.spoken.utterances[0].text:
            await until(lambda: talk.told.revisions)

        assert talk.told.sources == {0: Source.INTERIM}
        assert talk.told.steps == [("streaming", "unconfirmed")]
        assert {**talk.told.texts, **dict(talk.told.revisions)} == {0: talk.spoken.utterances[0].text}


async def test_a_last_word_that_no_final_has_covered_is_heard_again_by_the_stream_that_follows() -> None:
    """The first word's final reaches close enough to the end of speech to close the utterance; then the stream dies."""
    dies, numbers = asyncio.Event(), iter(range(2))

    async def google(stream: ServedStream) -> None:
        if next(numbers) == 0:
            await stream.read_samples(8000)
            await stream.say(result("שלום", 700, final=True))
            await dies.wait()
            await stream.abort(grpc.StatusCode.UNAVAILABLE, "no")
        await stream.read_samples(800)
        await stream.say(result("עולם", 300, final=True))
        await stream.read_to_end()

    async with in_memory(google=ScriptedGoogle(google).handlers(), tuning=HASTY) as talk:
        talk.transcription.speech_started(0, 0)
        talk.append(bytes([0xFF]) * 8000)
        talk.transcription.speech_ended(8000)
        await until(lambda: 0 in talk.told.texts)
        assert (talk.told.texts[0], talk.told.sources[0]) == ("שלום", Source.FINAL)
        dies.set()
        await until(lambda: talk.told.reconnects)
        talk.append(bytes([0xFF]) * 8000)
        await until(lambda: talk.told.revisions)

        assert talk.told.revisions == [(0, "שלום עולם")]
