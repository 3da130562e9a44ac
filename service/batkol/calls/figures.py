"""Figures of one call, counted as they happen: for its canonical log line, its last event and the internal API."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.calls.publisher import Header
from batkol.clock import in_ms
from batkol.events.events import CallEnded
from batkol.flags.flags import Decision
from batkol.speech.utterance import Source, Utterance


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

    def last_event(
        self, header: Header, *, reason: str, duration_s: float, gap_ms: int, close_code: int | None
    ) -> CallEnded:
        """Return the event that ends the call, with these figures."""
        return CallEnded(
            **header,
            reason=reason,
            duration_s=round(duration_s, 3),
            utterances=self.utterances,
            words=self.words,
            finals=dict(self.finals),
            fallbacks=self.fallbacks.total(),
            sessions=self.sessions,
            rotations=self.rotations,
            reconnects=self.reconnects,
            gap_ms=gap_ms,
            audio_dropped_ms=self.audio_dropped_ms,
            close_code=close_code,
        )


def summary(ended: CallEnded) -> dict[str, Any]:
    """Return the figures that the canonical line and the last event share."""
    header = {*Header.__annotations__, "id"}
    return {name: value for name, value in msgspec.structs.asdict(ended).items() if name not in header}


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
    recognizer: str = ""  # the streaming one that gave the text
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

    def finish(self, utterance: Utterance, text: str, waited_s: float, *, trace_id: str | None) -> None:
        """Show the final, for which its subscribers waited so long."""
        end = utterance.known_end
        self.text, self.final, self.source = text, True, (utterance.source or Source.NONE).value
        self.unvoiced, self.unconfirmed, self.tentative = not utterance.voiced, utterance.unconfirmed, None
        self.end_ms, self.latency_ms = end // SAMPLES_PER_MS, in_ms(waited_s)
        self.recognizer = utterance.text_recognizer
        self.trace_id = trace_id
