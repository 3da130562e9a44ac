"""The policy against the strict double over real gRPC; where the caller speaks is told, not detected."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from batkol.audio.ring import Ring
from batkol.backoff import Backoff
from batkol.flags.flags import Decision, DecisionSource
from batkol.live.tuning import Tuning
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.events import StreamEnded, StreamReplaced
from batkol.recognizers.google.options import StreamingOptions
from batkol.recognizers.google.recognizer import SingleRecognizer
from batkol.recognizers.google.wire import recognition
from batkol.recognizers.whisper.http import WhisperServer
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.voice.voice import WORDS, SpokenAudio, script
from batkol.speech.utterance import Mode, Source
from batkol.speech.utterances import LONGEST
from batkol.transcription.events import (
    FinalReady,
    PartialReady,
    RevisionReady,
    SessionClosed,
    SessionOpened,
    SpeechStopped,
    StepAnswered,
    StepAsked,
    StepFailed,
    UtteranceOpened,
)
from batkol.transcription.policy import Transcription
from batkol.transcription.recognizers import Recognizer, Recognizers
from support.google.client import FAST
from support.google.scripted import ServedStream, result, scripted_google
from support.http.one_answer import answering, http, text
from support.process.killing import cancel
from support.speech.observer import Observed
from support.time.waiting import until

PRE_ROLL = 2400
HANG_OVER = 3840
PATIENT = Tuning(final_timeout_ms=5000, partial_debounce_ms=0)
"""Finals are waited for, however slow the machine."""

TWO = script([WORDS[0:3], WORDS[3:6]])
THREE = script([WORDS[0:2], WORDS[2:4], WORDS[4:6]])
FAILED = "[STT] streaming failed → fallback to single. err="


@dataclass
class Told(Observed):
    """An observer that sorts what a call's recognition tells."""

    story: list[tuple[str, Any]] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    sources: dict[int, Source | None] = field(default_factory=dict)
    modes: list[Mode] = field(default_factory=list)
    partials: list[tuple[int, str]] = field(default_factory=list)
    revisions: list[tuple[int, str]] = field(default_factory=list)
    unconfirmed: list[int] = field(default_factory=list)
    steps: list[tuple[str, str]] = field(default_factory=list)
    answers: list[tuple[int, Source, str]] = field(default_factory=list)

    def observe(self, event: object) -> None:
        match event:
            case UtteranceOpened(utterance):
                self.story.append(("started", utterance.index))
                self.modes.append(utterance.mode)
            case PartialReady(utterance, text):
                self.story.append(("partial", utterance.index))
                self.partials.append((utterance.index, text))
            case FinalReady(utterance, text):
                assert utterance.index not in self.texts, "an utterance has one final"
                self.story.append(("final", utterance.index))
                self.texts[utterance.index] = text
                self.sources[utterance.index] = utterance.source
            case RevisionReady(utterance, text):
                self.revisions.append((utterance.index, text))
                self.unconfirmed += [utterance.index] if utterance.unconfirmed else []
            case SpeechStopped(utterance):
                assert utterance.end is not None
                self.story.append(("silent", utterance.index))
            case StepAsked(utterance, step):
                self.answers.append((utterance.index, step, "asked"))
            case StepAnswered(utterance, step):
                self.answers.append((utterance.index, step, "answered"))
            case StepFailed(_, step, reason):
                self.steps.append((step, reason))
            case StreamEnded(stream):
                assert stream.over
        super().observe(event)

    @property
    def opened(self) -> int:
        return len(self.of(SessionOpened))

    @property
    def closed(self) -> int:
        return len(self.of(SessionClosed))

    @property
    def reconnects(self) -> list[str]:
        return [event.reason for event in self.of(StreamReplaced)]


