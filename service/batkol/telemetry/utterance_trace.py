"""The spans of one utterance.

While the caller speaks, only the root span is there, so that log lines can name it; all else is kept as plain tuples
and made into spans when the utterance is over. Five partials a second cost an append each.

    utterance                 first sample of speech ─────────────────────────────────▶ final
      speech_to_text {model}      first partial ──────────────────────────────────────▶ final
      endpointing                                        last sample of speech ───────▶ final
      single_request, whisper                                asked ───────▶ answered
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, Tracer

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.speech.utterance import Source, Utterance
from batkol.telemetry import conventions as names
from batkol.telemetry.correlation import ids
from batkol.telemetry.writer import Attributes, Noted, Past, SpanWriter

ANSWERED: Final = "answered"
FAILED: Final = "failed"
OVERTAKEN: Final = "overtaken"  # there was a final before it answered
NOBODY: Final = "no recognizer answered"
CUT_OFF: Final = "the call ended before there was a final"

_NOWHERE: Final = Context()
STEPS: Final = {Source.SINGLE: names.SINGLE_REQUEST, Source.WHISPER: names.WHISPER}


class Text(NamedTuple):
    """A partial that went out. `audio_to` in samples; `text` only where transcripts may be captured."""

    at: int
    characters: int
    stability: float
    audio_to: int
    text: str | None


@dataclass(slots=True)
class Step:
    """A recognizer that was asked with the audio in hand. Wall times in nanoseconds."""

    source: Source
    asked: int
    answered: int | None = None
    reason: str = ""  # why it failed


@dataclass(frozen=True, slots=True)
class Closing:
    """What is known at the end. Wall times in nanoseconds; `silent` is the last sample of speech."""

    at: int
    silent: int
    text: str
    links: Sequence[SpanContext]
    model: str


class UtteranceTrace:
    """Of one utterance that began at wall time `begun`, in nanoseconds: a trace of its own."""

    __slots__ = (
        "_begun",
        "_noted",
        "_partials",
        "_steps",
        "_writer",
        "bridged_ms",
        "ids",
        "noticed",
        "span",
        "streamed",
    )

    def __init__(
        self, tracer: Tracer, writer: SpanWriter | None, begun: int, attributes: Attributes, call: SpanContext
    ) -> None:
        self._writer = writer
        self._begun = begun
        links = [Link(call)] if call.is_valid else None
        self.span: Span = tracer.start_span(
            names.UTTERANCE, context=_NOWHERE, start_time=begun, attributes=attributes, links=links
        )
        self.ids = ids(self.span.get_span_context())
        """For its log lines."""
        self._partials: list[Text] = []
        self._noted: list[Noted] = []
        self._steps: list[Step] = []
        self.bridged_ms = 0
        """Audio that was heard again across seams between streams."""
        self.streamed = True
        """Whether it began as a stream's."""
        self.noticed: int | None = None
        """When the detector told of the silence."""

    @property
    def recording(self) -> bool:
        """Whether anybody will see this: the sampler decides."""
        return self.span.is_recording()

    def note(self, name: str, at: int, attributes: Attributes | None = None) -> None:
        """Keep an event."""
        self._noted.append(Noted(name, at, attributes))

    def partial(self, text: Text) -> None:
        """Keep a partial."""
        self._partials.append(text)

    def ask(self, source: Source, at: int) -> None:
        """A recognizer gets the audio."""
        self._steps.append(Step(source, at))

    def answer(self, source: str, at: int, reason: str = "") -> None:
        """It answered, or failed for a reason."""
        for step in self._steps:
            if step.source == source and step.answered is None:
                step.answered, step.reason = at, reason

    def close(self, utterance: Utterance, closing: Closing) -> None:
        """The final goes out: make the spans."""
        root = self.span
        if not root.is_recording():
            return
        for link in closing.links:
            root.add_link(link)
        source = utterance.source or Source.NONE
        if source is Source.INTERIM:
            self.note(names.PROMOTED, closing.at)
        under = root.get_span_context()
        for past in (*self._recognition(source, closing), self._endpointing(closing), *self._asked(closing)):
            if self._writer is not None:
                self._writer.write(past, under)
        if source is Source.NONE and any(step.reason for step in self._steps):
            root.set_status(StatusCode.ERROR, NOBODY)
        root.set_attributes(self._summary(utterance, source, closing))
        root.end(closing.at)

    def abandon(self, at: int) -> None:
        """The call is gone, and no final came."""
        root = self.span
        if root.is_recording():
            _tell(root, self._noted)
            root.set_attribute(names.PARTIALS, len(self._partials))
            root.set_status(StatusCode.ERROR, CUT_OFF)
            root.end(at)

    def _summary(self, utterance: Utterance, source: Source, closing: Closing) -> Attributes:
        end = utterance.end if utterance.end is not None else utterance.begin
        found: Attributes = {
            names.SOURCE: source.value,
            names.WORDS: len(closing.text.split()),
            names.PARTIALS: len(self._partials),
            names.SPEECH_MS: max(0, end - utterance.speech_at) // SAMPLES_PER_MS,
            names.FINAL_MS: _ms(closing.at - closing.silent),
            names.BRIDGED_MS: self.bridged_ms,
        }
        if self._partials:
            found[names.FIRST_PARTIAL_MS] = _ms(self._partials[0].at - self._begun)
        return found

    def _recognition(self, source: Source, closing: Closing) -> Iterator[Past]:
        """From the first partial to the final; what happened before it stands on the root."""
        if not self._partials and source is not Source.FINAL:
            _tell(self.span, self._noted)
            return
        first = self._partials[0].at if self._partials else closing.at
        _tell(self.span, [noted for noted in self._noted if noted.at < first])
        events = [_partial(index, text) for index, text in enumerate(self._partials)]
        events += [noted for noted in self._noted if noted.at >= first]
        yield Past(
            name=f"{names.SPEECH_TO_TEXT} {closing.model}",
            begun=first,
            ended=closing.at,
            attributes={
                names.OPERATION: names.SPEECH_TO_TEXT,
                names.PROVIDER: names.GOOGLE,
                names.MODEL: closing.model,
            },
            events=events,
            kind=SpanKind.CLIENT,
        )

    def _endpointing(self, closing: Closing) -> Past:
        if self.noticed is None:
            return Past(names.ENDPOINTING, closing.silent, closing.at, {})
        attributes: Attributes = {names.NOTICED_MS: _ms(self.noticed - closing.silent)}
        noticed = Noted(names.SILENCE_NOTICED, self.noticed)
        return Past(names.ENDPOINTING, closing.silent, closing.at, attributes, [noticed])

    def _asked(self, closing: Closing) -> Iterator[Past]:
        for step in self._steps:
            overtaken = step.answered is None
            outcome = OVERTAKEN if overtaken else FAILED if step.reason else ANSWERED
            attributes = about_step(step.source, closing.model) | {names.OUTCOME: outcome}
            if step.reason:
                attributes[names.ERROR_TYPE] = step.reason
            yield Past(
                name=STEPS.get(step.source, step.source.value),
                begun=step.asked,
                ended=closing.at if step.answered is None else step.answered,
                attributes=attributes,
                kind=SpanKind.CLIENT,
                failed=step.reason,
            )


def about_step(source: Source, model: str) -> Attributes:
    """Say who is asked."""
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
    """End it."""
    span.set_attribute(names.OUTCOME, outcome)
    if reason:
        span.set_attribute(names.ERROR_TYPE, reason)
        span.set_status(StatusCode.ERROR, reason)
    span.end(at)


def _tell(span: Span, noted: Iterable[Noted]) -> None:
    for name, at, attributes in noted:
        span.add_event(name, attributes, at)


def _partial(index: int, text: Text) -> Noted:
    attributes: Attributes = {
        names.INDEX: index,
        names.CHARACTERS: text.characters,
        names.STABILITY: round(text.stability, 3),
        names.AUDIO_MS: text.audio_to // SAMPLES_PER_MS,
    }
    if text.text is not None:
        attributes[names.TRANSCRIPT] = text.text
    return Noted(names.PARTIAL, text.at, attributes)


def _ms(ns: int) -> float:
    return round(ns / 1e6, 1)
