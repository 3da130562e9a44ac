"""The model calls tools on the real wires: a webhook is asked, a lead is saved, and the goodbye is heard to its end."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
from msgspec import Raw

from batkol.events.events import CallEnded, ReplyEnded, ReplyStarted, ToolCalled
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm.tool_deltas import ScriptedCall, Untidy
from batkol.simulators.twilio.caller import Caller
from batkol.tools.definition import ToolDefinition
from batkol.voices.marked.voice import say
from support.events.schemas import validate
from support.http.one_answer import answering, http
from support.service.stack import stack

QUESTION = say(["אני", "רוצה", "לקבוע", "פגישה", "מחר"]).mulaw
DAY = Raw(b'{"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}')
LEAD = '{"name": "דנה"}'


async def test_a_call_books_saves_the_lead_and_ends_after_its_goodbye_was_heard(tmp_path: Path) -> None:
    async with (
        LLMDouble(LLMSettings(profile="fixed:100")) as llm,
        answering(http("200 OK", "נקבע".encode())) as (webhook, posted),
        stack(
            tmp_path,
            agent_replies=True,
            answerer="openai",
            answerer_url=await llm.start(),
            answerer_model="gpt-4.1",
            tools=(ToolDefinition(name="hang_up"), ToolDefinition(name="book", url=webhook, parameters=DAY)),
            lead_fields={"name": "The caller's name"},
        ) as up,
    ):
        llm.script(
            Rule(
                "",
                "שלום תודה.",
                tool=ScriptedCall("book", '{"day": "מחר"}'),
                untidy=(Untidy.STOP, Untidy.NO_INDEX, Untidy.BESIDE_TEXT),
            ),
            Rule(
                "",
                "מחר בוקר תודה.",
                tools=(ScriptedCall("save_lead", LEAD), ScriptedCall("hang_up")),
                untidy=(Untidy.INTERLEAVED, Untidy.BESIDE_TEXT),
                result="נקבע",
            ),
        )

        async def talk(caller: Caller) -> None:
            await caller.say(QUESTION)
            await up.heard.until(lambda: up.heard.of(caller.plan.call_sid, CallEnded))

        report = await up.call(script=talk)

        sid = report.call_sid
        assert report.clean, report.violations
        assert up.ended(sid).reason == "hung_up"
        assert [(event.name, event.outcome) for event in up.heard.of(sid, ToolCalled)] == [
            ("book", "done"), ("save_lead", "done"), ("hang_up", "done"),
        ]  # fmt: skip
        assert up.heard.of(sid, ToolCalled)[1].arguments == LEAD
        (reply,) = up.heard.of(sid, ReplyEnded)
        assert (reply.heard, reply.interrupted) == ("שלום תודה. מחר בוקר תודה.", False)
        assert [event.phrase for event in up.heard.of(sid, ReplyStarted)] == [None], "one goodbye: the model's own"
        assert [word.text for word in report.ear.words()][-1] == "תודה", "to its last word"
        assert "tool.called" in validate(up.heard.events[sid])
        (request,) = posted
        assert json.loads(request.partition(b"\r\n\r\n")[2])["arguments"] == {"day": "מחר"}
        asked, last = llm.records
        assert asked.tools == ("hang_up", "save_lead", "book")
        assert [message.role for message in last.messages] == ["user", "assistant", "tool"]
        assert reply.prompt_tokens is not None
        async with httpx.AsyncClient() as client:
            metrics = (await client.get(f"{up.internal}/metrics")).text
        assert 'tool="book"' in metrics