class Talk:
    """One call: what is said, and what becomes of it."""

    def __init__(self, spoken: SpokenAudio, double: SpeechDouble, on: bool, tuning: Tuning, with_: Recognizers) -> None:
        self.spoken = spoken
        self.double = double
        self.on = on
        self.ring = Ring(capacity=LONGEST + 80_000)
        self.told = Told()
        self.transcription = Transcription(
            ring=self.ring,
            recognizers=with_,
            decide=lambda: Decision(self.on, "on" if self.on else "off", "STATIC", DecisionSource.FLAG),
            tuning=tuning,
            observe=self.told.observe,
            log=structlog.get_logger(),
        )

    async def feed(self, until: int) -> None:
        """Frames of 20 ms, faster than anybody speaks."""
        for number, start in enumerate(range(self.ring.end, until, 160)):
            self.ring.append(self.spoken.mulaw[start : min(start + 160, until)])
            self.transcription.append(self.ring.end)
            if number % 8 == 0:
                await asyncio.sleep(0)

    async def begin(self, index: int, *, words: int = 1) -> None:
        """Utterance number `index` begins, and goes on for so many words."""
        utterance = self.spoken.utterances[index]
        await self.feed(utterance.start + 800)
        self.transcription.speech_started(max(0, utterance.start - PRE_ROLL), utterance.start)
        said = [word for word in self.spoken.words if utterance.start <= word.start < utterance.end]
        await self.feed(said[words - 1].end)

    async def end(self, index: int) -> None:
        """The rest of it is said, and the silence that tells its end."""
        utterance = self.spoken.utterances[index]
        await self.feed(utterance.end + HANG_OVER)
        self.transcription.speech_ended(utterance.end)

    async def say(self, index: int, *, settle: bool = True) -> None:
        await self.begin(index)
        await self.end(index)
        await self.feed(self.spoken.utterances[index].end + 7600)
        if settle:
            await until(lambda: index in self.told.texts)

    def right(self, *indexes: int) -> None:
        for index in indexes:
            assert self.told.texts[index] == self.spoken.utterances[index].text

    @property
    def unary(self) -> int:
        return int(self.double.stats()["unary_calls"])

    @property
    def streams(self) -> int:
        return int(self.double.stats()["streams_opened"])


def plain(words: str) -> str:
    return words


@asynccontextmanager
async def talking(
    spoken: SpokenAudio = TWO,
    *,
    on: bool = True,
    start: bool = True,
    faults: tuple[Fault, ...] = (),
    double: DoubleSettings = FAST,
    tuning: Tuning = PATIENT,
    whisper: str = "",
    google: str = "",
    late_attempts: int = 0,
    punctuate: Callable[[str], str] = plain,
) -> AsyncIterator[Talk]:
    """A call in progress; afterwards nothing of it is left."""
    async with asyncio.timeout(50), AsyncExitStack() as stack:
        served = await stack.enter_async_context(SpeechDouble(double))
        port = await served.start()
        served.inject(*faults)
        channels = Channels(endpoint=google or f"127.0.0.1:{port}", insecure=True)
        stack.push_async_callback(channels.close)
        config = recognition("he-IL", "default")
        fallbacks: list[tuple[Source, Recognizer]] = [(Source.SINGLE, SingleRecognizer(channels, config))]
        if whisper:
            server = WhisperServer(url=whisper, model="m", language="he", api_key="", timeout=20)
            stack.push_async_callback(server.close)
            fallbacks.append((Source.WHISPER, server))
        recognizers = Recognizers(
            speech=StreamingOptions(
                channels=channels, config=config, on_written=lambda _: None, attempts=1, first_retry=0.01
            ),
            fallbacks=tuple(fallbacks),
            punctuate=punctuate,
            late=Backoff(first_s=0.1, longest_s=0.1),
            late_attempts=late_attempts,
        )
        talk = Talk(spoken, served, on, tuning, recognizers)
        transcription, told = talk.transcription, talk.told
        async with asyncio.TaskGroup() as tasks:
            transcription.begin(tasks)
            if start:
                transcription.start()
            yield talk
            await transcription.finish()
        assert told.opened == told.closed
        assert not transcription.session_open
        assert channels.streams == 0
        assert not transcription._pending


def warnings(logs: list[Any]) -> list[str]:
    return [line["event"] for line in logs if line["log_level"] in {"warning", "error"}]


