"""The early text of one call: raw interims, pauses, tentatives. Events for observers who cannot wait for a final."""

from __future__ import annotations

from collections.abc import Sequence

from batkol.audio import segmenter
from batkol.speech.tentative import TentativeChange, Tentatives
from batkol.speech.utterance import Utterance
from batkol.transcription.events import Interim, Observe, Quiet, SpeechLasted, SpeechResumed


class EarlyText:
    """One per call. `now` and the deadline are seconds of one clock; everything returns at once."""

    __slots__ = ("_newest", "_observe", "_tentatives")

    def __init__(self, observe: Observe) -> None:
        self._observe = observe
        self._tentatives = Tentatives()
        self._newest: tuple[int, str, int, bool] | None = None  # the interim that was observed last

    @property
    def deadline(self) -> float | None:
        """Time at which `tick` must run next."""
        return self._tentatives.deadline

    def begin(self, utterance: Utterance) -> None:
        """The caller begins another utterance."""
        self._emit(self._tentatives.begin(utterance))

    def pause(self, utterance: Utterance, event: segmenter.PauseEvent, now: float) -> None:
        """Take what the detector found inside the utterance that is being spoken."""
        match event:
            case segmenter.SegmentQuiet(at):
                self._observe(Quiet(utterance, at))
                self._emit(self._tentatives.fall_quiet(utterance, at, now))
            case segmenter.SegmentResumed(at):
                self._observe(SpeechResumed(utterance, at))
                self._emit(self._tentatives.resume(utterance))
            case segmenter.SegmentLasted(at):
                self._observe(SpeechLasted(utterance, at))

    def stop(self, utterance: Utterance, end: int, now: float) -> None:
        """The hang-over is over, and the utterance waits for its final."""
        self._emit(self._tentatives.fall_quiet(utterance, end, now))

    def update(self, utterance: Utterance, now: float) -> None:
        """A result changed the utterance's newest text, or how far it reaches, or neither."""
        text, end, settled = utterance.newest, utterance.text_end, bool(utterance.parts) and not utterance.interim
        newest = (utterance.index, text, end, settled)
        if newest == self._newest:
            return
        self._newest = newest
        self._observe(Interim(utterance, text, end, settled))
        self._emit(self._tentatives.update(utterance, now))

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._emit(self._tentatives.tick(now))

    def close(self, utterance: Utterance) -> int | None:
        """Return the number of the tentative that the utterance's final confirms, if one stands that says the same."""
        return self._tentatives.close(utterance)

    def _emit(self, changes: Sequence[TentativeChange]) -> None:
        for change in changes:
            self._observe(change)
