"""The recognizers of the process: the streaming ones, and the fallbacks, each in their order.

Each step of the failure order has a breaker: what fails for many calls is left alone for all of them for a while.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from batkol.audio.ring import Ring
from batkol.backoff import Backoff
from batkol.errors import UpstreamError
from batkol.recognizers.streaming.events import SessionDelegate
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.session import OnTranscript, StreamingSTTSession
from batkol.speech.breaker import Breaker, StepFailure
from batkol.speech.punctuation import Punctuate
from batkol.speech.utterance import Source, Utterance
from batkol.transcription.events import Observe, StepAnswered, StepAsked, StepFailed
from batkol.transcription.streaming_step import StreamingStep

LONGEST_WORDS: Final = 600
"""Characters of a recognizer's own words about a failure; Google's longest have some 400."""

LATE: Final = Backoff(first_s=1.0, longest_s=8.0)
"""The waits of an utterance for which no recognizer could be reached."""


def failure(error: UpstreamError) -> StepFailure:
    """Return what a breaker keeps of an error: its words on one line, and no more of them than a screen shows."""
    said = " ".join(str(error).split())
    return StepFailure(error.reason, said if len(said) <= LONGEST_WORDS else f"{said[:LONGEST_WORDS]}…", error.remedy)


class Session(Protocol):
    """One call's streaming recognition, as its owner uses it. See `StreamingSTTSession`."""

    @property
    def due(self) -> int: ...
    @property
    def recognizer(self) -> StreamingRecognizer: ...
    @property
    def wanted(self) -> StreamingRecognizer: ...
    def switch(self, recognizer: StreamingRecognizer, at: int | None) -> None: ...
    def finalize(self) -> None: ...
    def tune(self, batch_ms: int) -> None: ...
    def push_audio(self, until: int, *, flush: bool = False) -> None: ...
    def set_silent(self, *, quiet: bool, spoken_to: int | None = None) -> None: ...
    def report_stall(self) -> None: ...
    async def run(self) -> None: ...
    async def close(self) -> None: ...


class SessionFactory(Protocol):
    """Makes a session, as `StreamingSTTSession` does."""

    def __call__(
        self,
        on_partial: OnTranscript,
        on_final: OnTranscript,
        *,
        recognizer: StreamingRecognizer,
        options: StreamingOptions,
        ring: Ring,
        start: int,
        batch_ms: int,
        delegate: SessionDelegate,
        log: FilteringBoundLogger,
    ) -> Session: ...


class Recognizer(Protocol):
    """One answer for a stretch of mu-law; raises `UpstreamError`."""

    async def recognize(self, audio: bytes) -> str: ...


@dataclass(slots=True)
class Recognizers:
    """One per process. `fallbacks` are asked in order, each with its name for the log; `breakers` are their own."""

    streaming: tuple[StreamingStep, ...]
    """In force, in the order in which a call tries them; at least one. Replaced as a whole while calls are up."""

    options: StreamingOptions
    fallbacks: tuple[tuple[Source, Recognizer], ...]
    punctuate: Punctuate
    late: Backoff = LATE
    late_attempts: int = 4
    """Attempts to have such an utterance recognized after all, each of which waits for `late`."""

    open_session: SessionFactory = StreamingSTTSession
    breakers: defaultdict[Source, Breaker] = field(default_factory=lambda: defaultdict(Breaker))

    known: dict[str, StreamingStep] = field(init=False)
    """The streaming ones that are or were in force, by name: a call may still use one that is not in force any more."""

    def __post_init__(self) -> None:
        """Know what is in force at the start."""
        self.known = {step.name: step for step in self.streaming}

    def use(self, names: Sequence[str], make: Callable[[str], StreamingStep]) -> list[StreamingStep]:
        """Put the streaming recognizers of these names in force, in this order. Returns those that were made for it.

        One that was in force before comes back with its breaker.
        """
        made = [make(name) for name in names if name not in self.known]
        self.known |= {step.name: step for step in made}
        self.streaming = tuple(self.known[name] for name in names)
        return made

    def step(self, name: str) -> StreamingStep:
        """Return the streaming recognizer of that name, in force or not. Raises `KeyError`."""
        return self.known[name]

    @property
    def all_refused(self) -> bool:
        """Whether every fallback refuses the service until the configuration is corrected."""
        return all(self.breakers[source].grave for source, _ in self.fallbacks)

    async def answer(
        self, utterance: Utterance, audio: bytes, observe: Observe, log: FilteringBoundLogger
    ) -> tuple[str, Source | None]:
        """Ask one after another with the utterance's mu-law; return the first answer: its text and who gave it.

        `Source.NONE` if there was no word, None if no recognizer could be reached: it may be asked again later.
        A step that its breaker holds back is observed as failed and passed over, but for the last one where no other
        was asked: a request that will probably fail is more than none. Never raises an `UpstreamError`: each
        failure is logged once and observed. Cancelling it gives up the request under way.
        """
        if not audio:
            return "", Source.NONE  # Google calls it an INVALID_ARGUMENT, which would be held against all calls
        clock = asyncio.get_running_loop().time
        asked = False
        for source, recognizer in self.fallbacks:
            breaker = self.breakers[source]
            only_one = source is self.fallbacks[-1][0] and not asked
            if not breaker.allows(clock()) and not only_one:
                observe(StepFailed(utterance, source, "breaker"))
                continue
            asked = True
            observe(StepAsked(utterance, source))
            try:
                text = await recognizer.recognize(audio)
            except UpstreamError as error:
                log.warning(f"[STT] {source} failed", err=str(error), reason=error.reason)
                breaker.fail(clock(), failure(error), grave=not error.retryable)
                observe(StepFailed(utterance, source, error.reason))
            else:
                breaker.succeed(clock())
                observe(StepAnswered(utterance, source))
                return text, source if text else Source.NONE
        return "", None

    async def answer_late(
        self, utterance: Utterance, audio: bytes, observe: Observe, log: FilteringBoundLogger
    ) -> tuple[str, Source | None]:
        """Ask again, a few times, about an utterance that no recognizer could be reached for: as `answer`."""
        for attempt in range(self.late_attempts):
            await asyncio.sleep(self.late.wait_s(attempt))
            text, source = await self.answer(utterance, audio, observe, log)
            if source is not None:
                return text, source
        log.error("[STT] no recognizer could be reached for an utterance; its words are lost")
        return "", None

    def punctuated(self, text: str, log: FilteringBoundLogger) -> str:
        """Finish the text of a final; a post-process that raises costs its marks and nothing else."""
        try:
            return self.punctuate(text)
        except Exception:
            log.exception("[STT] punctuation failed; the text goes out without it")
            return text
