"""Several audiences as one: each is told everything, in the order in which they stand."""

from __future__ import annotations

from batkol.flags.flags import Decision
from batkol.recognizers.google.stream import Stream
from batkol.speech.rotation import Cut
from batkol.speech.utterance import Source, Utterance
from batkol.transcription.observer import TranscriptionObserver


class FanOut:
    """An `TranscriptionObserver` that passes on what it is told."""

    def __init__(self, *audiences: TranscriptionObserver) -> None:
        self._audiences = audiences

    def utterance_started(self, utterance: Utterance, decision: Decision | None) -> None:
        for audience in self._audiences:
            audience.utterance_started(utterance, decision)

    def speech_ended(self, utterance: Utterance) -> None:
        for audience in self._audiences:
            audience.speech_ended(utterance)

    def partial(self, utterance: Utterance, text: str, stability: float) -> None:
        for audience in self._audiences:
            audience.partial(utterance, text, stability)

    def final(self, utterance: Utterance, text: str) -> None:
        for audience in self._audiences:
            audience.final(utterance, text)

    def revised(self, utterance: Utterance, text: str) -> None:
        for audience in self._audiences:
            audience.revised(utterance, text)

    def asked(self, utterance: Utterance, step: Source) -> None:
        for audience in self._audiences:
            audience.asked(utterance, step)

    def answered(self, utterance: Utterance, step: Source) -> None:
        for audience in self._audiences:
            audience.answered(utterance, step)

    def fell_back(self, step: str, reason: str, utterance: Utterance | None) -> None:
        for audience in self._audiences:
            audience.fell_back(step, reason, utterance)

    def stream_opening(self, stream: Stream) -> None:
        for audience in self._audiences:
            audience.stream_opening(stream)

    def stream_ended(self, stream: Stream) -> None:
        for audience in self._audiences:
            audience.stream_ended(stream)

    def rotated(self, cut: Cut) -> None:
        for audience in self._audiences:
            audience.rotated(cut)

    def reconnected(self, reason: str, replayed_ms: int) -> None:
        for audience in self._audiences:
            audience.reconnected(reason, replayed_ms)

    def audio_dropped(self, ms: int) -> None:
        for audience in self._audiences:
            audience.audio_dropped(ms)

    def session_opened(self) -> None:
        for audience in self._audiences:
            audience.session_opened()

    def session_closed(self) -> None:
        for audience in self._audiences:
            audience.session_closed()
