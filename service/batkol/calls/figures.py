"""Figures of one call, counted as they happen: for its canonical log line, its last event and the internal API."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.flags.flags import Decision
from batkol.speech.utterance import Utterance


@dataclass(slots=True)
class Figures:
    """Figures of one call."""

    utterances: int = 0
    partials: int = 0
    words: int = 0
    finals: Counter[str] = field(default_factory=Counter)  # by source
    revised: int = 0
    fallbacks: Counter[str] = field(default_factory=Counter)  # by step
    sessions: int = 0
    sessions_open: int = 0
    slowest_first_partial_ms: float = 0.0
    slowest_final_ms: float = 0.0
    rotations: int = 0  # streams replaced by plan
    reconnects: int = 0  # streams replaced after a fault
    replayed_ms: int = 0  # of audio that was sent again after a fault
    audio_dropped_ms: int = 0  # that a stalled recognizer did not take in time


@dataclass(slots=True)
class UtteranceProgress:
    """One utterance as its subscribers saw it. Times in ms: of audio, and of waiting."""

    begin_ms: int
    speech_ms: int | None = None
    mode: str = ""
    flag_variant: str | None = None
    flag_reason: str | None = None
    end_ms: int | None = None
    partials: int = 0
    first_partial_ms: float | None = None
    latency_ms: float | None = None
    text: str = ""
    final: bool = False
    source: str | None = None
    revised: str | None = None
    unvoiced: bool = False
    unconfirmed: bool = False
    tentative: tuple[int, str] | None = None  # the number and the text of the one that stands
    trace_id: str | None = None

    @classmethod
    def opened(cls, utterance: Utterance, decision: Decision | None) -> Self:
        """Return the progress of an utterance that begins, by the decision of the flag."""
        return cls(
            begin_ms=utterance.begin // SAMPLES_PER_MS,
            speech_ms=utterance.speech_at // SAMPLES_PER_MS,
            mode=utterance.mode,
            flag_variant=None if decision is None else decision.variant,
            flag_reason=None if decision is None else decision.reason,
        )
