"""Refusals of the servers behind the agent: one line of the log with the remedy, and the newest in the status."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from structlog.testing import capture_logs

from batkol.answering.answerer import Question
from batkol.answering.factory import AnswererParts, Answerers
from batkol.answering.specs import AnswererSpec
from batkol.app.upstreams import ANSWERER, CALLS, Upstream, Upstreams
from batkol.errors import UpstreamError
from batkol.events.events import ReplyEnded, ReplyFailed
from batkol.simulators.call_cli import CallOptions, carry_out
from batkol.simulators.client.conversation import Internal
from batkol.simulators.google_voice.faults import GoogleVoiceFault, GoogleVoiceFaultKind
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.speaker.faults import VoiceFault, VoiceFaultKind
from batkol.simulators.twilio.caller import Caller
from batkol.simulators.twilio_rest.server import TwilioDouble
from batkol.status import UpstreamStatus
from batkol.twilio_api.control import CallControl, HttpUpdates, TwilioCall
from batkol.voices.factory import VoiceParts, VoicesByName
from batkol.voices.google.sessions import Sessions
from batkol.voices.marked.voice import say
from batkol.voices.settings import VoiceSpec
from batkol.voices.voice import Voice
from support.service.stack import stack
from support.voices.double import line
from support.voices.google import google_line
from support.voices.pieces import spoken

KEY = "sk-secret-of-mine"
AT_ONCE = LLMSettings(profile="fixed:0", tokens_per_s=0, api_key=KEY, models=("gpt-4.1",))


def lines_of(logs: list[Any]) -> list[tuple[str, str]]:
    return [(each["log_level"], each["event"]) for each in logs]


@asynccontextmanager
async def asked(*, model: str = "gpt-4.1", key: str = KEY) -> AsyncIterator[tuple[LLMDouble, Upstreams, Answerers]]:
    """An answerer called `fast`, whose server is the double."""
    async with LLMDouble(AT_ONCE) as double:
        double.script(Rule("", "כן"))
        upstreams = Upstreams()
        specs = {"fast": AnswererSpec(kind="openai", url=await double.start(), model=model, key_env="LLM_KEY")}
        made = Answerers(specs, {"fast": key}, AnswererParts(watch=upstreams.answerer))
        async with aclosing(made), asyncio.timeout(40):
            yield double, upstreams, made


async def ask(made: Answerers, times: int = 1) -> None:
    for _ in range(times):
        with suppress(UpstreamError):
            async with aclosing(made.by_name["fast"].answer(Question(text="שלום"))) as parts:
                async for _part in parts:
                    pass


@pytest.mark.parametrize(
    ("wrong", "reason", "remedy"),
    [
        ({"model": "gpt-5.5-turbo"}, "not_found", "The server has no such model or path; check the model and the URL."),
        ({"key": "sk-wrong"}, "unauthorized", "The server refuses the API key; set a valid one."),
    ],
)
async def test_a_wrong_model_or_key_is_one_line_with_the_remedy_and_not_one_a_turn(
    wrong: dict[str, str], reason: str, remedy: str
) -> None:
    async with asked(**wrong) as (_, upstreams, made):
        with capture_logs() as logs:
            await ask(made, times=4)

    status = upstreams.answerers["fast"].status
    where = "Its settings are the entry `fast` of ANSWERERS, its key LLM_KEY; restart after a change."
    assert lines_of(logs) == [("error", ANSWERER.refused)]
    assert (logs[0]["answerer"], logs[0]["reason"]) == ("fast", reason)
    assert logs[0]["remedy"] == f"{remedy} {where}"
    assert remedy not in logs[0]["said"]
    assert (status.state, status.reason, status.remedy) == ("refused", reason, f"{remedy} {where}")
    assert "sk-" not in str((logs, status))
    assert list(upstreams.refused()) == [f"answerer fast: {reason}"]


async def test_a_server_that_answers_again_is_said_to_and_stands_in_no_readiness() -> None:
    async with asked() as (double, upstreams, made):
        double.inject(LLMFault(kind=LLMFaultKind.REFUSE, status=403, times=3))
        with capture_logs() as logs:
            await ask(made, times=5)

    assert lines_of(logs) == [("error", ANSWERER.refused), ("info", ANSWERER.recovered)]
    assert upstreams.answerers["fast"].status.state == "accepted"
    assert upstreams.answerers["fast"].status.remedy == ""
    assert list(upstreams.refused()) == []


async def test_the_warm_up_says_what_the_first_call_would_meet() -> None:
    async with asked(key="sk-wrong") as (_, upstreams, made):
        with capture_logs() as logs, suppress(UpstreamError):
            await made.servers["fast"].warm_up()  # type: ignore[attr-defined]

    assert lines_of(logs) == [("error", ANSWERER.refused)]
    assert upstreams.answerers["fast"].status.reason == "unauthorized"


async def speak(voice: Voice, times: int) -> None:
    for _ in range(times):
        with suppress(UpstreamError):
            await spoken(voice, "שלום")


async def test_a_refusal_of_a_voice_is_one_line_and_names_the_settings_of_its_entry() -> None:
    upstreams = Upstreams()
    parts = VoiceParts(
        language="he-IL", google=Sessions(endpoint="127.0.0.1:9", insecure=True), environ={}, watch=upstreams.voice
    )
    async with line() as openai, google_line() as google:
        openai.double.inject(VoiceFault(kind=VoiceFaultKind.REFUSE, status=401))
        google.double.inject(GoogleVoiceFault(kind=GoogleVoiceFaultKind.REFUSE, code="PERMISSION_DENIED"))
        specs = {"default": VoiceSpec(kind="openai", url=openai.url, model="tts-1"), "warm": VoiceSpec(kind="google")}
        made = VoicesByName(specs, {"default": KEY}, replace(parts, google=google.sessions))
        with capture_logs() as logs:
            await speak(made.whole["default"], 3)
            await speak(made.whole["warm"], 3)
        await made.aclose()

    assert [(each["voice"], each["reason"]) for each in logs] == [("default", "unauthorized"), ("warm", "unauthorized")]
    assert logs[0]["said"] == "the voice answered HTTP 401"
    assert logs[0]["remedy"].startswith("The server refuses the API key: set a valid one")
    assert "VOICE_API_KEY" in logs[0]["remedy"]
    assert "enable Text-to-Speech in the project" in logs[1]["remedy"]
    assert logs[1]["remedy"].endswith(
        " A key file that was missing is read at the next reply; restart after any other change."
    )
    assert [each.status.state for each in upstreams.voices.values()] == ["refused", "refused"]


async def test_credentials_that_twilio_refuses_are_one_line_for_all_calls() -> None:
    upstreams = Upstreams()
    async with TwilioDouble() as double:
        account = double.settings.account_sid
        updates = HttpUpdates(await double.start(), lambda _: ((account, "a-wrong-token"),))
        control = CallControl(updates.send, updates.who, on_outcome=upstreams.twilio_calls)
        with capture_logs() as logs:
            for number in range(3):
                with suppress(UpstreamError):
                    await control.complete(TwilioCall(account, f"CA{number:032x}"), within_s=0.1)
        await updates.aclose()

    assert lines_of(logs) == [("error", CALLS.refused)]
    assert "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN" in logs[0]["remedy"]
    assert "a-wrong-token" not in str(logs)
    assert (upstreams.twilio.state, upstreams.twilio.reason) == ("refused", "credentials")


def refusal(reason: str = "unauthorized", *, retryable: bool = False) -> UpstreamError:
    return UpstreamError("It answered HTTP 401. Do it.", reason=reason, retryable=retryable, remedy="Do it.")


@pytest.mark.virtual_time
async def test_a_server_that_answers_now_and_then_does_not_fill_the_log() -> None:
    upstream = Upstream(ANSWERER, "fast", "There.")
    with capture_logs() as logs:
        for _ in range(100):
            upstream(refusal())
            upstream(None)
            await asyncio.sleep(0.5)
        in_a_minute = lines_of(logs)
        await asyncio.sleep(60)
        upstream(refusal())

    assert in_a_minute == [("error", ANSWERER.refused), ("info", ANSWERER.recovered)]
    assert lines_of(logs)[2:] == [("error", ANSWERER.refused)]


@pytest.mark.virtual_time
async def test_a_refusal_that_lasts_an_hour_is_one_line() -> None:
    upstream = Upstream(ANSWERER, "fast", "There.")
    with capture_logs() as logs:
        for _ in range(40):
            upstream(refusal())
            await asyncio.sleep(90)

    assert lines_of(logs) == [("error", ANSWERER.refused)]


@pytest.mark.virtual_time
async def test_what_may_pass_is_a_line_only_if_it_does_not() -> None:
    upstream = Upstream(ANSWERER, "fast", "There.")
    with capture_logs() as logs:
        upstream(None)
        for error in (refusal("unavailable", retryable=True), refusal("content_filter"), None) * 3:
            upstream(error)
        passing = list(logs)
        for _ in range(5):
            upstream(refusal("unavailable", retryable=True))

    assert passing == []
    assert lines_of(logs) == [("warning", ANSWERER.unanswered)]
    assert logs[0]["remedy"] == "Do it."
    assert upstream.status == UpstreamStatus(
        state="no_answer",
        since=upstream.status.since,
        reason="unavailable",
        said="It answered HTTP 401.",
        remedy="Do it.",
    )


@pytest.mark.virtual_time
@pytest.mark.parametrize(("reason", "retryable"), [("unauthorized", False), ("timeout", True)])
async def test_an_outage_soon_after_another_one_has_a_line_if_it_lasts(reason: str, *, retryable: bool) -> None:
    """The last line would say that the server answers again, however long it did not."""
    upstream = Upstream(ANSWERER, "fast")
    with capture_logs() as logs:
        upstream(None)
        for _ in range(2):
            for _ in range(3):
                upstream(UpstreamError("the server failed", reason=reason, retryable=retryable))
            upstream(None)
        for _ in range(60):
            upstream(UpstreamError("the server failed", reason=reason, retryable=retryable))
            await asyncio.sleep(2)

    failed = lines_of(logs)[0]
    assert lines_of(logs) == [failed, ("info", ANSWERER.recovered), failed]
    assert logs[-1]["reason"] == reason


@pytest.mark.virtual_time
async def test_a_server_that_refuses_and_then_answers_nothing_has_a_line_for_each() -> None:
    upstream = Upstream(ANSWERER, "fast")
    with capture_logs() as logs:
        upstream(None)
        upstream(UpstreamError("no", reason="unauthorized", retryable=False))
        for _ in range(9):
            upstream(UpstreamError("nothing", reason="timeout", retryable=True))

    assert lines_of(logs) == [("error", ANSWERER.refused), ("warning", ANSWERER.unanswered)]


@pytest.mark.virtual_time
async def test_a_server_that_was_never_reached_is_a_line_at_once() -> None:
    """The warm-up at the start meets a misspelt URL, and the first caller need not."""
    upstream = Upstream(ANSWERER, "fast", "There.")
    with capture_logs() as logs:
        upstream(refusal("unavailable", retryable=True))
        upstream(refusal("unavailable", retryable=True))

    assert lines_of(logs) == [("warning", ANSWERER.unanswered)]
    assert upstream.status.state == "no_answer"


async def test_a_call_with_a_wrong_model_says_so_once_and_status_and_readiness_do_too(tmp_path: Path) -> None:
    async with AsyncExitStack() as opened, LLMDouble(AT_ONCE) as double:
        of: dict[str, Any] = {
            "agent_replies": True, "answerer": "openai", "answerer_url": await double.start(),
            "answerer_model": "gpt-5.5-turbo", "answerer_api_key": KEY,
        }  # fmt: skip
        logs = opened.enter_context(capture_logs())
        up = await opened.enter_async_context(stack(tmp_path, **of))

        async def talk(caller: Caller) -> None:
            sid = caller.plan.call_sid
            await caller.say(say(["שלום", "תודה"]).mulaw)
            await up.heard.until(lambda: len(up.heard.of(sid, ReplyEnded)) == 1)
            await caller.say(say(["שלום", "תודה"]).mulaw)
            await up.heard.until(lambda: len(up.heard.of(sid, ReplyEnded)) == 2)

        report = await up.call(script=talk)
        async with httpx.AsyncClient(base_url=up.internal, trust_env=False) as http:
            status = (await http.get("/v1/status")).json()
            ready = await http.get("/readyz")
        page = io.StringIO()
        spoken_to = CallOptions(up.plan(say(["שלום", "תודה"]).mulaw), 1, Internal(up.internal))
        code = await carry_out(spoken_to, Console(file=page, width=1000))

    assert up.heard.of(report.call_sid, ReplyFailed)
    assert "The answerer `default` refuses the service: The answerer openai (http" in page.getvalue()
    assert "The server has no such model or path; check the model and the URL. Its settings are" in page.getvalue()
    assert code == 0
    refused = [each for each in logs if each["event"] == ANSWERER.refused]
    assert [(each["answerer"], each["reason"]) for each in refused] == [("default", "not_found")]
    assert "Its settings are ANSWERER_URL, ANSWERER_MODEL and ANSWERER_API_KEY" in refused[0]["remedy"]
    assert status["agent"]["answerers"]["default"] | {"since": ""} == {
        "state": "refused", "since": "", "reason": "not_found",
        "said": refused[0]["said"], "remedy": refused[0]["remedy"],
    }  # fmt: skip
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "degraded": "answerer default: not_found"})
