"""The double's control over HTTP, and the double as a command."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from batkol.errors import ConfigurationError
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm_double_cli import faults_from, rules_from, settings_from
from support.process.commands import command

ASKED = {"model": "m", "messages": [{"role": "user", "content": "תור"}]}


@asynccontextmanager
async def controlled() -> AsyncIterator[tuple[LLMDouble, httpx.AsyncClient]]:
    async with LLMDouble(LLMSettings(profile="fixed:0", tokens_per_s=0, api_key="k")) as double:
        base = (await double.start()).removesuffix("/v1")
        async with httpx.AsyncClient(base_url=base, verify=False, trust_env=False) as http:
            yield double, http


async def test_faults_are_injected_listed_and_cleared() -> None:
    async with controlled() as (double, http):
        await http.post("/control/faults", json={"kind": "stall", "after_tokens": 2})
        answer = await http.post("/control/faults", json=[{"kind": "refuse", "status": 429}])

        assert [fault["kind"] for fault in answer.json()] == ["stall", "refuse"]
        assert (await http.get("/control/faults")).json() == answer.json()
        assert double.faults()[1] == LLMFault(kind=LLMFaultKind.REFUSE, status=429)
        assert (await http.delete("/control/faults")).json() == []
        assert double.faults() == []


async def test_answers_are_scripted_and_requests_are_told() -> None:
    async with controlled() as (double, http):
        rules = [{"contains": "תור", "answer": "מחר."}, {"contains": "x", "tool": {"name": "f"}}]
        assert (await http.post("/control/rules", json=rules)).status_code == 200
        answer = await http.post("/v1/chat/completions", json=ASKED, headers={"Authorization": "Bearer k"})

        assert answer.json()["choices"][0]["message"]["content"] == "מחר."
        assert [rule["contains"] for rule in (await http.get("/control/rules")).json()] == ["תור", "x"]
        stats = (await http.get("/control/stats")).json()
        assert (stats["requests"], stats["outcomes"]["finished"]) == (1, 1)
        (record,) = stats["records"]
        assert (record["text"], record["messages"]) == ("מחר.", [{"role": "user", "content": "תור"}])
        assert record["received_at"] <= record["first_token_at"] <= record["ended_at"]
        assert (await http.post("/control/reset")).json() == []
        assert (await http.get("/control/stats")).json()["requests"] == 0
        assert (double.rules(), double.records) == ((), [])
        assert (await http.get("/control/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [("faults", b""), ("faults", b'{"kind": "explode"}'), ("faults", b'{"kind": "refuse", "status": 418}'),
     ("faults", b'{"kind": "stall", "when": "open"}'), ("rules", b"{}"), ("rules", b'[{"answer": "a"}]'),
     ("rules", b"\xff")],
)  # fmt: skip
async def test_what_is_no_fault_and_no_rule_is_explained(path: str, body: bytes) -> None:
    async with controlled() as (double, http):
        answer = await http.post(f"/control/{path}", content=body)

        assert answer.status_code == 400
        assert "Send" in answer.json()["error"]
        assert (double.faults(), double.rules()) == ([], ())
        assert (await http.get("/control/none")).status_code == 404


def test_options_of_the_command_are_read() -> None:
    read = settings_from("gpt-4o", ["tokens-per-s=30", "models=a, b", "ragged=true"])

    assert read == LLMSettings(profile="gpt-4o", tokens_per_s=30, models=("a", "b"), ragged=True)
    assert rules_from(["תור=מחר=בעשר"]) == (Rule("תור", "מחר=בעשר"),)
    assert faults_from(['{"kind": "cut"}']) == (LLMFault(kind=LLMFaultKind.CUT),)


@pytest.mark.parametrize(
    "given",
    [lambda: settings_from("gpt-1", []), lambda: settings_from("", ["pace=1"]),
     lambda: settings_from("", ["tokens_per_s=-1"]), lambda: settings_from("", ["tokens_per_s=quick"]),
     lambda: rules_from(["תור"]), lambda: faults_from(["{"]), lambda: faults_from(['{"kind": "no"}'])],
)  # fmt: skip
def test_options_that_cannot_be_used_are_refused(given: object) -> None:
    assert callable(given)
    with pytest.raises(ConfigurationError):
        given()


async def test_the_command_serves_until_it_is_told_to_stop() -> None:
    arguments = ("llm-double", "--port", "0", "--profile", "fixed:0", "--answer", "תור=מחר.")
    async with command(*arguments) as double, asyncio.timeout(60):
        line = await double.line()
        found = re.match(r"llm double: (http://127\.0\.0\.1:\d+/v1), control on http://127\.0\.0\.1:\d+/control$", line)
        assert found, line
        async with httpx.AsyncClient(verify=False, trust_env=False) as http:
            answer = await http.post(f"{found[1]}/chat/completions", json=ASKED)
        double.process.send_signal(signal.SIGTERM)
        assert await double.process.wait() == 0

    assert answer.json()["choices"][0]["message"]["content"] == "מחר."