def failures(logs: list[Any]) -> list[str]:
    """Without the streams that could be replaced: whether one was open before it was refused is a matter of luck."""
    return [line for line in warnings(logs) if line != GOES_ON]


def dying(seconds: float, **fields: Any) -> Fault:
    """Every stream dies so far into its audio."""
    return Fault(kind=Kind.END, when=Moment.AUDIO, seconds=seconds, **fields)


REFUSED = Fault(kind=Kind.END, surface=Surface.UNARY)
BROKEN = (dying(1.0, times=1), Fault(kind=Kind.END, streams=(2,)))
"""The stream dies in mid-utterance, and the one that should go on is refused: that is all the attempts there are."""
GOES_ON = "[STT] stream failed; the next stream starts from the last final"


# -- on and off --------------------------------------------------------------------------------------------------


async def test_streaming_is_one_session_with_partials_and_one_final_an_utterance() -> None:
    async with talking(THREE) as talk:
        for index in range(3):
            await talk.say(index)

        talk.right(0, 1, 2)
        assert set(talk.told.sources.values()) == {Source.FINAL}
        assert {index for index, _ in talk.told.partials} == {0, 1, 2}
        assert (talk.told.opened, talk.streams, talk.unary) == (1, 1, 0)
    assert talk.told.closed == 1


async def test_no_partial_comes_after_its_final() -> None:
    """Trap: an utterance that is over must not speak again, least of all in the next one's name."""
    async with talking(THREE, tuning=msgspec.structs.replace(PATIENT, partial_debounce_ms=150)) as talk:
        for index in range(3):
            await talk.say(index)
        await asyncio.sleep(0.2)
        assert talk.transcription._partials._held == {}
        assert talk.transcription._timer is None

    for index in range(3):
        kinds = [kind for kind, of in talk.told.story if of == index]
        assert (kinds[0], kinds[-1], kinds.count("final")) == ("started", "final", 1)


async def test_with_the_flag_off_streaming_does_not_exist() -> None:
    async with talking(on=False) as talk:
        await talk.say(0)
        await talk.say(1)

        talk.right(0, 1)
        assert talk.told.modes == [Mode.SINGLE] * 2
        assert (talk.told.partials, talk.told.opened, talk.streams, talk.unary) == ([], 0, 0, 2)
        assert talk.told.steps == []


async def test_a_flip_to_off_spares_the_utterance_under_way_and_ends_the_session_after_it() -> None:
    async with talking() as talk:
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
    slow = Fault(kind=Kind.SLOW_FINALS, latency_s=0.4)
    async with talking(faults=(slow,)) as talk:
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
    async with talking(THREE) as talk:
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
    async with talking(THREE, on=False) as talk:
        await talk.say(0)
        talk.on = True
        await talk.say(1)
        await talk.say(2)

        talk.right(0, 1, 2)
        assert talk.told.sources == {0: Source.SINGLE, 1: Source.FINAL, 2: Source.FINAL}


# -- failures ----------------------------------------------------------------------------------------------------


async def test_a_stream_that_dies_in_mid_utterance_is_replaced_and_the_utterance_goes_on() -> None:
    with capture_logs() as logs:
        async with talking(THREE, faults=(dying(1.0, times=1),)) as talk:
            for index in range(3):
                await talk.say(index)

            talk.right(0, 1, 2)
            assert set(talk.told.sources.values()) == {Source.FINAL}
            assert (talk.told.opened, talk.streams, talk.unary) == (1, 2, 0)
            assert (talk.told.reconnects, talk.told.steps) == (["unavailable"], [])
    assert warnings(logs) == [GOES_ON]


@pytest.mark.parametrize("victim", ["stt.send", "stt.read"])
async def test_a_stream_one_of_whose_tasks_is_cancelled_by_accident_is_replaced(victim: str) -> None:
    async with talking(THREE) as talk:
        await talk.say(0)
        assert cancel(victim) == 1
        for index in (1, 2):
            await talk.say(index)

        talk.right(0, 1, 2)
        assert (talk.told.opened, talk.streams, talk.unary) == (1, 2, 0)
        assert talk.told.reconnects == ["cancelled"]


