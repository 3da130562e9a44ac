"""The recognizers of the process: the stream's options, and the fallbacks in their order.

Each step of the failure order has a breaker: what fails for many calls is left alone for all of them for a while.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from batkol.errors import UpstreamError
from batkol.recognizers.google.options import StreamingOptions
from batkol.speech.breaker import Breaker
from batkol.speech.punctuation import Punctuate
from batkol.speech.utterance import Source


class StepObserver(Protocol):
    """Told which recognizers hear an utterance. Must neither block nor raise."""

    def asked(self, step: Source) -> None: ...
    def answered(self, step: Source) -> None: ...

    def fell_back(self, step: str, reason: str) -> None:
        """It failed, or was passed over: the reason is a short word."""
        ...


class Recognizer(Protocol):
    """One answer for a stretch of mu-law; raises `UpstreamError`."""

    async def recognize(self, audio: bytes) -> str: ...


@dataclass(frozen=True, slots=True)
class Recognizers:
    """One per process. `fallbacks` are asked in order, each with its name for the log.

    `streaming` is the stream's breaker, told by whoever opens streams; `breakers` are the fallbacks' own.
    """

    speech: StreamingOptions
    fallbacks: tuple[tuple[Source, Recognizer], ...]
    punctuate: Punctuate
    again: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    """Seconds between attempts to have an utterance heard after all, when nobody could be reached."""

    streaming: Breaker = field(default_factory=Breaker)
    breakers: defaultdict[Source, Breaker] = field(default_factory=lambda: defaultdict(Breaker))

    @property
    def hopeless(self) -> bool:
        """Whether every fallback is refused for good, until somebody puts the configuration right."""
        return all(self.breakers[source].grave for source, _ in self.fallbacks)

    async def answer(self, audio: bytes, steps: StepObserver, log: FilteringBoundLogger) -> tuple[str, Source | None]:
        """Ask one after another with the same mu-law; return the first answer: its text and who gave it.

        `Source.NONE` if there was nothing to make out, None if nobody could be reached: it may be asked again later.
        A step that its breaker holds back is told to `steps` and passed over, but for the last one where nobody
        else was asked: a request that will probably fail is more than none. Never raises an `UpstreamError`: each
        failure is logged once and told to `steps`. Cancelling it gives the request under way up.
        """
        if not audio:
            return "", Source.NONE  # Google calls it an INVALID_ARGUMENT, which would be held against all calls
        clock = asyncio.get_running_loop().time
        asked = False
        for source, recognizer in self.fallbacks:
            breaker = self.breakers[source]
            only_one = source is self.fallbacks[-1][0] and not asked
            if not breaker.allows(clock()) and not only_one:
                steps.fell_back(source, "breaker")
                continue
            asked = True
            steps.asked(source)
            try:
                text = await recognizer.recognize(audio)
            except UpstreamError as error:
                log.warning(f"[STT] {source} failed", err=str(error), reason=error.reason)
                breaker.fail(clock(), error.reason, grave=not error.retryable)
                steps.fell_back(source, error.reason)
            else:
                breaker.succeed(clock())
                steps.answered(source)
                return text, source if text else Source.NONE
        return "", None

    def punctuated(self, text: str, log: FilteringBoundLogger) -> str:
        """Finish the text of a final; a post-process that raises costs its marks and nothing else."""
        try:
            return self.punctuate(text)
        except Exception:
            log.exception("[STT] punctuation failed; the text goes out without it")
            return text
