"""The spans of the recognizers' streams under one call: one each, from the request to its end, with how it ended.

An utterance is not a child of a stream: one stream carries many, and at a seam two streams carry one. So utterances
link to the streams that carried them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, SpanKind, StatusCode, Tracer

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.recognizers.streaming.events import RecognizerChanged
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.stream import Stream
from batkol.telemetry import names
from batkol.telemetry.span_writer import Attributes

KEPT: Final = 16
"""Streams that an utterance may still have to link to."""


@dataclass(slots=True)
class _Carried:
    stream: Stream
    span: Span
    ended: bool = False

    def carries(self, begin: int, end: int) -> bool:
        """Whether it heard some of the samples [begin, end)."""
        passage = self.stream.passage
        heard_to = passage.base + self.stream.sent
        if passage.limit is not None:
            heard_to = min(heard_to, passage.limit)
        return self.stream.sent > 0 and passage.base < end and heard_to > begin


class StreamTraces:
    """The spans of one call's streams. `now` gives the wall time in nanoseconds, `under` the call's span.

    `attributes` are of all of them, `google` of those to Google.
    """

    def __init__(
        self,
        tracer: Tracer,
        under: Context,
        attributes: Attributes,
        now: Callable[[], int],
        google: Attributes | None = None,
    ) -> None:
        self._google = google or {}
        self._tracer = tracer
        self._under = under
        self._attributes = attributes
        self._now = now
        self._streams: deque[_Carried] = deque()
        self._count = 0

    def opening(self, stream: Stream) -> None:
        """A stream is asked for."""
        self._count += 1
        name, server = about_recognizer(stream.recognizer, self._google)
        span = self._tracer.start_span(
            name,
            context=self._under,
            kind=SpanKind.CLIENT,
            start_time=self._now(),
            attributes=self._attributes
            | server
            | {
                names.RPC_NUMBER: self._count,
                names.MODEL: stream.model,
                names.RECOGNIZER: stream.recognizer.name,
            },
        )
        self._streams.append(_Carried(stream, span))
        while len(self._streams) > KEPT and self._streams[0].ended:
            self._streams.popleft()

    def ended(self, stream: Stream) -> None:
        """End the span of a stream that has ended, by plan or not; `stream.error` has the fault."""
        for carried in self._streams:
            if carried.stream is stream and not carried.ended:
                self._end(carried)

    def took_over(self, after: str, event: str, attributes: Attributes) -> None:
        """The newest stream goes on where another one left off."""
        if self._streams:
            span = self._streams[-1].span
            span.set_attribute(names.TOOK_OVER, after)
            span.add_event(event, attributes, self._now())

    def carrying(self, begin: int, end: int) -> list[SpanContext]:
        """Return the spans of the streams that heard some of the samples [begin, end)."""
        return [carried.span.get_span_context() for carried in self._streams if carried.carries(begin, end)]

    def close(self) -> None:
        """The call is over: whatever is still open was cancelled with it."""
        for carried in self._streams:
            if not carried.ended:
                self._end(carried)

    def _end(self, carried: _Carried) -> None:
        carried.ended = True
        stream, span = carried.stream, carried.span
        if not span.is_recording():
            return
        ended_by, status = how_it_ended(stream)
        span.set_attributes(
            {
                names.RPC_ENDED: ended_by,
                names.RPC_STATUS: status,
                names.RPC_ANSWERED: stream.answered,
                names.RPC_AUDIO_S: round(stream.sent / SAMPLE_RATE, 3),
                names.RPC_SKIPPED_MS: stream.skipped // SAMPLES_PER_MS,
            }
        )
        if stream.error is not None:
            span.set_attribute(names.ERROR_TYPE, status)
            span.set_status(StatusCode.ERROR, stream.error.reason)
        span.end(self._now())


def about_recognizer(recognizer: StreamingRecognizer, google: Attributes) -> tuple[str, Attributes]:
    """Return the name of the span of a stream, and the attributes of its other end; `google` has Google's."""
    api = recognizer.name.partition("/")[0]
    if api == names.GOOGLE_V1:
        return names.STREAMING_RECOGNIZE, google
    return f"{api} stream", {names.PROVIDER: api, names.SERVER_ADDRESS: recognizer.endpoint}


def about_change(changed: RecognizerChanged) -> Attributes:
    """Return the attributes of a change of recognizers."""
    return {
        names.RECOGNIZER_BEFORE: changed.before,
        names.RECOGNIZER: changed.after,
        names.REASON: changed.reason,
    }


def how_it_ended(stream: Stream) -> tuple[str, str]:
    """Return by what a stream ended, a short word, and its status: gRPC's, or what the vendor has in its place."""
    if stream.error is not None:
        return stream.error.reason, stream.error.code
    if not stream.finishing:
        return "cancelled", "CANCELLED"
    return ("close" if stream.passage.limit is None else "rotation"), "OK"