async def test_a_session_that_is_cancelled_by_accident_is_followed_by_another() -> None:
    async with talking(THREE) as talk:
        await talk.say(0)
        assert cancel("stt.session") == 1
        await until(lambda: talk.told.closed == 1)
        for index in (1, 2):
            await talk.say(index)

        talk.right(0, 1, 2)
        assert (talk.told.opened, talk.streams, talk.unary) == (2, 2, 0)


async def test_where_no_stream_is_to_be_had_a_single_request_gets_the_same_audio() -> None:
    with capture_logs() as logs:
        async with talking(faults=BROKEN) as talk:
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
    async with talking(faults=BROKEN) as talk:
        await talk.begin(0)
        await until(lambda: talk.told.closed == 1)
        await talk.end(0)
        await until(lambda: 0 in talk.told.texts)
        await talk.say(1)

        talk.right(0, 1)
        assert talk.told.sources[1] is Source.FINAL
        assert (talk.told.opened, talk.streams) == (2, 3)


async def test_after_the_single_request_whisper_gets_the_same_audio() -> None:
    async with answering(text("מה שוויספר שמע")) as (url, asked):
        with capture_logs() as logs:
            async with talking(faults=(*BROKEN, REFUSED), whisper=url) as talk:
                await talk.begin(0)
                await until(lambda: talk.told.closed == 1)
                await talk.end(0)
                await until(lambda: 0 in talk.told.texts)

                assert talk.told.texts[0] == "מה שוויספר שמע"
                assert talk.told.sources[0] is Source.WHISPER
                assert talk.told.steps == [("streaming", "unavailable"), ("single", "unavailable")]
        assert len(asked) == 1
    assert [line.partition(" err=")[0] for line in failures(logs)] == [
        FAILED.removesuffix(" err="),
        "[STT] single failed",
    ]


async def test_when_nobody_can_hear_it_the_final_says_so_and_every_step_is_logged_once() -> None:
    async with answering(http("500 No", b"")) as (url, _):
        with capture_logs() as logs:
            async with talking(faults=(dying(0.2), REFUSED), whisper=url) as talk:
                await talk.feed(talk.spoken.utterances[0].start)
                await until(lambda: talk.told.closed == 1)
                talk.on = False
                await talk.say(0)

                assert (talk.told.texts[0], talk.told.sources[0]) == ("", Source.NONE)
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


async def test_what_nobody_could_be_reached_to_hear_is_heard_later_and_the_record_put_right() -> None:
    """Google is away, and back after a moment: the final went out without words, and the audio is still in hand."""
    away = Fault(kind=Kind.END, surface=Surface.UNARY, times=2)
    async with talking(on=False, faults=(away,), late_attempts=3) as talk:
        await talk.say(0)
        assert (talk.told.texts[0], talk.told.sources[0]) == ("", Source.NONE)
        await until(lambda: talk.told.revisions)

        assert talk.told.revisions == [(0, talk.spoken.utterances[0].text)]
        assert talk.unary == 3


async def test_what_the_stream_had_heard_is_better_than_nothing() -> None:
    with_partials = script([WORDS[0:5]])
    async with talking(with_partials, faults=(dying(2.5), REFUSED)) as talk:
        await talk.begin(0, words=3)
        await until(lambda: talk.told.partials or talk.told.closed)
        await talk.end(0)
        await until(lambda: 0 in talk.told.texts)

        assert talk.told.sources[0] is Source.INTERIM
        assert with_partials.text.startswith(talk.told.texts[0].split()[0])


async def test_a_stream_that_is_refused_at_the_start_costs_no_word() -> None:
    """Trap: a session that failed and looks alive would swallow every utterance from here on."""
    refused = Fault(kind=Kind.END, code="RESOURCE_EXHAUSTED")
    async with talking(faults=(refused,)) as talk:
        await talk.say(0)
        await talk.say(1)

        talk.right(0, 1)
        assert not talk.transcription.session_open
        assert talk.told.modes[1] is Mode.SINGLE
        assert (talk.streams, talk.unary) == (1, 2)  # too much was asked of Google: nothing is asked again for a while


