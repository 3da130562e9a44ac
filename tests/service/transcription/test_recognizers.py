import asyncio
from collections import defaultdict
from dataclasses import dataclass, field, replace

import structlog

from batkol.errors import UpstreamError
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.wire import recognition
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.speech.breaker import Breaker, BreakerState
from batkol.speech.punctuation import punctuate
from batkol.speech.utterance import Mode, Source, Utterance
from batkol.transcription.events import StepFailed
from batkol.transcription.recognizers import Recognizers
from support.google.streaming import google_step
from support.speech.observer import Observed

UTTERANCE = Utterance(index=0, begin=0, speech_at=0, mode=Mode.SINGLE)
AUDIO = b"\xff" * 160
BROKEN = UpstreamError("it is broken", reason="unavailable", retryable=True)
REFUSED = UpstreamError("who are you", reason="unauthenticated", retryable=False)

log = structlog.get_logger()


@dataclass
class Scripted:
    """Answers what it is told to, and counts."""

    answer: str | UpstreamError = "שלום"
    asked: int = 0

    async def recognize(self, audio: bytes) -> str:
        self.asked += 1
        if isinstance(self.answer, UpstreamError):
            raise self.answer
        return self.answer


@dataclass
class Chain:
    """Google's single request, then Whisper."""

    single: Scripted = field(default_factory=Scripted)
    whisper: Scripted | None = field(default_factory=Scripted)
    rest: float = 1000.0
    told: Observed = field(default_factory=Observed)

    @property
    def fell_back(self) -> list[tuple[str, str]]:
        return [(event.step, event.reason) for event in self.told.of(StepFailed)]

    def __post_init__(self) -> None:
        config = recognition("he-IL", "default")
        channels = Channels(endpoint="127.0.0.1:9", insecure=True)
        fallbacks = [(Source.SINGLE, self.single), (Source.WHISPER, self.whisper)]
        self.recognizers = Recognizers(
            streaming=google_step(channels, config),
            options=StreamingOptions(on_written=lambda *_: None),
            fallbacks=tuple((source, each) for source, each in fallbacks if each is not None),
            punctuate=punctuate,
            breakers=defaultdict(lambda: Breaker(rest=self.rest)),
        )

    async def ask(self, audio: bytes = AUDIO) -> tuple[str, Source | None]:
        return await self.recognizers.answer(UTTERANCE, audio, self.told.observe, log)

    def state(self, source: Source) -> BreakerState:
        return self.recognizers.breakers[source].state


async def test_the_first_answer_is_taken() -> None:
    chain = Chain()

    assert await chain.ask() == ("שלום", Source.SINGLE)
    assert chain.whisper is not None
    assert (chain.single.asked, chain.whisper.asked) == (1, 0)


async def test_what_fails_five_times_is_passed_over_for_all_calls_and_counted_each_time() -> None:
    chain = Chain(single=Scripted(BROKEN))
    for _ in range(7):
        assert await chain.ask() == ("שלום", Source.WHISPER)

    assert chain.single.asked == 5
    assert chain.fell_back == [("single", "unavailable")] * 5 + [("single", "breaker")] * 2


async def test_a_refusal_that_no_retry_mends_is_met_once() -> None:
    chain = Chain(single=Scripted(REFUSED))
    for _ in range(3):
        await chain.ask()

    assert chain.single.asked == 1
    assert chain.recognizers.breakers[Source.SINGLE].grave


async def test_the_last_one_is_asked_all_the_same_if_nobody_else_was() -> None:
    chain = Chain(single=Scripted(BROKEN), whisper=Scripted(BROKEN))
    assert chain.whisper is not None
    for _ in range(8):
        assert await chain.ask() == ("", None)

    assert (chain.single.asked, chain.whisper.asked) == (5, 8)
    chain.whisper.answer = "כן"
    assert await chain.ask() == ("כן", Source.WHISPER)
    assert chain.state(Source.WHISPER) is BreakerState.CLOSED


async def test_the_last_one_is_left_alone_where_another_was_asked() -> None:
    chain = Chain(whisper=Scripted(REFUSED))
    chain.single.answer = BROKEN
    assert chain.whisper is not None
    for _ in range(3):
        assert await chain.ask() == ("", None)

    assert (chain.single.asked, chain.whisper.asked) == (3, 1)


async def test_alone_it_is_asked_once_an_utterance_however_often_it_refuses() -> None:
    chain = Chain(single=Scripted(REFUSED), whisper=None)
    for _ in range(4):
        assert await chain.ask() == ("", None)

    assert chain.single.asked == 4
    assert chain.fell_back == [("single", "unauthenticated")] * 4


async def test_after_its_rest_one_call_asks_for_all() -> None:
    chain = Chain(single=Scripted(REFUSED), rest=0.01)
    await chain.ask()
    chain.single.answer = "תודה"
    await asyncio.sleep(0.02)

    assert await chain.ask() == ("תודה", Source.SINGLE)
    assert chain.state(Source.SINGLE) is BreakerState.CLOSED


async def test_an_empty_answer_is_a_success() -> None:
    chain = Chain(single=Scripted(""))

    assert await chain.ask() == ("", Source.NONE)
    assert chain.state(Source.SINGLE) is BreakerState.CLOSED


async def test_no_audio_is_asked_of_nobody() -> None:
    chain = Chain()

    assert await chain.ask(b"") == ("", Source.NONE)
    assert chain.single.asked == 0


async def test_cancelling_is_no_verdict() -> None:
    class Slow:
        async def recognize(self, audio: bytes) -> str:
            await asyncio.Event().wait()
            return ""

    chain = Chain()
    slow = replace(chain.recognizers, fallbacks=((Source.SINGLE, Slow()),))
    task = asyncio.create_task(slow.answer(UTTERANCE, AUDIO, Observed().observe, log))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert slow.breakers[Source.SINGLE].since is None
