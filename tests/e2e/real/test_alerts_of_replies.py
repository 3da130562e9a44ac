"""A real Prometheus sees faults of the agent's replies: each alert fires with its labels, and ends after it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec import Raw

from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm.tool_deltas import ScriptedCall
from batkol.simulators.twilio.caller import Caller
from batkol.simulators.twilio.plan import CallEnding
from batkol.simulators.twilio_rest.faults import TwilioFault, TwilioFaultKind
from batkol.tools.definition import ToolDefinition
from batkol.voices.marked.voice import say, script
from support.http.one_answer import answering, http
from support.prometheus.watching import calling, of_agent, watching
from support.service.stack import QUICK, stack
from support.twilio.ended_calls import ended_calls

QUESTION = script([["אני", "רוצה", "לקבוע", "פגישה"]], lead_ms=300, tail_ms=4000).mulaw
DAY = Raw(b'{"type": "object", "properties": {"day": {"type": "string"}}}')


async def test_a_model_that_refuses(tmp_path: Path) -> None:
    """Every reply is an apology: the objective burns."""
    async with (
        LLMDouble(LLMSettings(profile="fixed:100")) as llm,
        stack(
            tmp_path / "live",
            agent_replies=True,
            answerer="openai",
            answerer_url=await llm.start(),
            answerer_model="gpt-4.1",
        ) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        llm.inject(LLMFault(kind=LLMFaultKind.REFUSE, status=401))
        async with calling(up, QUESTION, callers=2):
            fail = await seen.fires("BatkolRepliesFail")
            fast = await seen.fires("BatkolReplyBudgetBurnsFast")
            slowly = await seen.fires("BatkolReplyBudgetBurns")
        llm.clear()
        async with calling(up, QUESTION, callers=2):
            await seen.resolves("BatkolRepliesFail")
            await seen.resolves("BatkolReplyBudgetBurnsFast")

        assert fail == of_agent("BatkolRepliesFail", "critical")
        assert fast == of_agent("BatkolReplyBudgetBurnsFast", "critical")
        assert slowly == of_agent("BatkolReplyBudgetBurns", "warning")


async def test_a_model_that_is_slow(tmp_path: Path) -> None:
    async with (
        LLMDouble(LLMSettings(profile="fixed:2000")) as llm,
        stack(
            tmp_path / "live",
            agent_replies=True,
            answerer="openai",
            answerer_url=await llm.start(),
            answerer_model="gpt-4.1",
        ) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        async with calling(up, QUESTION, callers=3):
            slow = await seen.fires("BatkolRepliesSlow")
            fast = await seen.fires("BatkolReplyBudgetBurnsFast")
        await seen.resolves("BatkolRepliesSlow")

        assert slow == of_agent("BatkolRepliesSlow", "critical")
        assert fast == of_agent("BatkolReplyBudgetBurnsFast", "critical")


async def test_a_tool_whose_webhook_fails(tmp_path: Path) -> None:
    async with (
        LLMDouble(LLMSettings(profile="fixed:100")) as llm,
        answering(http("500 Internal Server Error", b"")) as (webhook, _),
        stack(
            tmp_path / "live",
            agent_replies=True,
            answerer="openai",
            answerer_url=await llm.start(),
            answerer_model="gpt-4.1",
            tools=(ToolDefinition(name="book", url=webhook, parameters=DAY),),
        ) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        llm.script(Rule("", "שלום.", tool=ScriptedCall("book", '{"day": "מחר"}')))
        async with calling(up, QUESTION, callers=2):
            fired = await seen.fires("BatkolToolsFail")
        await seen.resolves("BatkolToolsFail")

        assert fired == of_agent("BatkolToolsFail", "warning", tool="book")


async def test_a_budget_that_ends_calls(tmp_path: Path) -> None:
    async with (
        stack(
            tmp_path / "live", speed=QUICK, agent_replies=True, answerer="echo", reply_budget='{"characters": 10}'
        ) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        async with calling(up, QUESTION + QUESTION, callers=2, ending=CallEnding.SERVER):
            fired = await seen.fires("BatkolBudgetsEndCalls")
        await seen.resolves("BatkolBudgetsEndCalls")

        assert fired == of_agent("BatkolBudgetsEndCalls", "warning", budget="characters")


async def test_a_budget_of_speculation_that_is_spent(tmp_path: Path) -> None:
    async with (
        stack(tmp_path / "live", agent_replies=True, answerer="echo", speculative_attempts_per_minute=1) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        async with calling(up, QUESTION, callers=3):
            fired = await seen.fires("BatkolSpeculationBudgetSpent")
        await seen.resolves("BatkolSpeculationBudgetSpent")

        assert fired == of_agent("BatkolSpeculationBudgetSpent", "warning")


async def test_callers_who_pause_within_their_sentences(tmp_path: Path) -> None:
    """Each pause is long enough for an attempt, and too short for the end of the turn."""
    words = [say([word]).mulaw for word in ("אני", "רוצה", "לקבוע", "פגישה", "מחר", "תודה")]
    pause = bytes([0xFF]) * 8 * 380
    async with (
        LLMDouble(LLMSettings(profile="fixed:800")) as llm,
        stack(
            tmp_path / "live",
            agent_replies=True,
            answerer="openai",
            answerer_url=await llm.start(),
            answerer_model="gpt-4.1",
        ) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        async with calling(up, pause.join(words) + bytes([0xFF]) * 8 * 3000, callers=3):
            fired = await seen.fires("BatkolAttemptsWasted")
        await seen.resolves("BatkolAttemptsWasted")

        assert fired == of_agent("BatkolAttemptsWasted", "warning")


async def test_twilio_that_ends_no_call(tmp_path: Path) -> None:
    async with (
        ended_calls(tmp_path / "live") as line,
        watching(tmp_path, line.up.service.internal_port) as seen,
    ):
        line.rest.inject(TwilioFault(kind=TwilioFaultKind.REFUSE))

        async def stay(caller: Caller) -> None:
            await line.post(caller.plan.call_sid, "hangup", 202)
            await asyncio.Event().wait()  # the service closes the stream, and that ends this script

        await line.call(stay)
        fired = await seen.fires("BatkolCallsNotEnded")
        await seen.resolves("BatkolCallsNotEnded")

        assert fired == of_agent("BatkolCallsNotEnded", "critical", action="hang_up")