async def test_a_configuration_google_refuses_is_not_tried_twice() -> None:
    with capture_logs() as logs:
        async with talking(THREE, faults=(Fault(kind=Kind.END, code="INVALID_ARGUMENT"),)) as talk:
            for index in range(3):
                await talk.say(index)

            talk.right(0, 1, 2)
            assert talk.streams == 1
    assert len(warnings(logs)) == 1


async def test_a_call_whose_session_keeps_failing_stays_on_single_requests() -> None:
    four = script([WORDS[i : i + 2] for i in range(0, 8, 2)])
    async with talking(four, faults=(Fault(kind=Kind.END, when=Moment.FIRST_AUDIO),)) as talk:
        for index in range(4):
            await talk.say(index)

        talk.right(0, 1, 2, 3)
        assert talk.streams == 4
        assert talk.told.modes[2:] == [Mode.SINGLE] * 2


async def test_googles_time_limit_is_no_failure() -> None:
    limit = Fault(kind=Kind.END, when=Moment.AUDIO, seconds=1.0, code="OUT_OF_RANGE", times=2)
    with capture_logs() as logs:
        async with talking(THREE, faults=(limit,)) as talk:
            for index in range(3):
                await talk.say(index)

            talk.right(0, 1, 2)
            assert talk.streams == 3
    assert warnings(logs) == []


# -- late and missing finals -------------------------------------------------------------------------------------


async def test_an_utterance_that_the_stream_misses_is_asked_for_once() -> None:
    with capture_logs() as logs:
        async with talking(faults=(Fault(kind=Kind.SILENCE),)) as talk:
            talk.transcription.tune(msgspec.structs.replace(PATIENT, final_timeout_ms=100))
            talk.transcription.append(talk.ring.end)
            talk.transcription._utterances.patience.give_up = 0.2
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
    async with talking(faults=(Fault(kind=Kind.SILENCE), slow)) as talk:
        talk.transcription.tune(msgspec.structs.replace(PATIENT, final_timeout_ms=100))
        talk.transcription.append(talk.ring.end)
        talk.transcription._utterances.patience.give_up = 0.2
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
    async with talking(faults=(slow,)) as talk:
        talk.transcription._utterances.patience.give_up = 20
        await talk.begin(0, words=3)
        await until(lambda: talk.told.partials and talk.told.partials[-1][1] == talk.spoken.utterances[0].text)
        talk.transcription.tune(msgspec.structs.replace(PATIENT, final_timeout_ms=100))
        talk.transcription.append(talk.ring.end)
        talk.transcription._utterances.patience.give_up = 20
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

    async with scripted_google(google) as served, talking(google=served.address) as talk:
        talk.transcription.tune(msgspec.structs.replace(PATIENT, final_timeout_ms=100))
        talk.transcription.append(0)
        talk.transcription.speech_started(0, 0)
        talk.ring.append(bytes([0xFF]) * 8000)
        talk.transcription.append(8000)
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

    tuning = msgspec.structs.replace(PATIENT, final_timeout_ms=100)
    async with scripted_google(google) as served, talking(google=served.address, tuning=tuning) as talk:
        talk.transcription.speech_started(0, 0)
        talk.ring.append(bytes([0xFF]) * 8000)
        talk.transcription.append(8000)
        talk.transcription.speech_ended(8000)
        await until(lambda: 0 in talk.told.texts)
        await talk.transcription.finish()

        assert len(served.requests) == 1
        assert talk.told.texts == {0: "שלום עולם"}
        assert talk.told.revisions == [(0, "שלום עולם")]
        assert talk.told.unconfirmed == [0]


# -- long utterances, tuning, the end ----------------------------------------------------------------------------


