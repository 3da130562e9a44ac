"""What a collector gets of real calls, over OTLP/gRPC: one trace for each utterance, and nothing left open."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from io import StringIO
from pathlib import Path

import httpx
import pytest

from batkol.events.events import FinalText
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.twilio.caller import CallEnding, Caller
from batkol.telemetry.logs import Logs
from batkol.voices.marked.voice import SpokenAudio, script
from support.service.stack import QUICK, stack, words_of
from support.telemetry.traces import STREAM, environment, everything_said, traced, wall
from support.whisper.server import hearing_whisper

TWO = script([["שלום", "אני", "רוצה"], ["מתי", "פגישה"]], gap_ms=900)
ONE = script([["שלום", "תודה", "בבקשה"]], tail_ms=1000)
LONG = script([["שלום", "אני", "רוצה", "לקבוע", "פגישה", "מחר", "בוקר", "תודה"]], tail_ms=1000)
PROMPT = DoubleSettings(final_latency_s=0.3, record=True)
"""Google's finals come in time."""

CALLER, CALLED = "+972541234567", "+97231234567"
_REQUESTS = ("POST /twilio/voice", "HTTP /twilio/media")
NEAR_S = 0.25
"""How far apart two readings of one moment may be on a machine that is busy with everything at once."""


async def test_a_streamed_utterance_is_a_trace_of_its_own(tmp_path: Path) -> None:
    """Names, parents, links, attributes; and every time is that of the double's own clock."""
    async with traced(tmp_path, double=PROMPT) as here:
        report = await here.up.call(TWO.mulaw, caller=CALLER, called=CALLED)
        sid = report.call_sid
        finals = here.up.heard.finals(sid)
        partials = here.up.partials(sid)
        (heard,) = here.up.double.stats()["streams"]
        assert report.clean
        assert here.up.heard.texts(sid) == words_of(TWO)

    roots, call, (stream,) = here.utterances(sid), here.call(sid), here.streams(sid)
    assert len({root.trace_id for root in roots}) == 2
    assert call.trace_id not in {root.trace_id for root in roots}
    for index, (root, final) in enumerate(zip(roots, finals, strict=True)):
        assert not root.parent_id
        assert root.links == [(call.trace_id, call.span_id), (call.trace_id, stream.span_id)]
        under = here.under(root)
        assert list(under) == ["speech_to_text", "endpointing"]
        assert under["speech_to_text"].name == "speech_to_text default"
        mine = [partial for partial in partials if partial.index == index]
        _attributes_are_those_of(root, final, len(mine))
        recognition, endpointing = under["speech_to_text"], under["endpointing"]
        assert recognition.ended == endpointing.ended == root.ended
        assert root.begun < recognition.begun < endpointing.begun < root.ended
        assert abs(endpointing.ms - final.latency_ms) < 1000 * NEAR_S
        assert final.first_partial_ms is not None
        assert abs((recognition.begun - root.begun) / 1e6 - final.first_partial_ms) < 1000 * NEAR_S
        events = recognition.named("partial")
        assert [event.attributes["batkol.partial.characters"] for event in events] == [len(p.text) for p in mine]
        assert [event.attributes["batkol.partial.index"] for event in events] == list(range(len(mine)))
        assert all(abs(event.at / 1e9 - p.at) < NEAR_S for event, p in zip(events, mine, strict=True))
    answered = [wall(answer["at"]) for answer in heard["answers"] if answer["final"]]
    assert all(abs(root.ended / 1e9 - at) < NEAR_S for root, at in zip(roots, answered, strict=True))
    assert call.begun / 1e9 < wall(heard["first_audio_at"]) < recognition.begun / 1e9, (
        "the double's clock is the call's"
    )
    _began_when_it_was_said(TWO, [(root.begun - call.begun) / 1e9 for root in roots])


def _attributes_are_those_of(root: object, final: FinalText, partials: int) -> None:
    attributes = root.attributes  # type: ignore[attr-defined]
    expected = {
        "batkol.call.sid": final.call_sid,
        "gen_ai.conversation.id": final.call_sid,
        "batkol.utterance.id": final.utterance_id,
        "batkol.utterance.index": final.index,
        "batkol.agent": "test",
        "batkol.stt.mode": "streaming",
        "batkol.stt.final_source": "final",
        "batkol.stt.recognizer": "google-v1/default",
        "batkol.tuning.batch_ms": 150,
        "batkol.tuning.debounce_ms": 180,
        "batkol.tuning.revision": "defaults",
        "batkol.utterance.words": final.words,
        "batkol.utterance.partials": partials,
        "batkol.stt.bridged_ms": 0,
        "feature_flag.key": "streaming-stt",
        "feature_flag.result.variant": "on",
        "feature_flag.result.reason": "STATIC",
    }
    assert {name: attributes[name] for name in expected} == expected
    assert abs(attributes["batkol.stt.final_latency_ms"] - final.latency_ms) < 1000 * NEAR_S
    assert abs(attributes["batkol.stt.first_partial_ms"] - (final.first_partial_ms or 0)) < 1000 * NEAR_S


