"""What the process recognizes with: the stream's settings, and the recognizers that are asked when it is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from batkol.errors import UpstreamError
from batkol.google.session import Speech
from batkol.speech.punctuation import Punctuate
from batkol.speech.utterance import Source

FellBack = Callable[[str, str], None]
"""Told the step that failed and the reason, a short word each."""


class Recognizer(Protocol):
    """One answer for a stretch of mu-law; raises `UpstreamError`."""

    async def recognize(self, audio: bytes) -> str: ...


@dataclass(frozen=True, slots=True)
class Recognizers:
    """One per process. `fallbacks` are asked in order, each with its name for the log."""

    speech: Speech
    fallbacks: tuple[tuple[Source, Recognizer], ...]
    punctuate: Punctuate

    async def answer(self, audio: bytes, fell_back: FellBack, log: FilteringBoundLogger) -> tuple[str, Source]:
        """Ask one after another with the same mu-law; return the first answer, or "" and `Source.NONE`.

        Never raises an `UpstreamError`: each failure is logged once and told to `fell_back`. Cancelling it gives the
        request under way up.
        """
        for source, recognizer in self.fallbacks:
            try:
                text = await recognizer.recognize(audio)
            except UpstreamError as error:
                log.warning(f"[STT] {source} failed", err=str(error), reason=error.reason)
                fell_back(source, error.reason)
            else:
                return text, source if text else Source.NONE
        return "", Source.NONE

    def punctuated(self, text: str, log: FilteringBoundLogger) -> str:
        """Finish the text of a final; a post-process that raises costs its marks and nothing else."""
        try:
            return self.punctuate(text)
        except Exception:
            log.exception("[STT] the punctuation post-process raised; the text goes out as it is")
            return text
