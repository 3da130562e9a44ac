"""What an SRE finds in a real Jaeger after a call: the utterances, their trees, how long each step took, and where
the links lead."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from batkol.simulators.google.faults import Fault, Kind, Surface
from batkol.simulators.google.settings import DoubleSettings
from batkol.voices.marked.voice import script
from support.service.stack import Stack, stack, words_of
from support.telemetry.jaeger import Jaeger, Shown, jaeger
from support.telemetry.traces import STREAM, environment
from support.time.waiting import eventually
from support.whisper.server import hearing_whisper

TWO = script([["שלום", "אני", "רוצה"], ["מתי", "פגישה"]], gap_ms=900)
LONG = script([["שלום", "אני", "רוצה", "לקבוע", "פגישה", "מחר", "בוקר", "תודה"]], tail_ms=1000)
PROMPT = DoubleSettings(final_latency_s=0.3, record=True)
CALLER, CALLED = "+972541234567", "+97231234567"


@asynccontextmanager
async def shown(folder: Path, **given: Any) -> AsyncIterator[tuple[Stack, Jaeger]]:
    """The service as the documentation says to run it beside Jaeger, which takes no metrics."""
    async with jaeger(folder) as there:
        with environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=there.otlp, OTEL_METRICS_EXPORTER="none", OTEL_BSP_SCHEDULE_DELAY="200"
        ):
            settings = {"double": PROMPT, "stt_final_timeout_ms": 5000, **given}
            async with stack(folder / "live", **settings) as up:
                yield up, there


async def utterances(there: Jaeger, call_sid: str, count: int) -> list[list[Shown]]:
    """The traces of a call's utterances, in order, found as the documentation says: by operation and tag."""
    found: list[list[Shown]] = []

    async def all_there() -> bool:
        tags = json.dumps({"batkol.call.sid": call_sid})
        found[:] = await there.traces(service="batkol", operation="utterance", tags=tags)
        return len(found) >= count

    await eventually(all_there)
    assert len(found) == count
    return sorted(found, key=lambda trace: trace[0].began_us)


async def test_jaeger_shows_every_utterance_with_its_tree_its_durations_and_its_links(tmp_path: Path) -> None:
    async with shown(tmp_path) as (up, there):
        report = await up.call(TWO.mulaw, caller=CALLER, called=CALLED)
        finals = up.heard.finals(report.call_sid)
        assert up.heard.texts(report.call_sid) == words_of(TWO)
        traces = await utterances(there, report.call_sid, 2)
        assert await there.services() == ["batkol"]
        linked = await there.trace(traces[0][0].links[0][0])

        for final, (root, *under) in zip(finals, traces, strict=True):
            assert (root.name, root.parent_id, root.service) == ("utterance", "", "batkol")
            assert [span.name for span in under] == ["speech_to_text default", "endpointing"]
            assert {span.parent_id for span in under} == {root.span_id}
            assert all(span.ended_us <= root.ended_us + 1 for span in under), "a microsecond is how Jaeger rounds"
            assert abs(under[1].duration_us / 1000 - final.latency_ms) < 250
            assert root.tags["batkol.utterance.index"] == final.index
            assert root.tags["batkol.stt.mode"] == "streaming"
            assert [event["event"] for event in under[0].events].count("partial") == root.tags[
                "batkol.utterance.partials"
            ]
        (call,) = (span for span in linked if span.name == "call")
        (stream,) = (span for span in linked if span.name == STREAM)
        assert all(
            root.links == ((call.trace_id, call.span_id), (call.trace_id, stream.span_id)) for root, *_ in traces
        )
        assert stream.parent_id == call.span_id
        (webhook,) = (span for span in linked if span.span_id == call.parent_id)
        assert webhook.name == "POST /twilio/voice"
        assert "שלום" not in str([*traces, linked])
        assert CALLER[4:] not in str([*traces, linked])


async def test_jaeger_shows_the_streams_an_utterance_went_over(tmp_path: Path) -> None:
    async with shown(tmp_path, stt_rotate_after_s=1.2, stt_rotate_by_s=1.6) as (up, there):
        report = await up.call(LONG.mulaw)
        rotations = up.ended(report.call_sid).rotations
        ((root, *under),) = await utterances(there, report.call_sid, 1)
        linked = await there.trace(root.links[0][0])

        streams = {span.span_id: span for span in linked if span.name == STREAM}
        assert rotations >= 1
        assert len(streams) == rotations + 1
        assert len(root.links) >= 3, "the call, and the streams that carried it"
        assert {span_id for _, span_id in root.links[1:]} <= set(streams)
        events = [event["event"] for span in (root, *under) for event in span.events]
        assert events.count("stream.rotated") >= 1


async def test_jaeger_finds_a_fallback_by_its_error(tmp_path: Path) -> None:
    """No stream, no single request: Whisper answers, and the search for errors finds why."""
    async with hearing_whisper() as whisper, shown(tmp_path, whisper_url=whisper.url) as (up, there):
        up.double.inject(Fault(kind=Kind.END, code="PERMISSION_DENIED"))
        up.double.inject(Fault(kind=Kind.END, code="UNAVAILABLE", surface=Surface.UNARY))
        report = await up.call(LONG.mulaw)
        ((root, *under),) = await utterances(there, report.call_sid, 1)

        assert [span.name for span in under if span.tags.get("error")] == ["single_request"]
        assert root.tags["batkol.stt.final_source"] == "whisper"
        failed = await there.traces(service="batkol", operation="single_request", tags='{"error": "true"}')
        assert root.trace_id in {span.trace_id for trace in failed for span in trace}