def _began_when_it_was_said(spoken: SpokenAudio, begun_s: list[float]) -> None:
    """Seconds into the call."""
    for utterance, begun in zip(spoken.utterances, begun_s, strict=True):
        assert abs(begun - utterance.start / 8000) < NEAR_S


async def test_webhook_and_call_are_one_trace_and_no_frame_has_a_span(tmp_path: Path) -> None:
    """More than 500 frames and not one span of them; the probes make none either."""
    talk = script([["שלום", "תודה", "בבקשה"]], tail_ms=8000)
    assert len(talk.mulaw) > 500 * 160
    async with traced(tmp_path, double=PROMPT, speed=QUICK) as here:
        async with httpx.AsyncClient() as http:
            for path in ("/healthz", "/readyz"):
                assert (await http.get(here.up.url + path)).is_success
        report = await here.up.call(talk.mulaw)
        sid = report.call_sid

    names = sorted(span.name for span in here.collector.spans)
    webhooks = ["POST /twilio/status", "POST /twilio/stream-status", "POST /twilio/stream-status"]
    assert names == sorted(
        [*_REQUESTS, *webhooks, "call", STREAM, "utterance", "speech_to_text default", "endpointing"]
    )
    (webhook,), (handshake,), call = (
        *map(here.collector.named, ("POST /twilio/voice", "HTTP /twilio/media")),
        here.call(sid),
    )
    (stream,) = here.streams(sid)
    assert (call.trace_id, call.parent_id) == (webhook.trace_id, webhook.span_id)
    assert call.links == [(handshake.trace_id, handshake.span_id)]
    assert handshake.ended < call.ended, "the handshake is over when the call begins"
    assert {webhook.attributes["batkol.call.sid"], handshake.attributes["batkol.call.sid"]} == {sid}
    assert (stream.parent_id, stream.kind) == (call.span_id, "CLIENT")
    expected = {
        "rpc.system.name": "grpc",
        "rpc.method": STREAM,
        "rpc.response.status_code": "OK",
        "server.address": "127.0.0.1",
        "batkol.rpc.ended_by": "close",
        "batkol.rpc.number": 1,
    }
    assert {name: stream.attributes[name] for name in expected} == expected
    assert call.attributes["batkol.call.end_reason"] == "stop"
    assert {event.name for event in call.events} == {"session.opened", "session.closed", "feature_flag.evaluation"}
    assert here.collector.spans[0].resource["service.name"] == "batkol"


@pytest.mark.nightly
async def test_calls_at_once_do_not_mix_and_single_requests_are_told_apart(tmp_path: Path) -> None:
    """Two callers say the same at the same time; in the middle the flag is turned off for both."""
    async with traced(tmp_path, double=PROMPT, speed=QUICK) as here:
        both_said = asyncio.Event()
        said: list[str] = []

        async def talk(caller: Caller) -> None:
            await caller.say(ONE.mulaw)
            await here.up.heard.has_finals(caller.plan.call_sid, 1)
            said.append(caller.plan.call_sid)
            if len(said) == 2:
                before = here.up.service.live.status().flags_revision
                here.up.flip(on=False)
                while here.up.service.live.status().flags_revision == before:
                    await asyncio.sleep(0.02)
                both_said.set()
            await both_said.wait()
            await caller.say(ONE.mulaw)
            await here.up.heard.has_finals(caller.plan.call_sid, 2)

        reports = await asyncio.gather(here.up.call(script=talk), here.up.call(script=talk))

    for report in reports:
        streamed, single = here.utterances(report.call_sid)
        call = here.call(report.call_sid)
        assert {link[0] for link in streamed.links} == {call.trace_id}
        assert single.links == [(call.trace_id, call.span_id)], "no stream carried it"
        under = here.under(single)
        assert list(under) == ["endpointing", "single_request"]
        request = under["single_request"]
        assert request.attributes["rpc.method"].endswith("/Recognize")
        assert request.attributes["batkol.answer.outcome"] == "answered"
        assert request.begun < request.ended <= single.ended
        assert single.attributes["batkol.stt.mode"] == single.attributes["batkol.stt.final_source"] == "single"
        (flip,) = single.named("flag.flipped")
        assert (flip.attributes["batkol.flag.before"], flip.attributes["feature_flag.result.variant"]) == ("on", "off")
        (evaluated,) = single.named("feature_flag.evaluation")
        assert evaluated.attributes["feature_flag.context.id"] == report.call_sid
        assert evaluated.attributes["feature_flag.provider.name"] == "live"


