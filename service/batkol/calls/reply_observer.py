"""The observer of a call's replies for metrics and spans, behind the one for the bus and the log."""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry.trace import SpanContext

from batkol.conversation import events
from batkol.conversation.actions import StockPhrase
from batkol.telemetry import reply_metrics as kinds
from batkol.telemetry.metrics import Metrics
from batkol.tracing.call import CallTrace
from batkol.tracing.reply_spans import AttemptAsked, FirstSound, ReplyFault, ToolSpan

BUDGET = "budget"
"""The part of an attempt that was not made, because the budget of speculative attempts was spent."""

_ANSWERS = frozenset({None, StockPhrase.APOLOGY, StockPhrase.REPEAT})


class _Asked(NamedTuple):
    root: SpanContext | None
    speculative: bool
    variants: kinds.Variants


class ReplyObserver:
    """One per call with an agent. It keeps an entry for each attempt and each interruption that is under way."""

    def __init__(self, report: events.ObserveReplies, metrics: Metrics, trace: CallTrace) -> None:
        self._report = report
        self._times = metrics.reply_times
        self._counts = metrics.replies
        self._metrics = metrics
        self._trace = trace
        self._spans = trace.converse()
        self._asked: dict[int, _Asked] = {}
        self._interrupted: set[str] = set()
        self._variants: dict[str, kinds.Variants] = {}  # of the answers that are heard, by reply id

    def observe(self, event: events.ConversationEvent) -> None:
        """Take note of one event of the conversation; never blocks."""
        self._report(event)
        match event:
            case events.AttemptBegan(attempt, utterance, speculative):
                variants = _variants(event)
                self._asked[attempt] = _Asked(self._trace.root_of(utterance), speculative, variants)
                self._spans.asked(AttemptAsked(attempt, utterance, speculative, event.answerer, event.voice, *variants))
            case events.AttemptDropped(attempt, asked_for):
                self._over(attempt, kinds.DROPPED)
                self._spans.dropped(attempt, asked_for)
            case events.AttemptFailed():
                self._failed(event)
            case events.FirstSoundWritten():
                self._started(event)
            case events.FillerSaid():
                self._counts.replied(StockPhrase.FILLER.value)
                self._spans.filler()
            case events.ReplyCut() | events.ReplyContinued() | events.ReplySettled():
                self._heard(event)
            case events.ToolEnded():
                self._tool_ended(event)
            case events.SentenceBegan() | events.AnnouncementUnsaid():
                """For the bus: a span ends at the first sound."""

    def _heard(self, event: events.ReplyCut | events.ReplyContinued | events.ReplySettled) -> None:
        match event:
            case events.ReplyCut(reply_id):
                self._interrupted.add(reply_id)
                self._spans.interrupted(reply_id)
            case events.ReplyContinued(reply_id):
                self._settle(reply_id, kinds.RESUMED)
                self._spans.resumed(reply_id)
            case events.ReplySettled(reply_id, _, intended, heard):
                self._settle(reply_id, kinds.REAL)
                self._variants.pop(reply_id, None)
                self._spans.ended(reply_id, intended, heard)

    def _failed(self, event: events.AttemptFailed) -> None:
        if event.part == BUDGET:
            self._counts.refused()
            self._spans.refused()
            return
        self._counts.failed(event.part, event.reason)
        has_sound = event.has_sound or bool(event.reply_id)
        if not has_sound:
            self._over(event.attempt, kinds.FAILED)
        fault = ReplyFault(event.part, event.reason, event.first_piece)
        self._spans.failed(event.attempt, fault, has_sound=has_sound, reply_id=event.reply_id)

    def _started(self, event: events.FirstSoundWritten) -> None:
        kind = kinds.ANSWER if event.phrase is None else event.phrase.value
        if event.announced:
            kind = kinds.ANNOUNCEMENT
        self._counts.replied(kind)
        asked = self._over(event.attempt, kinds.HEARD)
        if asked is not None:
            self._variants[event.reply_id] = asked.variants
        if event.latency is not None:
            root, variants = (None, kinds.DEFAULT) if asked is None else (asked.root, asked.variants)
            self._times.record(event.latency, root, variants)
        answers = event.phrase in _ANSWERS and not event.announced
        self._spans.sounded(
            FirstSound(event.reply_id, event.turn, event.attempt, kind, answers, event.latency, event.answered_by)
        )

    def _tool_ended(self, event: events.ToolEnded) -> None:
        asked = self._asked.get(event.attempt)
        took_s = None if event.outcome is events.ToolOutcome.REFUSED else event.took_s
        self._metrics.tools.ended(event.name, event.outcome.value, took_s, None if asked is None else asked.root)
        self._spans.tool_ended(
            ToolSpan(event.name, event.outcome.value, event.reason, event.arguments, event.took_s),
            attempt=event.attempt,
            reply_id=event.reply_id,
        )

    def _over(self, attempt: int, outcome: str) -> _Asked | None:
        asked = self._asked.pop(attempt, None)
        if asked is not None:
            self._counts.attempt(outcome, speculative=asked.speculative, variants=asked.variants)
        return asked

    def _settle(self, reply_id: str, kind: str) -> None:
        """Count an interruption, once it is certain what it was. A reply that the call's end cut has none."""
        if reply_id in self._interrupted:
            self._interrupted.discard(reply_id)
            self._counts.interrupted(kind, self._variants.get(reply_id, kinds.NOBODY))


def _variants(event: events.AttemptBegan) -> kinds.Variants:
    default = kinds.DEFAULT
    return kinds.Variants(event.answerer_variant or default.answerer, event.voice_variant or default.voice)
