"""Every query of the dashboard and every rule, evaluated by a real Prometheus on what a real service has exposed."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from msgspec import Raw

from batkol.simulators.client.otlp_collector import Collector
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm.tool_deltas import ScriptedCall
from batkol.simulators.twilio.caller import Caller
from batkol.tools.definition import ToolDefinition
from batkol.voices.marked.voice import script
from support.http.one_answer import answering, http
from support.http.webhook_receiver import receiving, status
from support.postgres.server import Server, database
from support.prometheus.evaluated import empty_of, missing_of
from support.prometheus.observed import SERVICE, expressions, queries, variables
from support.prometheus.server import Prometheus
from support.prometheus.watching import watching
from support.service.stack import Stack, stack, stored, write_tuning
from support.telemetry.traces import environment

SECRET: Final = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
QUESTION: Final = script([["אני", "רוצה", "לקבוע", "פגישה"]], lead_ms=300, tail_ms=3500).mulaw
SPEECH: Final = script([["שלום", "תודה", "בבקשה", "אני", "רוצה", "פגישה"]], tail_ms=1000).mulaw
DAY: Final = Raw(b'{"type": "object", "properties": {"day": {"type": "string"}}}')
EMPTY: Final[dict[str, str]] = {
    "Background tasks: deaths, and tasks that are down: A": "no task dies",
    "Background tasks: deaths, and tasks that are down: B": "no task is down",
    "HTTP connections: open, limit, closed before an answer: C": "every request is answered",
    "Hang-ups and transfers, by outcome: A": "neither agent nor API ends a call",
    "Failures of answerer and voice, by part and reason: A": "where one answerer fails, the one behind it answers",
    "Second answerers: hedged and behind: A": "no answer is so late that a second one is asked for",
    "Voice switches, by voice and reason: A": "the voices do not fail",
}
"""Queries that may draw nothing here, with the reason: they leave out what has not happened."""

ELSEWHERE: Final = {'batkol_recognizer_streams{recognizer!~"google-v1/.*"}'}
"""Selectors that match nothing here: no other recognizer streams."""


@asynccontextmanager
async def measured(folder: Path, server: Server) -> AsyncIterator[tuple[Prometheus, float]]:
    """Have calls of every kind: with replies, tools, a faulty recognizer, sinks; and change flag and tuning.

    Yields what has scraped them, and when the first call came.
    """
    async with (
        Collector() as collector,
        database(server) as where,
        receiving(SECRET) as receiver,
        LLMDouble(LLMSettings(profile="fixed:100")) as llm,
        answering(http("200 OK", "נקבע".encode())) as (webhook, _),
    ):
        settings = {**stored(folder, where), **_settings(receiver.url, await llm.start(), webhook)}
        llm.script(Rule("", "שלום.", tool=ScriptedCall("book", '{"day": "מחר"}')))
        llm.inject(LLMFault(kind=LLMFaultKind.REFUSE, times=2))
        receiver.answers = [status(503), status(410)]
        with environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint):
            async with (
                stack(folder / "live", double=DoubleSettings(final_latency_s=0.3), **settings) as up,
                watching(folder, up.service.internal_port) as seen,
            ):
                since = time.time()
                await _calls(up)
                yield seen, since


def _settings(receiver: str, model: str, webhook: str) -> dict[str, Any]:
    """Answerers, voices and sinks of every kind, tools and summaries, which have metrics of their own."""
    llm = {"kind": "openai", "url": model, "model": "gpt-4.1"}
    return {
        "agent_replies": True,
        "answerers": json.dumps({"one": llm, "two": llm}),
        "answerer": "hedged",
        "answerer_first": "one",
        "answerer_second": "two",
        "answerer_then": "one",
        "voices": '{"other": {"kind": "builtin"}}',
        "voice_then": "other",
        "tools": (ToolDefinition(name="hang_up"), ToolDefinition(name="book", url=webhook, parameters=DAY)),
        "summary_prompt": "סכם את השיחה",
        "reply_budget": '{"characters": 5000}',
        "sinks": json.dumps(
            {
                "crm": {"kind": "webhook", "url": receiver, "secretEnv": "CRM_SECRET"},
                "bus": {"kind": "nats", "url": "nats://127.0.0.1:9", "events": [], "partials": True},
            }
        ),
    }


async def _calls(up: Stack) -> None:
    await asyncio.gather(*(up.call(QUESTION) for _ in range(3)))
    denied = "PERMISSION_DENIED"
    for faults in (
        [Fault(kind=Kind.END, code="INTERNAL", when=Moment.AUDIO, seconds=1.0)],
        [Fault(kind=Kind.END, code=denied), Fault(kind=Kind.END, code=denied, surface=Surface.UNARY)],
    ):
        up.double.inject(*faults)
        await up.call(script=lambda caller: _heard(up, caller))
        up.double.clear()
    async with httpx.AsyncClient(trust_env=False) as http_:
        await http_.post(f"{up.url}/twilio/voice", data={"CallSid": "CA" + "9" * 32})
    up.flip(on=False)
    write_tuning(up.live, {"recognition": {"batchMilliseconds": 100}})
    await asyncio.gather(*(up.call(QUESTION + QUESTION) for _ in range(2)))


async def _heard(up: Stack, caller: Caller) -> None:
    await caller.say(SPEECH)
    await up.heard.has_finals(caller.plan.call_sid, 1)


async def test_panels_draw_and_rules_find_their_metrics_with_their_labels(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    asked = queries(SERVICE, rate="4s", whole="2m", times=10)
    async with measured(tmp_path, server) as (seen, since):
        empty = await empty_of(seen, asked, since=since, listed=EMPTY)
        missing = await missing_of(seen, {**asked, **expressions(SERVICE)})
        rules = await seen.rules()
        chosen = {name: await seen.values(query) for name, query in variables(SERVICE).items()}
        (instance,) = [target["labels"]["instance"] for target in await seen.targets()]
        traces = await seen.exemplars("batkol_final_latency_seconds_bucket")

    assert {rule["name"] for rule in rules} == set(expressions(SERVICE))
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
    assert empty <= set(EMPTY)
    assert {where for where in EMPTY if "> 0" not in asked[where]} == set(), "a query of what always happens"
    assert missing == ELSEWHERE
    assert chosen == {"namespace": {"voice"}, "job": {"reception"}, "instance": {instance}}
    assert all(len(each["labels"]["trace_id"]) == 32 for each in traces)
    assert len(traces) > 2
