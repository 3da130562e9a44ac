"""Evaluations of the flag during one call, until each has a span that it belongs to."""

from __future__ import annotations

from opentelemetry.trace import Span

from batkol.flags.flags import Decision
from batkol.telemetry import names
from batkol.tracing.facts import CallFacts
from batkol.tracing.utterance import UtteranceTrace


class FlagEvaluations:
    """One per call. Times are wall time in nanoseconds."""

    def __init__(self, facts: CallFacts) -> None:
        self._facts = facts
        self._waiting: list[tuple[int, Decision]] = []
        self._variant: str | None = None  # that the flag gave last

    def add(self, at: int, decision: Decision) -> None:
        """Keep an evaluation until it is settled."""
        self._waiting.append((at, decision))

    def settle(self, call: Span, decision: Decision | None = None, trace: UtteranceTrace | None = None) -> None:
        """Note each evaluation on the utterance it decided about, or on the call."""
        for at, evaluated in self._waiting:
            what = self._facts.evaluation(evaluated)
            if trace is not None and evaluated is decision:
                trace.note(names.EVALUATED, at, what)
                self._note_flip(trace, at, evaluated)
            else:
                call.add_event(names.EVALUATED, what, at)
        self._waiting.clear()

    def _note_flip(self, trace: UtteranceTrace, at: int, decision: Decision) -> None:
        now = decision.variant or str(decision.enabled).lower()
        if self._variant not in {None, now}:
            trace.note(names.FLIPPED, at, {names.BEFORE: self._variant or "", names.FLAG_VARIANT: now})
        self._variant = now
