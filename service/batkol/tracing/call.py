"""The traces of one call: its own span, the streams under it, and one trace for each utterance.

An observer of the call's recognition that keeps what happens; nothing here waits. Times come from the call's own clock
(`CallClock`). What was spoken is dated back by the audio: `since(sample)` seconds ago.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final, assert_never

from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    set_span_in_context,
    use_span,
)

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.flags.flags import Decision
from batkol.recognizers.streaming import events as streams
from batkol.speech.rotation import Cut
from batkol.speech.utterance import Mode, Source, Utterance
from batkol.telemetry import names
from batkol.telemetry.correlation import ids
from batkol.telemetry.span_writer import Attributes, SpanWriter
from batkol.tracing.clock import CallClock
from batkol.tracing.evaluations import FlagEvaluations
from batkol.tracing.facts import CallFacts
from batkol.tracing.propagation import RemoteParent
from batkol.tracing.reply import ReplyTraces
from batkol.tracing.stream import StreamTraces, about_change
from batkol.tracing.utterance import ANSWERED, FAILED, OVERTAKEN, UtteranceEnd, UtteranceTrace, begin_step, end_step
from batkol.transcription.events import (
    FinalReady,
    Interim,
    PartialReady,
    Quiet,
    RevisionReady,
    SessionClosed,
    SessionOpened,
    SpeechLasted,
    SpeechResumed,
    SpeechStopped,
    StepAnswered,
    StepAsked,
    StepFailed,
    Tentative,
    TranscriptionEvent,
    UtteranceOpened,
    Withdrawn,
)

BROKEN: Final = "ended by a defect of the service"
KEPT: Final = 8
"""Utterances with a final that late answers and log lines can still name."""


class CallTrace:
    """One per call, made on the event loop. `close` ends whatever is open."""

    def __init__(
        self,
        facts: CallFacts,
        *,
        tracer: Tracer,
        writer: SpanWriter | None,
        since: Callable[[int], float],
        caller: RemoteParent,
    ) -> None:
        self._facts = facts
        self._tracer = tracer
        self._writer = writer
        self._clock = CallClock(since)
        self._now = self._clock.now
        self.span: Span = tracer.start_span(
            names.CALL,
            context=caller.parent,
            kind=SpanKind.SERVER,
            start_time=self._now(),
            attributes=facts.call(),
            links=[Link(context) for context in caller.links],
        )
        self._under = set_span_in_context(self.span)
        self._streams = StreamTraces(tracer, self._under, facts.who(), self._now, facts.server)
        self._open: dict[int, UtteranceTrace] = {}
        self._closed: OrderedDict[int, SpanContext] = OrderedDict()  # of utterances whose final has gone out
        self._late: dict[tuple[int, str], Span] = {}  # requests after the final, for the record
        self._evaluations = FlagEvaluations(facts)
        self._count = 0
        self._replies: ReplyTraces | None = None

    # -- for those who write about the call -----------------------------------------------------------------------

    def current(self) -> AbstractContextManager[Span]:
        """Make the call's span the current one: lines of those who know nothing of calls carry its ids."""
        return use_span(self.span, end_on_exit=False, record_exception=False, set_status_on_exception=False)

    @property
    def ids(self) -> Mapping[str, str]:
        """Trace and span of the call, for its log lines; empty where nothing is traced."""
        return ids(self.span.get_span_context())

    def ids_of(self, utterance: Utterance) -> Mapping[str, str]:
        """Trace and span of an utterance, for its log lines: the call's where it has none any more."""
        if (trace := self._open.get(utterance.index)) is not None:
            return trace.ids
        return ids(self._closed[utterance.index]) if utterance.index in self._closed else self.ids

    def span_of(self, utterance: Utterance) -> SpanContext | None:
        """Return the root of the utterance's trace, for an exemplar; None when it is long over."""
        return self.root_of(utterance.index)

    def root_of(self, index: int) -> SpanContext | None:
        """Return the root of the trace of the utterance of that index, as `span_of` does."""
        trace = self._open.get(index)
        return self._closed.get(index) if trace is None else trace.context

    def converse(self) -> ReplyTraces:
        """Return the spans of the agent's replies, which end with the call."""
        if self._replies is None:
            self._replies = ReplyTraces(
                self._writer, self._facts, call=self.span.get_span_context(), now=self._now, root_of=self.root_of
            )
        return self._replies

    # -- the call --------------------------------------------------------------------------------------------------

    def decided(self, decision: Decision) -> None:
        """The flag was evaluated for this call."""
        if self.span.get_span_context().is_valid:
            self._evaluations.add(self._now(), decision)

    def close(self, *, reason: str, close_code: int | None, gap_ms: int) -> None:
        """The call is over, by whatever road: everything ends now."""
        for trace in self._open.values():
            trace.abandon(self._now())
        self._open.clear()
        for span in self._late.values():
            end_step(span, OVERTAKEN, self._now())
        self._late.clear()
        self._streams.close()
        if self._replies is not None:
            self._replies.close()
        if not self.span.is_recording():
            return
        self._evaluations.settle(self.span)
        self.span.set_attributes({names.END_REASON: reason, names.GAP_MS: gap_ms, names.UTTERANCES: self._count})
        if close_code is not None:
            self.span.set_attribute(names.CLOSE_CODE, close_code)
        if reason == "error":
            self.span.set_status(StatusCode.ERROR, BROKEN)
        self.span.end(self._now())

    def observe(self, event: TranscriptionEvent) -> None:  # noqa: C901, PLR0912  one line an event
        """Keep one event of the call's recognition; never blocks."""
        match event:
            case Interim() | Quiet() | SpeechResumed() | SpeechLasted() | Tentative() | Withdrawn():
                """Too frequent and too short-lived for a span."""
            case PartialReady(utterance, text, stability):
                self._partial(utterance, text, stability)
            case FinalReady(utterance, text):
                self._final(utterance, text)
            case UtteranceOpened(utterance, decision):
                self._utterance_opened(utterance, decision)
            case SpeechStopped(utterance):
                if (trace := self._open.get(utterance.index)) is not None:
                    trace.noticed = self._now()
            case RevisionReady(utterance, text):
                self._revised(utterance, text)
            case StepAsked(utterance, step):
                self._step_started(utterance, step)
            case StepAnswered(utterance, step):
                self._step_answered(utterance, step)
            case StepFailed(maybe, step, reason):
                self._step_failed(maybe, step, reason)
            case streams.StreamOpening(stream):
                self._streams.opening(stream)
            case streams.StreamEnded(stream):
                self._streams.ended(stream)
            case streams.StreamRotated(cut):
                self._rotated(cut)
            case streams.StreamReplaced(reason, replayed_ms):
                self._replaced(reason, replayed_ms)
            case streams.RecognizerChanged():
                self._record_on_open(names.RECOGNIZER_CHANGED, about_change(event))
            case streams.AudioDropped(ms):
                self._record_on_open(names.AUDIO_DROPPED, {"batkol.audio.dropped_ms": ms})
            case SessionOpened():
                self.span.add_event(names.SESSION_OPENED, None, self._now())
            case SessionClosed():
                self.span.add_event(names.SESSION_CLOSED, None, self._now())
            case _:
                assert_never(event)

    def _utterance_opened(self, utterance: Utterance, decision: Decision | None) -> None:
        self._count += 1
        trace = UtteranceTrace(
            self._writer,
            self._clock.spoken(utterance.speech_at),
            self._facts.utterance(utterance, decision),
            self.span.get_span_context(),
        )
        trace.streamed = utterance.mode is Mode.STREAMING
        self._open[utterance.index] = trace
        self._evaluations.settle(self.span, decision, trace)

    def _partial(self, utterance: Utterance, text: str, stability: float) -> None:
        trace = self._open.get(utterance.index)
        if trace is not None and trace.recording:
            heard_to = max(utterance.interim_end, utterance.covered)
            shown = text if self._facts.transcripts else None
            trace.partial(self._now(), len(text), stability, heard_to, shown)

    def _final(self, utterance: Utterance, text: str) -> None:
        trace = self._open.pop(utterance.index, None)
        if trace is None:
            return
        self._closed[utterance.index] = trace.context
        while len(self._closed) > KEPT:
            self._closed.popitem(last=False)
        if not trace.recording:
            return
        now, end = self._now(), utterance.known_end
        if self._facts.transcripts:
            trace.set_attribute(names.TRANSCRIPT, text)
        closing = UtteranceEnd(
            at=now,
            silent=min(now, self._clock.spoken(end)),
            text=text,
            links=self._streams.carrying(utterance.begin, end) if trace.streamed else (),
            model=self._facts.model(),
            recognizer=utterance.recognizer,
        )
        trace.close(utterance, closing)

    def _revised(self, utterance: Utterance, text: str) -> None:
        which: Attributes = {names.UTTERANCE_ID: self._facts.id_of(utterance), names.CHARACTERS: len(text)}
        if self._facts.transcripts:
            which[names.TRANSCRIPT] = text
        self.span.add_event(names.REVISED, which, self._now())

    def _step_started(self, utterance: Utterance, step: Source) -> None:
        if (trace := self._open.get(utterance.index)) is not None:
            trace.ask(step, self._now())
        elif (root := self._closed.get(utterance.index)) is not None:
            under = set_span_in_context(NonRecordingSpan(root))
            span = begin_step(self._tracer, step, under, self._now(), self._facts.model())
            self._late[utterance.index, step] = span

    def _step_answered(self, utterance: Utterance, step: Source) -> None:
        if (trace := self._open.get(utterance.index)) is not None:
            trace.answer(step, self._now())
        self._end_late(utterance, step, ANSWERED)

    def _step_failed(self, utterance: Utterance | None, step: str, reason: str) -> None:
        what: Attributes = {names.STEP: step, names.REASON: reason}
        if utterance is None:
            self._record_on_open(names.FELL_BACK, what)
        elif (trace := self._open.get(utterance.index)) is not None:
            trace.answer(step, self._now(), reason)
            trace.note(names.FELL_BACK, self._now(), what)
        else:
            self._end_late(utterance, step, FAILED, reason)
            self.span.add_event(names.FELL_BACK, what | {names.UTTERANCE_ID: self._facts.id_of(utterance)}, self._now())

    def _rotated(self, cut: Cut) -> None:
        overlap_ms = (cut.limit - cut.base) // SAMPLES_PER_MS
        what: Attributes = {names.WHY: cut.why.value, names.OVERLAP_MS: overlap_ms}
        self._bridge(names.ROTATED, what, overlap_ms)
        self._streams.took_over("rotation", names.ROTATED, what)

    def _replaced(self, reason: str, replayed_ms: int) -> None:
        what: Attributes = {names.REASON: reason, names.BRIDGED_MS: replayed_ms}
        self._bridge(names.RECONNECTED, what, replayed_ms)
        self._streams.took_over(reason, names.RECONNECTED, what)

    def _end_late(self, utterance: Utterance, step: str, outcome: str, reason: str = "") -> None:
        if (span := self._late.pop((utterance.index, step), None)) is not None:
            end_step(span, outcome, self._now(), reason)

    def _bridge(self, event: str, what: Attributes, ms: int) -> None:
        for trace in self._open.values():
            trace.bridged_ms += ms
        self._record_on_open(event, what)

    def _record_on_open(self, event: str, what: Attributes) -> None:
        """Note an event of the stream on every utterance that has no final yet."""
        now = self._now()
        for trace in self._open.values():
            trace.note(event, now, what)
        self.span.add_event(event, what, now)