async def test_an_utterance_is_cut_at_fifty_five_seconds_and_no_word_is_lost_or_doubled() -> None:
    """A single request takes at most 60 s: the double refuses a longer one."""
    long = script([(WORDS * 20)[:130]])
    words = long.words
    cut = next(a.end + (b.start - a.end) // 2 for a, b in pairwise(words) if a.end > LONGEST)
    first = next(word for word in words if word.start > cut - LONGEST)
    assert long.utterances[0].end > LONGEST + 8000
    async with talking(long, on=False) as talk:
        await talk.feed(cut - LONGEST)
        talk.transcription.speech_started(cut - LONGEST, cut - LONGEST)
        await talk.feed(long.utterances[0].end)
        talk.transcription.speech_ended(long.utterances[0].end)
        await until(lambda: len(talk.told.texts) == 2)

        heard = f"{talk.told.texts[0]} {talk.told.texts[1]}"
        assert heard.split() == [word.text for word in words if word.start >= first.start]
        assert talk.unary == 2


async def test_a_new_tuning_holds_for_the_call_in_progress() -> None:
    async with talking() as talk:
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
    async with talking() as talk:
        await talk.begin(0, words=3)
        await talk.transcription.finish()

        talk.right(0)
        assert talk.told.closed == 1


async def test_a_call_that_has_no_time_to_finish_keeps_what_was_made_out() -> None:
    deaf = Fault(kind=Kind.SLOW_FINALS, latency_s=20)
    async with talking(faults=(deaf,)) as talk:
        await talk.begin(0, words=3)
        await until(lambda: talk.told.partials)
        heard = talk.told.partials[-1][1]
        for task in talk.transcription._pending:
            task.cancel()
        await until(lambda: talk.told.closed == 1)
        talk.transcription.abandon()

        assert talk.told.texts == {0: heard}
        assert talk.told.sources == {0: Source.INTERIM}


async def test_what_comes_while_a_call_is_cut_off_starts_nothing() -> None:
    """Media and timers go on until `abandon`, but the call's tasks take no more."""
    async with talking(on=False) as talk:
        await talk.begin(0)
        async with asyncio.TaskGroup() as cut_off:
            talk.transcription.begin(cut_off)
        await talk.end(0)
        talk.transcription.abandon()

        assert (talk.told.sources, talk.unary) == ({0: Source.NONE}, 0)


async def test_a_promoted_interim_that_no_final_confirms_is_checked_by_a_single_request() -> None:
    """The stream stalled just when the caller ended: the promoted text may lack the end of the last word."""
    async with talking() as talk:
        talk.transcription.tune(msgspec.structs.replace(PATIENT, final_timeout_ms=100))
        talk.transcription.append(talk.ring.end)
        talk.transcription._utterances.patience.give_up = 0.3
        talk.transcription._utterances.patience.confirm = 0.3
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


async def test_the_call_that_ends_with_an_answer_on_the_way_waits_for_it() -> None:
    async with talking(on=False, double=msgspec.structs.replace(FAST, unary_latency_s=0.3)) as talk:
        await talk.say(0, settle=False)
        await talk.transcription.finish()

        talk.right(0)
        assert talk.unary == 1


async def test_two_calls_at_once_never_hear_each_other() -> None:
    """Trap: one module-level session and one current utterance for the whole process."""
    others = script([WORDS[6:9], WORDS[9:12]])
    async with talking(TWO) as one, talking(others) as two:
        await asyncio.gather(*(talk.say(index) for talk in (one, two) for index in (0,)))
        await asyncio.gather(*(talk.say(index) for talk in (one, two) for index in (1,)))

        one.right(0, 1)
        two.right(0, 1)
        assert [len(talk.told.texts) for talk in (one, two)] == [2, 2]


async def test_a_post_process_that_raises_costs_its_punctuation_only() -> None:
    def broken(words: str) -> str:
        raise ValueError(words)

    with capture_logs() as logs:
        async with talking(punctuate=broken) as talk:
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
    async with scripted_google(google) as served, talking(google=served.address, tuning=tuning) as talk:
        talk.transcription.speech_started(0, 0)
        talk.ring.append(bytes([0xFF]) * 8000)
        talk.transcription.append(8000)
        await until(lambda: talk.told.partials and talk.told.partials[-1][1].count("מילה") == 8)

        assert len(talk.told.partials) < 8
