"""A reply of a whole service, as its traces and metrics have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import script
from support.telemetry.traces import everything_said, traced
from support.time.waiting import eventually

SPEECH = script([["תודה", "בבקשה", "פגישה"]], tail_ms=1000)


async def test_an_answer_is_split_in_the_trace_of_its_utterance_and_its_latency_leads_there(tmp_path: Path) -> None:
    agent: dict[str, Any] = {"agent_replies": True, "answerer": "echo", "voice": "builtin", "greeting": "שלום"}
    async with traced(tmp_path, double=DoubleSettings(final_latency_s=0.3), **agent) as here:

        async def ended() -> bool:
            page = here.up.service.metrics.render_openmetrics().decode()
            families = text_string_to_metric_families(page)  # type: ignore[no-untyped-call]  # has no types
            (replies,) = [family for family in families if family.name == "batkol_replies"]
            counted = {sample.labels["kind"]: sample.value for sample in replies.samples}
            return bool(counted["greeting"] and counted["answer"])

        async def talk(caller: Caller) -> None:
            await caller.say(SPEECH.mulaw)
            await eventually(ended, seconds=20)
            caller.hang_up()

        report = await here.up.call(script=talk)
        page = here.up.service.metrics.render_openmetrics().decode()

    (root,) = here.utterances(report.call_sid)
    greeting, answer = here.collector.named("agent")
    assert greeting.parent_id == here.call(report.call_sid).span_id
    assert answer.parent_id == root.span_id
    for part in (*here.collector.named("llm"), *here.collector.named("tts")):
        assert (part.trace_id, part.parent_id) == (root.trace_id, answer.span_id)
    assert answer.ms > 0
    assert abs(answer.ms - answer.attributes["batkol.reply.latency_ms"]) < 0.1
    exemplars = {
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(page)  # type: ignore[no-untyped-call]  # has no types
        for sample in family.samples
        if sample.exemplar and sample.name.startswith("batkol_reply_")
    }
    assert exemplars == {root.trace_id}
    assert [word for word in ("שלום", "תודה") if word in everything_said(here.collector.spans) + page] == []