async def test_a_rotation_while_the_caller_speaks_is_seen_on_the_utterance_and_on_both_streams(tmp_path: Path) -> None:
    async with traced(tmp_path, double=PROMPT, speed=QUICK, stt_rotate_after_s=1.2, stt_rotate_by_s=1.6) as here:
        report = await here.up.call(LONG.mulaw)
        rotations = here.up.ended(report.call_sid).rotations

    (root,) = here.utterances(report.call_sid)
    streams = here.streams(report.call_sid)
    assert rotations >= 1
    assert len(streams) == rotations + 1
    assert [stream.attributes["batkol.rpc.ended_by"] for stream in streams] == ["rotation"] * rotations + ["close"]
    assert all(stream.attributes["batkol.rpc.took_over_after"] == "rotation" for stream in streams[1:])
    assert not any(stream.failed for stream in streams)
    assert len(root.links) >= 3, "the call, and the streams that carried it"
    assert {span for _, span in root.links[1:]} <= {stream.span_id for stream in streams}
    recognition = here.under(root)["speech_to_text"]
    seen = root.named("stream.rotated") + recognition.named("stream.rotated")
    assert 1 <= len(seen) <= rotations
    assert root.attributes["batkol.stt.bridged_ms"] == sum(e.attributes["batkol.rotation.overlap_ms"] for e in seen)


async def test_a_stream_that_dies_says_how_and_the_utterance_says_what_became_of_it(tmp_path: Path) -> None:
    died = Fault(kind=Kind.END, code="INTERNAL", when=Moment.AUDIO, seconds=1.5, streams=(1,))
    async with traced(tmp_path, double=PROMPT, speed=QUICK) as here:
        here.up.double.inject(died)
        report = await here.up.call(LONG.mulaw)
        assert here.up.heard.texts(report.call_sid) == words_of(LONG)

    (root,) = here.utterances(report.call_sid)
    first, second = here.streams(report.call_sid)
    assert (first.failed, first.attributes["rpc.response.status_code"]) == (True, "INTERNAL")
    assert first.attributes["error.type"] == "INTERNAL"
    assert first.ended < root.ended, "it ends when it ends, and not with the call"
    assert first.attributes["batkol.rpc.ended_by"] == "internal"
    assert second.attributes["batkol.rpc.took_over_after"] == "internal"
    seen = root.named("stream.reconnected") + here.under(root)["speech_to_text"].named("stream.reconnected")
    assert len(seen) == 1
    assert root.attributes["batkol.stt.bridged_ms"] == seen[0].attributes["batkol.stt.bridged_ms"] > 0
    assert [span for _, span in root.links[1:]] == [first.span_id, second.span_id]


async def test_every_step_of_a_fallback_is_there_with_its_reason(tmp_path: Path) -> None:
    """No stream, no single request: Whisper answers, and an SRE reads why."""
    async with (
        hearing_whisper() as whisper,
        traced(tmp_path, double=PROMPT, speed=QUICK, whisper_url=whisper.url) as here,
    ):
        here.up.double.inject(Fault(kind=Kind.END, code="PERMISSION_DENIED"))
        here.up.double.inject(Fault(kind=Kind.END, code="UNAVAILABLE", surface=Surface.UNARY))
        report = await here.up.call(ONE.mulaw)
        assert here.up.heard.texts(report.call_sid) == words_of(ONE)

    (root,) = here.utterances(report.call_sid)
    under = here.under(root)
    assert list(under) == ["endpointing", "single_request", "whisper"]
    assert (under["single_request"].failed, under["single_request"].status) == (True, "unavailable")
    assert not under["whisper"].failed
    assert not root.failed
    assert under["single_request"].ended <= under["whisper"].begun < under["whisper"].ended <= root.ended
    steps = [(e.attributes["batkol.fallback.step"], e.attributes["batkol.reason"]) for e in root.named("fallback")]
    assert ("single", "unavailable") in steps
    assert root.attributes["batkol.stt.final_source"] == "whisper"
    assert all(
        stream.attributes["rpc.response.status_code"] == "PERMISSION_DENIED" for stream in here.streams(report.call_sid)
    )


