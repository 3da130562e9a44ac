"""A call under the policy: the caller's speech, the wire to the speech double, and an observer that sorts the events.

Where the caller speaks is told, not detected. In memory a frame comes every 20 ms of virtual time and the double has
Google's own latencies and limits; over gRPC everything goes as fast as it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from batkol.audio.ring import Ring
from batkol.audio.segmenter import SegmentQuiet
from batkol.backoff import Backoff
from batkol.flags.flag import DecisionSource
from batkol.flags.flags import Decision
from batkol.live.tuning import Tuning
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.recognizer import SingleRecognizer
from batkol.recognizers.google.wire import recognition
from batkol.recognizers.streaming.events import StreamEnded, StreamReplaced
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
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
from batkol.voices.marked.voice import WORDS, SpokenAudio, script
from support.google.client import FAST
from support.google.memory_wire import memory_channels
from support.google.streaming import google_step
from support.speech.observer import Observed
from support.time.waiting import until

PRE_ROLL: Final = 2400
HANG_OVER: Final = 3840
QUIET: Final = 512
FRAME: Final = 160
PATIENT: Final = Tuning(final_timeout_ms=5000, partial_debounce_ms=0)
"""Finals are waited for, as long as Google may take."""

HASTY: Final = Tuning(final_timeout_ms=100, partial_debounce_ms=0)
"""The newest interim is promoted almost at once."""

TWO: Final = script([WORDS[0:3], WORDS[3:6]])
THREE: Final = script([WORDS[0:2], WORDS[2:4], WORDS[4:6]])


@dataclass
class Told(Observed):
    """An observer that sorts what a call's recognition tells."""

    story: list[tuple[str, Any]] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    sources: dict[int, Source | None] = field(default_factory=dict)
    unheard: list[int] = field(default_factory=list)
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
                self.unheard += [utterance.index] if utterance.unheard else []
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

    def __init__(
        self,
        spoken: SpokenAudio,
        double: SpeechDouble,
        recognizers: Recognizers,
        *,
        frame_s: float,
        on: bool,
        tuning: Tuning,
    ) -> None:
        self.spoken = spoken
        self.double = double
        self.on = on
        self.frame_s = frame_s
        self.ring = Ring(capacity=LONGEST + 80_000)
        self.told = Told()
        self.transcription = Transcription(
            ring=self.ring,
            recognizers=recognizers,
            decide=lambda: Decision(self.on, "on" if self.on else "off", "STATIC", DecisionSource.FLAG),
            tuning=tuning,
            observe=self.told.observe,
            log=structlog.get_logger(),
        )

    async def feed(self, until: int) -> None:
        """Frames of 20 ms of audio, one every `frame_s` seconds."""
        for start in range(self.ring.end, until, FRAME):
            await asyncio.sleep(self.frame_s)
            self.append(self.spoken.mulaw[start : min(start + FRAME, until)])

    def append(self, audio: bytes) -> None:
        """More audio of the caller."""
        self.ring.append(audio)
        self.transcription.append(self.ring.end)

    def tune(self, tuning: Tuning) -> None:
        """A new tuning, and the look at the audio that it calls for."""
        self.transcription.tune(tuning)
        self.transcription.append(self.ring.end)

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
        await self.feed(utterance.end + QUIET)
        self.transcription.speech_paused(SegmentQuiet(utterance.end, utterance.end + QUIET))
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


@dataclass(frozen=True)
class Surroundings:
    """What a call is recognized by. `whisper` is the step after the single request, if there is one."""

    faults: tuple[Fault, ...] = ()
    double: DoubleSettings = field(default_factory=DoubleSettings)
    whisper: Recognizer | None = None
    late_attempts: int = 0
    punctuate: Callable[[str], str] = str
    attempts: int = 1
    google: Any = None
    """The handlers of another service in the place of the double's, in memory."""


@asynccontextmanager
async def in_memory(spoken: SpokenAudio = TWO, **choices: Any) -> AsyncIterator[Talk]:
    """A call in progress in virtual time, without gRPC; afterwards nothing of it is left."""
    clock = asyncio.get_running_loop().time
    told, around = _split(choices)
    async with SpeechDouble(around.double, clock=clock) as double:
        double.inject(*around.faults)
        async with memory_channels(around.google or double.handlers()) as channels:
            talk = Talk(spoken, double, _recognizers(channels, around), frame_s=0.02, **told)
            async with _in_progress(talk, channels):
                yield talk


@asynccontextmanager
async def over_grpc(spoken: SpokenAudio = TWO, **choices: Any) -> AsyncIterator[Talk]:
    """A call in progress over the real wire, as fast as it goes; afterwards nothing of it is left."""
    told, around = _split({"double": FAST, **choices})
    async with asyncio.timeout(50), AsyncExitStack() as stack:
        double = await stack.enter_async_context(SpeechDouble(around.double))
        double.inject(*around.faults)
        channels = Channels(endpoint=f"127.0.0.1:{await double.start()}", insecure=True)
        stack.push_async_callback(channels.close)
        talk = Talk(spoken, double, _recognizers(channels, around), frame_s=0, **told)
        async with _in_progress(talk, channels):
            yield talk


def _split(choices: dict[str, Any]) -> tuple[dict[str, Any], Surroundings]:
    told = {"on": choices.pop("on", True), "tuning": choices.pop("tuning", PATIENT)}
    return told, Surroundings(**choices)


def _recognizers(channels: Channels, around: Surroundings) -> Recognizers:
    config = recognition("he-IL", "default")
    fallbacks: list[tuple[Source, Recognizer]] = [(Source.SINGLE, SingleRecognizer(channels, config))]
    if around.whisper is not None:
        fallbacks.append((Source.WHISPER, around.whisper))
    options = StreamingOptions(on_written=lambda *_: None, attempts=around.attempts, first_retry=0.01)
    return Recognizers(
        streaming=google_step(channels, config),
        options=options,
        fallbacks=tuple(fallbacks),
        punctuate=around.punctuate,
        late=Backoff(first_s=0.1, longest_s=0.1),
        late_attempts=around.late_attempts,
    )


@asynccontextmanager
async def _in_progress(talk: Talk, channels: Channels) -> AsyncIterator[None]:
    transcription, told = talk.transcription, talk.told
    async with asyncio.TaskGroup() as tasks:
        transcription.begin(tasks)
        transcription.start()
        yield
        await transcription.finish()
    assert told.opened == told.closed
    assert not transcription.session_open
    assert (channels.streams, channels.requests) == (0, 0)
    assert not transcription._pending.tasks


def warnings(logs: list[Any]) -> list[str]:
    return [line["event"] for line in logs if line["log_level"] in {"warning", "error"}]


def dying(seconds: float, **fields: Any) -> Fault:
    """Every stream dies so far into its audio."""
    return Fault(kind=Kind.END, when=Moment.AUDIO, seconds=seconds, **fields)


REFUSED: Final = Fault(kind=Kind.END, surface=Surface.UNARY)
"""Single requests fail."""

BROKEN: Final = (dying(1.0, times=1), Fault(kind=Kind.END, streams=(2,)))
"""The stream dies in mid-utterance, and the one that should go on is refused: that is all the attempts there are."""

GOES_ON: Final = "[STT] stream failed; the next stream starts from the last final"
FAILED: Final = "[STT] streaming failed → fallback to single. err="


def failures(logs: list[Any]) -> list[str]:
    """Without the streams that could be replaced: whether one was open before it was refused is a matter of luck."""
    return [line for line in warnings(logs) if line != GOES_ON]
