"""Which streams carried an utterance, and how each of them ended."""

from __future__ import annotations

import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from batkol.audio.ring import Ring
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.soniox.recognizer import SonioxRecognizer
from batkol.recognizers.soniox.recognizer import traits as soniox_traits
from batkol.recognizers.streaming.errors import Next, SpeechError
from batkol.recognizers.streaming.events import RecognizerChanged
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.stream import Stream
from batkol.speech.passage import Passage
from batkol.telemetry import names
from batkol.tracing.stream import KEPT, StreamTraces, about_change, how_it_ended
from support.google.streaming import google_recognizer
from support.speech.listener import Unheard

SECOND = 8000


def stream(base: int, sent: int, limit: int | None = None, recognizer: StreamingRecognizer | None = None) -> Stream:
    """One that heard so many seconds from `base` on."""
    passage = Passage(base * SECOND)
    passage.limit = None if limit is None else limit * SECOND
    made = Stream(
        passage,
        recognizer=recognizer or google_recognizer(Channels(endpoint="127.0.0.1:9", insecure=True)),
        options=StreamingOptions(on_written=lambda *_: None),
        ring=Ring(capacity=SECOND),
        listener=Unheard(),
        log=structlog.get_logger(),
    )
    made._feed._cursor += sent * SECOND
    return made


def traces() -> StreamTraces:
    return StreamTraces(TracerProvider(shutdown_on_exit=False).get_tracer("test"), Context(), {}, lambda: 1)


async def test_an_utterance_was_carried_by_the_streams_that_heard_some_of_it() -> None:
    """What a stream heard beyond its limit was the next one's business; one that never opened heard nothing."""
    told = traces()
    for each in (stream(0, 10, limit=8), stream(8, 0), stream(7, 10)):
        told.opening(each)

    def carried(begin: int, end: int) -> list[int]:
        spans = [carried.span.get_span_context() for carried in told._streams]
        return [spans.index(span) for span in told.carrying(begin * SECOND, end * SECOND)]

    assert carried(1, 3) == [0]
    assert carried(6, 9) == [0, 2]
    assert carried(8, 10) == [2]
    assert carried(20, 25) == []


async def test_streams_are_forgotten_when_they_are_long_over_and_never_before() -> None:
    told = traces()
    streams = [stream(at, 1) for at in range(KEPT + 5)]
    for each in streams:
        told.opening(each)
    assert len(told._streams) == KEPT + 5
    for each in streams:
        told.ended(each)
    told.opening(stream(99, 1))

    assert len(told._streams) == KEPT
    told.close()
    assert all(carried.ended for carried in told._streams)


async def test_the_span_of_a_stream_names_its_recognizer_and_where_it_goes_and_so_does_a_change() -> None:
    told = traces()
    soniox = SonioxRecognizer(
        key="a-key", language="he-IL", traits=soniox_traits(replay_rate=1.0), url="wss://eu.soniox.example/transcribe"
    )
    told.opening(stream(0, 1))
    told.opening(stream(1, 1, recognizer=soniox))
    changed = RecognizerChanged("google-v1/default", soniox.name, "unavailable")
    told.took_over("another_recognizer", names.RECOGNIZER_CHANGED, about_change(changed))
    of_google, of_soniox = (carried.span for carried in told._streams)
    assert isinstance(of_google, ReadableSpan)
    assert isinstance(of_soniox, ReadableSpan)

    assert of_google.name == "google.cloud.speech.v1p1beta1.Speech/StreamingRecognize"
    assert of_soniox.name == "soniox stream"
    assert [(span.attributes or {}).get("batkol.stt.recognizer") for span in (of_google, of_soniox)] == [
        "google-v1/default", "soniox/stt-rt-v5",
    ]  # fmt: skip
    told_of = of_soniox.attributes or {}
    assert (told_of[names.PROVIDER], told_of[names.SERVER_ADDRESS]) == ("soniox", "eu.soniox.example")
    (event,) = of_soniox.events
    assert dict(event.attributes or {}) == {
        "batkol.stt.recognizer_before": "google-v1/default",
        "batkol.stt.recognizer": "soniox/stt-rt-v5",
        names.REASON: "unavailable",
    }
    assert "a-key" not in of_soniox.to_json()


async def test_every_end_has_a_word_and_a_status() -> None:
    closed, rotated, cancelled, failed = stream(0, 1), stream(0, 1, limit=1), stream(0, 1), stream(0, 1)
    closed.finish()
    rotated.finish()
    failed.error = SpeechError("too much", reason="quota", next_step=Next.COOL_OFF, code="RESOURCE_EXHAUSTED")

    assert how_it_ended(closed) == ("close", "OK")
    assert how_it_ended(rotated) == ("rotation", "OK")
    assert how_it_ended(cancelled) == ("cancelled", "CANCELLED")
    assert how_it_ended(failed) == ("quota", "RESOURCE_EXHAUSTED")
