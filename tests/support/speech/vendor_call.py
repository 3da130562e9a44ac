"""A call that several recognizers may hear, in virtual time: the policy as it is, the vendors in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from batkol.audio.ring import Ring
from batkol.audio.segmenter import SegmentQuiet
from batkol.flags.flag import DecisionSource
from batkol.flags.flags import Decision
from batkol.live.tuning import Tuning
from batkol.recognizers.streaming.errors import SpeechError
from batkol.recognizers.streaming.events import RecognizerChanged
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.traits import Traits
from batkol.speech.utterance import Source
from batkol.transcription.policy import Transcription
from batkol.transcription.recognizers import Recognizers
from batkol.transcription.streaming_step import StreamingStep
from batkol.voices.marked.voice import SpokenAudio
from support.speech.memory_vendor import TIMED, MemoryVendor
from support.speech.policy_call import FRAME, HANG_OVER, PRE_ROLL, QUIET, Told
from support.speech.scripted_recognizer import ScriptedRecognizer
from support.time.waiting import until

ON = Decision(True, "on", "STATIC", DecisionSource.FLAG)


@dataclass
class VendorCall:
    """One call. `preferred` is what the flag says."""

    spoken: SpokenAudio
    vendors: Sequence[MemoryVendor]
    told: Told
    recognizers: Recognizers
    single: ScriptedRecognizer | KnowingFallback
    preferred: str | None = None
    ring: Ring = field(default_factory=lambda: Ring(capacity=700 * 8000))

    def __post_init__(self) -> None:
        self.transcription = Transcription(
            ring=self.ring,
            recognizers=self.recognizers,
            decide=lambda: ON,
            prefer=lambda: self.preferred,
            tuning=Tuning(partial_debounce_ms=0),
            observe=self.told.observe,
            log=structlog.get_logger(),
        )

    async def feed(self, end: int) -> None:
        """Frames of 20 ms, as they come."""
        for start in range(self.ring.end, end, FRAME):
            await asyncio.sleep(0.02)
            self.ring.append(self.spoken.mulaw[start : start + FRAME].ljust(FRAME, b"\xff"))
            self.transcription.append(self.ring.end)

    async def begin(self, index: int, *, words: int = 1) -> None:
        """The caller begins utterance number `index`, and speaks so many words of it."""
        utterance = self.spoken.utterances[index]
        await self.feed(utterance.start + 800)
        self.transcription.speech_started(max(0, utterance.start - PRE_ROLL), utterance.start)
        said = [word for word in self.spoken.words if utterance.start <= word.start < utterance.end]
        await self.feed(said[words - 1].end)

    async def end(self, index: int) -> None:
        """The rest of the utterance, and the silence that tells its end."""
        utterance = self.spoken.utterances[index]
        await self.feed(utterance.end + QUIET)
        self.transcription.speech_paused(SegmentQuiet(utterance.end, utterance.end + QUIET))
        await self.feed(utterance.end + HANG_OVER)
        self.transcription.speech_ended(utterance.end)

    async def say(self, *indexes: int) -> None:
        for index in indexes:
            await self.begin(index)
            await self.end(index)
        await until(lambda: set(indexes) <= set(self.told.texts))

    def put_in_force(self, *names: str) -> None:
        """Have these recognizers in force, in this order, as a change of the tuning does; the call follows."""
        self.recognizers.use(names, self.step)
        self.transcription.follow()

    def step(self, name: str) -> StreamingStep:
        """Make the step of a vendor that was not in force at the start."""
        return StreamingStep(next(vendor for vendor in self.vendors if vendor.name == name))

    @property
    def text(self) -> str:
        """All that was heard, as the record has it."""
        texts = {**self.told.texts, **dict(self.told.revisions)}
        return " ".join(texts[index] for index in sorted(texts) if texts[index])

    @property
    def changes(self) -> list[tuple[str, str]]:
        return [(change.after, change.reason) for change in self.told.of(RecognizerChanged)]


class KnowingFallback:
    """A single request that makes out every whole word of its audio, after `takes_s`."""

    def __init__(self, spoken: SpokenAudio, *, takes_s: float = 0.2) -> None:
        self.asked: list[bytes] = []
        self._spoken = spoken
        self._takes_s = takes_s

    async def recognize(self, audio: bytes) -> str:
        self.asked.append(audio)
        await asyncio.sleep(self._takes_s)
        at = self._spoken.mulaw.find(audio)
        assert at >= 0, "the audio of an utterance is a stretch of the call"
        return " ".join(w.text for w in self._spoken.words if at <= w.start and w.end <= at + len(audio))


@asynccontextmanager
async def vendor_call(
    spoken: SpokenAudio,
    *,
    single: ScriptedRecognizer | KnowingFallback | None = None,
    traits: Mapping[str, Traits] | None = None,
    preferred: str | None = None,
    hanging: str = "",
    refusing: tuple[str, SpeechError] | None = None,
    in_force: int = 100,
) -> AsyncIterator[VendorCall]:
    """A call in progress, with a vendor for each name of `traits`, in this order; the first `in_force` of them are."""
    told = Told()
    named = traits or {"first/a": TIMED, "second/b": TIMED}
    vendors = [MemoryVendor(name, spoken, told, traits=each) for name, each in named.items()]
    for vendor in vendors:
        vendor.hangs = vendor.name == hanging
        if refusing is not None and refusing[0] == vendor.name:
            vendor.refusal = refusing[1]
    single = single or ScriptedRecognizer()
    recognizers = Recognizers(
        streaming=tuple(StreamingStep(vendor) for vendor in vendors[:in_force]),
        options=StreamingOptions(on_written=lambda *_: None),
        fallbacks=((Source.SINGLE, single),),
        punctuate=str,
    )
    call = VendorCall(spoken, vendors, told, recognizers, single, preferred)
    async with asyncio.timeout(36_000), asyncio.TaskGroup() as tasks:
        call.transcription.begin(tasks)
        call.transcription.start()
        yield call
        await call.transcription.finish()
    assert [vendor.streams for vendor in vendors] == [0] * len(vendors)
