"""The observer of a transcription."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from batkol.flags.flags import Decision
from batkol.recognizers.google.stream import Stream
from batkol.speech.rotation import Cut
from batkol.speech.utterance import Source, Utterance


class TranscriptionObserver(Protocol):
    """Whoever wants to know what was said. Called on the event loop; must neither block nor raise."""

    def utterance_started(self, utterance: Utterance, decision: Decision | None) -> None: ...
    def speech_ended(self, utterance: Utterance) -> None: ...
    def partial(self, utterance: Utterance, text: str, stability: float) -> None: ...
    def final(self, utterance: Utterance, text: str) -> None: ...
    def revised(self, utterance: Utterance, text: str) -> None: ...
    def asked(self, utterance: Utterance, step: Source) -> None: ...
    def answered(self, utterance: Utterance, step: Source) -> None: ...

    def fell_back(self, step: str, reason: str, utterance: Utterance | None) -> None:
        """A step failed one utterance, or, without one, every utterance that waits for it."""
        ...

    def stream_opening(self, stream: Stream) -> None: ...
    def stream_ended(self, stream: Stream) -> None: ...
    def rotated(self, cut: Cut) -> None: ...
    def reconnected(self, reason: str, replayed_ms: int) -> None: ...
    def audio_dropped(self, ms: int) -> None: ...
    def session_opened(self) -> None: ...
    def session_closed(self) -> None: ...


@dataclass(frozen=True, slots=True)
class StepsOf:
    """Tells an audience which recognizers hear an utterance (`batkol.transcription.recognizers.Steps`)."""

    utterance: Utterance
    audience: TranscriptionObserver

    def asked(self, step: Source) -> None:
        self.audience.asked(self.utterance, step)

    def answered(self, step: Source) -> None:
        self.audience.answered(self.utterance, step)

    def fell_back(self, step: str, reason: str) -> None:
        self.audience.fell_back(step, reason, self.utterance)
