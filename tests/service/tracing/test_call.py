"""One call's traces, told by hand; what a collector got of them over the wire."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from batkol.events.identity import Identity
from batkol.flags.flag import DecisionSource
from batkol.flags.flags import Decision
from batkol.live.tuning import Tuning
from batkol.recognizers.streaming.events import AudioDropped, StreamReplaced, StreamRotated
from batkol.simulators.client.otlp_collector import Collector
from batkol.speech.rotation import Cut, Why
from batkol.speech.utterance import Mode, Source, Utterance
from batkol.tracing.call import CallTrace
from batkol.tracing.tracing import Tracing
from batkol.transcription.events import (
    FinalReady,
    PartialReady,
    RevisionReady,
    SpeechStopped,
    StepAnswered,
    StepAsked,
    StepFailed,
    UtteranceOpened,
)
from support.telemetry.traces import environment, tracing

ON = Decision(True, "on", "STATIC", DecisionSource.FLAG)
SECOND = 8000
GOOGLE = "google-v1/default"


@dataclass
class Told:
    """A call and its utterances; the audio stands still at `heard_to`."""

    made: Tracing
    sid: str = "CA1"
    heard_to: int = 10 * SECOND
    trace: CallTrace = field(init=False)

    def __post_init__(self) -> None:
        identity = Identity(call_sid=self.sid, stream_sid=f"MZ{self.sid}", account_sid="AC1")
        self.trace = self.made.call(identity, since=self.since, tuning=Tuning, model=lambda: "default")

    def since(self, sample: int) -> float:
        return (self.heard_to - sample) / SECOND

    def begin(self, index: int = 0, mode: Mode = Mode.STREAMING) -> Utterance:
        utterance = Utterance(index=index, begin=5 * SECOND, speech_at=6 * SECOND, mode=mode)
        self.trace.decided(ON)
        self.trace.observe(UtteranceOpened(utterance, ON))
        return utterance

    def finish(self, utterance: Utterance, source: Source = Source.FINAL, text: str = "שלום תודה") -> None:
        utterance.end, utterance.source, utterance.text = 9 * SECOND, source, text
        self.trace.observe(SpeechStopped(utterance))
        self.trace.observe(FinalReady(utterance, text))

    def end(self, reason: str = "stop") -> None:
        self.trace.close(reason=reason, close_code=1000, gap_ms=0)


async def test_what_was_spoken_is_dated_back_by_the_audio_even_if_somebody_sets_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Collector() as collector, tracing(collector) as made:
        told = Told(made)
        before = time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda: before + 3600 * 10**9)
        utterance = told.begin()
        told.trace.observe(PartialReady(utterance, "שלום", 0.9))
        told.finish(utterance)
        told.end()
        assert await made.flush()

    (root,), (endpointing,) = collector.named("utterance"), collector.named("endpointing")
    assert 3990 < root.ms < 6000, "since the sixth of ten seconds"
    assert 990 < endpointing.ms < 3000
    assert abs(root.ended - before) < 5e9
    assert endpointing.attributes["batkol.endpointing.noticed_ms"] <= endpointing.ms + 1


async def test_two_hundred_calls_end_however_they_end_and_leave_nothing_behind() -> None:
    """Half of their utterances get a final; the others are cut off with the call, and say so."""
    async with Collector() as collector, tracing(collector) as made:
        for number in range(200):
            told = Told(made, sid=f"CA{number}")
            first, second = told.begin(0), told.begin(1, Mode.SINGLE)
            told.trace.observe(PartialReady(first, "שלום", 0.5))
            told.finish(first)
            told.trace.observe(StepAsked(second, Source.SINGLE))
            told.end("error" if number % 2 else "dropped")
        assert await made.flush()
        assert made.dropped == 0

    roots, calls = collector.named("utterance"), collector.named("call")
    assert (len(roots), len(calls)) == (400, 200)
    assert len(collector.spans) == 200 * (1 + 2 + 2), "call, two roots, speech_to_text and endpointing"
    assert len({root.trace_id for root in roots}) == 400
    assert sum(root.failed for root in roots) == 200
    assert {root.status for root in roots if root.failed} == {"the call ended before the final"}
    assert sum(call.failed for call in calls) == 100
    by_span = {call.span_id: call for call in calls}
    for root in roots:
        ((trace_id, span_id),) = root.links
        assert by_span[span_id].trace_id == trace_id
        assert by_span[span_id].attributes["batkol.call.sid"] == root.attributes["batkol.call.sid"]


async def test_a_request_that_the_stream_overtook_ends_with_the_final_and_says_so() -> None:
    async with Collector() as collector, tracing(collector) as made:
        told = Told(made)
        utterance = told.begin()
        told.trace.observe(StepFailed(utterance, "streaming", "missed"))
        told.trace.observe(StepAsked(utterance, Source.SINGLE))
        told.finish(utterance)
        told.trace.observe(StepAnswered(utterance, Source.SINGLE))
        told.end()
        assert await made.flush()

    (root,), (request,) = collector.named("utterance"), collector.named("single_request")
    assert request.attributes["batkol.answer.outcome"] == "overtaken"
    assert request.ended == root.ended
    (event,) = root.named("fallback")
    assert (event.attributes["batkol.fallback.step"], event.attributes["batkol.reason"]) == ("streaming", "missed")


async def test_a_request_for_the_record_comes_after_the_end_and_is_in_the_same_trace() -> None:
    async with Collector() as collector, tracing(collector) as made:
        told = Told(made)
        utterance = told.begin()
        told.trace.observe(PartialReady(utterance, "שלום", 0.5))
        told.finish(utterance, Source.INTERIM)
        told.trace.observe(StepFailed(utterance, "streaming", "unconfirmed"))
        told.trace.observe(StepAsked(utterance, Source.SINGLE))
        told.trace.observe(StepAnswered(utterance, Source.SINGLE))
        told.trace.observe(RevisionReady(utterance, "שלום רב"))
        told.trace.observe(StepAsked(utterance, Source.SINGLE))
        told.end()
        assert await made.flush()

    (root,), (call,) = collector.named("utterance"), collector.named("call")
    first, second = collector.named("single_request")
    assert {first.parent_id, second.parent_id} == {root.span_id}
    assert (first.attributes["batkol.answer.outcome"], second.attributes["batkol.answer.outcome"]) == (
        "answered",
        "overtaken",
    )
    assert collector.named("speech_to_text")[0].named("promoted")
    assert [call.named(name)[0].attributes["batkol.utterance.id"] for name in ("fallback", "revised")] == ["CA1-0"] * 2
    assert "רב" not in str(collector.spans)


async def test_nobody_who_answers_is_an_error_and_nothing_to_answer_is_none() -> None:
    async with Collector() as collector, tracing(collector) as made:
        told = Told(made)
        noise, lost = told.begin(0, Mode.SINGLE), told.begin(1, Mode.SINGLE)
        told.trace.observe(StepAsked(noise, Source.SINGLE))
        told.trace.observe(StepAnswered(noise, Source.SINGLE))
        told.finish(noise, Source.NONE, "")
        told.trace.observe(StepAsked(lost, Source.SINGLE))
        told.trace.observe(StepFailed(lost, "single", "unavailable"))
        told.finish(lost, Source.NONE, "")
        told.end()
        assert await made.flush()

    assert {root.attributes["batkol.utterance.index"]: root.failed for root in collector.named("utterance")} == {
        0: False,
        1: True,
    }


async def test_a_seam_is_counted_on_every_utterance_that_lies_over_it() -> None:
    async with Collector() as collector, tracing(collector) as made:
        told = Told(made)
        done, speaking = told.begin(0), told.begin(1)
        told.finish(done)
        told.trace.observe(StreamRotated(Cut(Why.FORCED, 8 * SECOND, 7 * SECOND, 0), GOOGLE))
        told.trace.observe(StreamReplaced("unavailable", 1500, GOOGLE, GOOGLE))
        told.trace.observe(AudioDropped(20, GOOGLE))
        told.finish(speaking)
        told.end()
        assert await made.flush()

    bridged = {
        s.attributes["batkol.utterance.index"]: s.attributes["batkol.stt.bridged_ms"] for s in collector.named("utt")
    }
    assert bridged == {0: 0, 1: 2500}
    (call,) = collector.named("call")
    assert [event.name for event in call.events] == ["stream.rotated", "stream.reconnected", "audio.dropped"]


@pytest.mark.parametrize(("ratio", "least", "most"), [("0", 0, 0), ("0.5", 60, 140), ("1", 200, 200)])
async def test_the_sampling_ratio_counts_utterances(ratio: str, least: int, most: int) -> None:
    """Each is a root of its own, so a call that is not sampled has utterances that are; all have ids for the log."""
    async with Collector() as collector:
        variables = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}
        with environment(**variables):
            made = Tracing(exporters=[OTLPSpanExporter(endpoint=collector.endpoint, insecure=True)])
            told = Told(made)
            for index in range(200):
                utterance = told.begin(index)
                told.trace.observe(PartialReady(utterance, "שלום", 0.5))
                assert set(told.trace.ids_of(utterance)) == {"trace_id", "span_id"}
                told.finish(utterance)
            told.end()
            await made.close()

    roots = collector.named("utterance")
    assert least <= len(roots) <= most
    assert len(collector.named("speech_to_text")) == len(roots), "a trace is whole or not there"
