"""The spans of one utterance.

While the caller speaks, only its ids are there, so that log lines can name it; all else is kept as plain tuples and
made into spans when the utterance is over. Five partials a second cost an append each.

    utterance                 first sample of speech ─────────────────────────────────▶ final
      speech_to_text {model}      first partial ──────────────────────────────────────▶ final
      endpointing                                        last sample of speech ───────▶ final
      single_request, whisper                                asked ───────▶ answered
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link, Span, SpanContext, SpanKind, StatusCode, Tracer

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.speech.utterance import Source, Utterance
from batkol.telemetry import names
from batkol.telemetry.correlation import ids
from batkol.telemetry.span_writer import Attributes, FinishedSpan, SpanEvent, SpanEventLike, SpanWriter

ANSWERED: Final = "answered"
FAILED: Final = "failed"
OVERTAKEN: Final = "overtaken"  # there was a final before it answered
NO_RECOGNIZER: Final = "no recognizer answered"
CUT_OFF: Final = "the call ended before the final"

STEPS: Final = {Source.SINGLE: names.SINGLE_REQUEST, Source.WHISPER: names.WHISPER}


class PartialEvent(NamedTuple):
    """A partial that went out, as an event. `audio_to` in samples; `text` only where transcripts may be captured."""

    timestamp: int
    number: int
    characters: int
    stability: float
    audio_to: int
    text: str | None

    @property
    def name(self) -> str:
        """The attributes of all partials."""
        return names.PARTIAL

    @property
    def attributes(self) -> Attributes:
        """Made when it is sent."""
        found: Attributes = {
            names.INDEX: self.number,
            names.CHARACTERS: self.characters,
            names.STABILITY: round(self.stability, 3),
            names.AUDIO_MS: self.audio_to // SAMPLES_PER_MS,
        }
        if self.text is not None:
            found[names.TRANSCRIPT] = self.text
        return found

    @property
    def dropped_attributes(self) -> int:
        """None ever is."""
        return 0


@dataclass(slots=True)
class RecognizerAttempt:
    """A recognizer that was asked with the audio in hand. Wall times in nanoseconds."""

    source: Source
    asked: int
    answered: int | None = None
    reason: str = ""  # why it failed


@dataclass(frozen=True, slots=True)
class UtteranceEnd:
    """The facts at the end of an utterance. Wall times in nanoseconds; `silent` is the last sample of speech."""

    at: int
    silent: int
    text: str
    links: Sequence[SpanContext]
    model: str  # Google's
    recognizer: str = ""  # the streaming one whose results it had; empty if it had none

    @property
    def streamed_by(self) -> tuple[str, str]:
        """The provider and the model of the stream."""
        api, _, model = self.recognizer.partition("/")
        return (names.GOOGLE, self.model) if api in {"", names.GOOGLE_V1} else (api, model)


class UtteranceTrace:
    """The trace of one utterance that began at wall time `begun`, in nanoseconds."""

    __slots__ = (
        "_attributes",
        "_begun",
        "_call",
        "_noted",
        "_partials",
        "_steps",
        "_writer",
        "bridged_ms",
        "context",
        "ids",
        "noticed",
        "recording",
        "streamed",
    )

    def __init__(self, writer: SpanWriter | None, begun: int, attributes: Attributes, call: SpanContext) -> None:
        self._writer = writer
        self._begun = begun
        self._attributes = attributes
        self._call = call
        self.context = INVALID_SPAN_CONTEXT if writer is None else writer.begin(names.UTTERANCE)
        self.recording = self.context.trace_flags.sampled
        """Whether the trace is sampled."""
        self.ids = ids(self.context)
        """For its log lines."""
        self._partials: list[PartialEvent] = []
        self._noted: list[SpanEvent] = []
        self._steps: list[RecognizerAttempt] = []
        self.bridged_ms = 0
        """Audio that was heard again across seams between streams."""
        self.streamed = True
        """Whether it began as a stream's."""
        self.noticed: int | None = None
        """Wall time at which the VAD engine reported the silence."""

    def set_attribute(self, name: str, value: str) -> None:
        """Set an attribute of the root."""
        self._attributes[name] = value

    def note(self, name: str, at: int, attributes: Attributes | None = None) -> None:
        """Keep an event."""
        self._noted.append(SpanEvent(name, at, attributes))

    def partial(self, at: int, characters: int, stability: float, audio_to: int, text: str | None) -> None:
        """Keep a partial: see `PartialEvent`."""
        self._partials.append(PartialEvent(at, len(self._partials), characters, stability, audio_to, text))

    def ask(self, source: Source, at: int) -> None:
        """A recognizer gets the audio."""
        self._steps.append(RecognizerAttempt(source, at))

    def answer(self, source: str, at: int, reason: str = "") -> None:
        """Note that the recognizer answered, or failed for a reason."""
        for step in self._steps:
            if step.source == source and step.answered is None:
                step.answered, step.reason = at, reason

    def close(self, utterance: Utterance, closing: UtteranceEnd) -> None:
        """The final goes out: make the spans."""
        writer = self._writer
        if writer is None or not self.recording:
            return
        source = utterance.source or Source.NONE
        if source is Source.INTERIM:
            self.note(names.PROMOTED, closing.at)
        first = self._first(source, closing)
        for past in (*self._recognition(first, closing), self._endpointing(closing), *self._attempts(closing)):
            writer.write(past, self.context)
        before = self._noted if first is None else [noted for noted in self._noted if noted.timestamp < first]
        unanswered = source is Source.NONE and any(step.reason for step in self._steps)
        self._attributes |= self._summary(utterance, source, closing)
        self._end(writer, closing.at, before, closing.links, NO_RECOGNIZER if unanswered else "")

    def abandon(self, at: int) -> None:
        """The call is gone, and no final came."""
        if self._writer is not None and self.recording:
            self._attributes[names.PARTIALS] = len(self._partials)
            self._end(self._writer, at, self._noted, (), CUT_OFF)

    def _end(
        self, writer: SpanWriter, at: int, events: Sequence[SpanEvent], streams: Sequence[SpanContext], failed: str
    ) -> None:
        linked = (self._call, *streams) if self._call.is_valid else streams
        links = [Link(each) for each in linked]
        root = FinishedSpan(names.UTTERANCE, self._begun, at, self._attributes, events, failed=failed, links=links)
        writer.end(root, self.context)

    def _summary(self, utterance: Utterance, source: Source, closing: UtteranceEnd) -> Attributes:
        end = utterance.known_end
        found: Attributes = {
            names.SOURCE: source.value,
            names.WORDS: len(closing.text.split()),
            names.PARTIALS: len(self._partials),
            names.SPEECH_MS: max(0, end - utterance.speech_at) // SAMPLES_PER_MS,
            names.FINAL_MS: _ms(closing.at - closing.silent),
            names.BRIDGED_MS: self.bridged_ms,
        }
        if utterance.text_recognizer:
            found[names.RECOGNIZER] = utterance.text_recognizer
        if self._partials:
            found[names.FIRST_PARTIAL_MS] = _ms(self._partials[0].timestamp - self._begun)
        return found

    def _first(self, source: Source, closing: UtteranceEnd) -> int | None:
        """Return when recognition began to answer; None if it never did. Earlier events are on the root."""
        if self._partials:
            return self._partials[0].timestamp
        return closing.at if source is Source.FINAL else None

    def _recognition(self, first: int | None, closing: UtteranceEnd) -> Iterator[FinishedSpan]:
        """From the first partial to the final."""
        if first is None:
            return
        events: list[SpanEventLike] = [*self._partials]
        events += [noted for noted in self._noted if noted.timestamp >= first]
        provider, model = closing.streamed_by
        yield FinishedSpan(
            name=f"{names.SPEECH_TO_TEXT} {model}",
            begun=first,
            ended=closing.at,
            attributes={
                names.OPERATION: names.SPEECH_TO_TEXT,
                names.PROVIDER: provider,
                names.MODEL: model,
                names.RECOGNIZER: closing.recognizer,
            },
            events=events,
            kind=SpanKind.CLIENT,
        )

    def _endpointing(self, closing: UtteranceEnd) -> FinishedSpan:
        if self.noticed is None:
            return FinishedSpan(names.ENDPOINTING, closing.silent, closing.at, {})
        attributes: Attributes = {names.NOTICED_MS: _ms(self.noticed - closing.silent)}
        noticed = SpanEvent(names.SILENCE_NOTICED, self.noticed)
        return FinishedSpan(names.ENDPOINTING, closing.silent, closing.at, attributes, [noticed])

    def _attempts(self, closing: UtteranceEnd) -> Iterator[FinishedSpan]:
        for step in self._steps:
            overtaken = step.answered is None
            outcome = OVERTAKEN if overtaken else FAILED if step.reason else ANSWERED
            attributes = about_step(step.source, closing.model) | {names.OUTCOME: outcome}
            if step.reason:
                attributes[names.ERROR_TYPE] = step.reason
            yield FinishedSpan(
                name=STEPS.get(step.source, step.source.value),
                begun=step.asked,
                ended=closing.at if step.answered is None else step.answered,
                attributes=attributes,
                kind=SpanKind.CLIENT,
                failed=step.reason,
            )


def about_step(source: Source, model: str) -> Attributes:
    """Begin the span of a step."""
    attributes: Attributes = {names.OPERATION: names.SPEECH_TO_TEXT}
    if source is Source.SINGLE:
        attributes |= {
            names.PROVIDER: names.GOOGLE,
            names.MODEL: model,
            names.RPC_SYSTEM: names.GRPC,
            names.RPC_METHOD: names.RECOGNIZE,
        }
    return attributes


def begin_step(tracer: Tracer, source: Source, under: Context, asked: int, model: str) -> Span:
    """Start the span of a recognizer that is asked when the utterance is over. Wall time in nanoseconds."""
    name = STEPS.get(source, source.value)
    return tracer.start_span(name, under, SpanKind.CLIENT, about_step(source, model), start_time=asked)


def end_step(span: Span, outcome: str, at: int, reason: str = "") -> None:
    """End the span of a step."""
    span.set_attribute(names.OUTCOME, outcome)
    if reason:
        span.set_attribute(names.ERROR_TYPE, reason)
        span.set_status(StatusCode.ERROR, reason)
    span.end(at)


def _ms(ns: int) -> float:
    return round(ns / 1e6, 1)
