"""Outsiders who send trace contexts: none decides what is sampled, or in which trace it is seen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from batkol.events.events import CallEnded, CallStarted
from batkol.twilio.signature import signature
from support.service.stack import PUBLIC, TOKEN
from support.telemetry.traces import traced

TRACE, SPAN = "1" * 32, "2" * 16
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
FOREIGN = {
    "traceparent": TRACEPARENT,
    "tracestate": "outsider=1",
    "baggage": "outsider=1",
    "b3": f"{TRACE}-{SPAN}-1",
    "X-B3-TraceId": TRACE,
    "X-B3-SpanId": SPAN,
    "X-B3-Sampled": "1",
    "uber-trace-id": f"{TRACE}:{SPAN}:0:1",
}


@pytest.mark.parametrize(
    "propagators", ["", *(pytest.param(names, marks=pytest.mark.nightly) for names in ("tracecontext,baggage", "b3"))]
)
async def test_a_sampler_of_0_percent_makes_no_span_of_what_outsiders_send(tmp_path: Path, propagators: str) -> None:
    nothing = {
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0",
        "OTEL_PROPAGATORS": propagators,
    }
    async with traced(tmp_path, nothing) as here:
        async with httpx.AsyncClient(base_url=here.up.url, headers=FOREIGN, trust_env=False) as http:
            for path in ("/twilio/voice", "/twilio/status", "/nowhere") * 5:
                assert (await http.post(path)).status_code in {403, 404}
        with pytest.raises(InvalidStatus):
            await connect(f"{here.up.url.replace('http', 'ws')}/twilio/media", additional_headers=FOREIGN)

    assert here.collector.spans == []


async def test_a_request_that_is_traced_is_a_trace_of_its_own(tmp_path: Path) -> None:
    async with traced(tmp_path) as here, httpx.AsyncClient(headers=FOREIGN, trust_env=False) as http:
        await http.post(f"{here.up.url}/twilio/voice")

    (span,) = here.collector.spans
    assert (span.parent_id, span.links) == ("", [])
    assert span.trace_id != TRACE


@pytest.mark.parametrize("given", [pytest.param(TRACEPARENT, marks=pytest.mark.nightly), f"{TRACEPARENT}.{'a' * 64}"])
async def test_a_stream_whose_parameter_is_not_the_webhooks_is_no_child_of_it(tmp_path: Path, given: str) -> None:
    """The token is good; the parameter comes through a network that is not ours."""
    form = {"CallSid": "CA" + "1" * 32, "AccountSid": "AC" + "2" * 32, "From": "+1", "To": "+2"}
    async with traced(tmp_path) as here:
        async with httpx.AsyncClient(base_url=here.up.url, trust_env=False) as http:
            signed = {"X-Twilio-Signature": signature(TOKEN, f"{PUBLIC}/twilio/voice", tuple(form.items()))}
            twiml = (await http.post("/twilio/voice", data=form, headers=signed)).text
        (token,) = re.findall(r'name="token" value="([^"]+)"', twiml)
        (carried,) = re.findall(r'name="traceparent" value="([^"]+)"', twiml)
        url = f"{PUBLIC.replace('https', 'wss')}/twilio/media"
        dialled = {"X-Twilio-Signature": signature(TOKEN, url, ()), **FOREIGN}
        async with connect(f"{here.up.url.replace('http', 'ws')}/twilio/media", additional_headers=dialled) as socket:
            start = {
                "streamSid": "MZ1",
                "callSid": form["CallSid"],
                "accountSid": form["AccountSid"],
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"token": token, "traceparent": given},
            }
            await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            await socket.send(json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": start}))
            await here.up.heard.until(lambda: here.up.heard.of(form["CallSid"], CallStarted))
        await here.up.heard.until(lambda: here.up.heard.of(form["CallSid"], CallEnded))

    call = here.call(form["CallSid"])
    (webhook,) = here.collector.named("POST /twilio/voice")
    (handshake,) = here.collector.named("HTTP /twilio/media")
    assert webhook.trace_id in carried
    assert (call.trace_id, call.parent_id) == (handshake.trace_id, handshake.span_id)
    assert TRACE not in {span.trace_id for span in here.collector.spans}