@pytest.mark.parametrize("ending", [pytest.param(CallEnding.HANG_UP, marks=pytest.mark.nightly), CallEnding.ABRUPT])
async def test_nothing_is_left_open_when_the_caller_is_gone_in_mid_sentence(tmp_path: Path, ending: CallEnding) -> None:
    talk = script([["שלום", "תודה", "בבקשה"]], tail_ms=0)
    async with traced(tmp_path, double=PROMPT, speed=QUICK) as here:
        report = await here.up.call(talk.mulaw, ending=ending)

    (root,) = here.utterances(report.call_sid)
    call, (stream,) = here.call(report.call_sid), here.streams(report.call_sid)
    assert root.ended <= call.ended
    assert stream.ended <= call.ended
    assert call.attributes["batkol.call.end_reason"] == ("dropped" if ending is CallEnding.ABRUPT else "stop")
    assert call.attributes["batkol.call.utterances"] == 1
    assert not call.failed


async def test_neither_words_nor_numbers_are_in_a_trace_unless_somebody_asks_for_the_words(tmp_path: Path) -> None:
    for transcripts in (False, True):
        async with traced(tmp_path, double=PROMPT, speed=QUICK, otel_capture_transcripts=transcripts) as here:
            await here.up.call(ONE.mulaw, caller=CALLER, called=CALLED)

        told = everything_said(here.collector.spans)
        assert ("שלום" in told) is transcripts
        for number in (CALLER, CALLED):
            assert number[1:] not in told
            assert number[4:] not in told


async def test_lines_of_an_utterance_carry_its_trace_and_the_others_that_of_the_call(tmp_path: Path) -> None:
    out = StringIO()
    logs = Logs(level="INFO", json=True, stream=out)
    try:
        async with traced(tmp_path, double=PROMPT, speed=QUICK, log_partials="true") as here:
            report = await here.up.call(ONE.mulaw)
    finally:
        logs.close()

    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    (root,), call = here.utterances(report.call_sid), here.call(report.call_sid)
    of_call = [line for line in lines if line.get("call_sid") == report.call_sid]
    of_utterance = [line for line in of_call if "utterance" in line]
    assert len(of_utterance) >= 3
    assert {(line["trace_id"], line["span_id"]) for line in of_utterance} == {(root.trace_id, root.span_id)}
    others = [line for line in of_call if "utterance" not in line]
    assert {line["event"] for line in others} >= {
        "[CALL] call started",
        "[CALL] call ended",
        "[STT] Streaming session started",
    }
    assert {(line["trace_id"], line["span_id"]) for line in others} == {(call.trace_id, call.span_id)}
    (flag,) = (line for line in lines if line["event"] == "[CFG] flag decision changed")
    assert flag["trace_id"] == call.trace_id, "a line of those who know nothing of calls"


async def test_without_an_endpoint_nothing_is_exported_and_nothing_is_said(tmp_path: Path) -> None:
    out = StringIO()
    logs = Logs(level="DEBUG", json=True, stream=out)
    try:
        with environment():
            async with stack(tmp_path, double=PROMPT, speed=QUICK) as up:
                report = await up.call(ONE.mulaw)
                assert not up.service.tracing.enabled
                assert up.heard.texts(report.call_sid) == words_of(ONE)
    finally:
        logs.close()

    assert not re.search(r"\[OTEL\]|opentelemetry|OTLP|trace_id", out.getvalue())
    assert logging.getLogger("opentelemetry").handlers == []


@pytest.mark.nightly
@pytest.mark.parametrize("trouble", ["gone", "slow"])
async def test_a_collector_in_trouble_costs_no_word_and_what_it_did_not_get_is_counted(
    tmp_path: Path, trouble: str
) -> None:
    """It fails in the middle of the call; the service ends in good time all the same, and /metrics tells."""
    quick = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    async with traced(tmp_path, quick, double=PROMPT, speed=QUICK) as here:

        async def talk(caller: Caller) -> None:
            await caller.say(ONE.mulaw)
            await here.up.heard.has_finals(caller.plan.call_sid, 1)
            if trouble == "gone":
                await here.collector.stop()
            here.collector.delay_s = 60
            await caller.say(ONE.mulaw)

        report = await here.up.call(script=talk)
        assert here.up.heard.texts(report.call_sid) == words_of(ONE) * 2
        async with asyncio.timeout(20):
            while not here.up.service.tracing.dropped:
                await asyncio.sleep(0.02)
        (dropped,) = re.findall(rb"^batkol_spans_dropped\S* (\S+)$", here.up.service.metrics.render(), re.MULTILINE)
        assert float(dropped) >= 1

    assert here.collector.named("POST /twilio/voice"), "what came before was delivered"


async def test_a_collector_that_was_never_there_is_nobodys_trouble(tmp_path: Path) -> None:
    with environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_TIMEOUT="1"):
        async with stack(tmp_path, double=PROMPT, speed=QUICK) as up:
            report = await up.call(ONE.mulaw)
            assert up.heard.texts(report.call_sid) == words_of(ONE)
            assert report.clean
        assert up.service.tracing.dropped >= 6, "after the end all that was not delivered is counted"
