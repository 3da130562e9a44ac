"""Pods that end in a call, as processes: the next one goes on, with what the old one says or what the store has."""

from __future__ import annotations

import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from batkol.events.events import CallStarted, ReplyEnded, ReplyStarted
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.twilio.caller import Caller, CallPlan, place_call
from support.agent.fragments import same
from support.agent.moved import FIRST, GREETING, RULES, SECOND, spoken
from support.network.balancer import balancing
from support.network.ports import free_ports
from support.postgres.server import database, running_server
from support.postgres.sql import sql
from support.service.process import Served, serving
from support.service.stack import PUBLIC, TOKEN, plain
from support.time.waiting import eventually


@pytest.mark.nightly
async def test_a_pod_that_is_told_to_end_stays_for_the_pod_that_has_its_call(tmp_path: Path) -> None:
    double, ports = SpeechDouble(), free_ports(2)
    async with double, LLMDouble(LLMSettings(profile="fixed:50", tokens_per_s=0)) as llm, balancing(0) as balancer:
        llm.script(*RULES)
        shared: dict[str, Any] = {
            "AGENT_REPLIES": "true", "ANSWERER": "openai", "ANSWERER_URL": await llm.start(),
            "ANSWERER_MODEL": "double", "GREETING": GREETING, "DRAIN_TIMEOUT_S": "0",
            "FLEET_PEERS": ",".join(f"127.0.0.1:{port}" for port in ports),
        }  # fmt: skip
        google, pods = await double.start(), list[AbstractAsyncContextManager[Served]]()
        for name, port in zip(("old", "new"), ports, strict=True):
            (tmp_path / name).mkdir()
            pods.append(serving(tmp_path / name, google, **{**shared, "POD_NAME": name, "INTERNAL_PORT": str(port)}))
        async with pods[0] as old, pods[1] as new:
            balancer.pod = old.port

            async def talk(caller: Caller) -> None:
                await old.until(ReplyEnded)
                await caller.say(spoken(FIRST))
                await old.until(ReplyEnded, 2)
                balancer.pod = new.port
                old.tell(signal.SIGTERM)
                await new.until(CallStarted)
                await caller.say(spoken(SECOND))
                await new.until(ReplyEnded)

            report = await place_call(CallPlan(base_url=balancer.url, public_url=PUBLIC, auth_token=TOKEN), talk)

            assert same([word.text for word in report.ear.words()], [GREETING, "מחר", "בוקר", "טלפון", "חשבון"])
            assert await old.exited() == 0
            assert len(old.said("[AGENT] conversation handed over")) == 1
            assert old.said("[DRAIN] pod stays for the pods")
            assert old.faults == new.faults == []


@pytest.mark.nightly
async def test_a_call_whose_pod_is_killed_goes_on_with_what_the_store_has(tmp_path: Path, postgres_data: Path) -> None:
    double, ports = SpeechDouble(), free_ports(2)
    with running_server(postgres_data) as server:
        async with (
            database(server) as where,
            double,
            LLMDouble(LLMSettings(profile="fixed:50", tokens_per_s=0)) as llm,
            balancing(0) as balancer,
        ):
            llm.script(*RULES)
            shared: dict[str, Any] = {
                "AGENT_REPLIES": "true", "ANSWERER": "openai", "ANSWERER_URL": await llm.start(),
                "ANSWERER_MODEL": "double", "GREETING": GREETING, "STORE": "postgres", "DATABASE_URL": where.dsn,
                "FLEET_PEERS": ",".join(f"127.0.0.1:{port}" for port in ports),
            }  # fmt: skip
            google, pods = await double.start(), list[AbstractAsyncContextManager[Served]]()
            for name, port in zip(("old", "new"), ports, strict=True):
                (tmp_path / name / "memory").mkdir(parents=True)
                own: dict[str, Any] = {
                    "JOURNAL_DIR": str(tmp_path / name / "journal"), "POD_NAME": name, "INTERNAL_PORT": str(port),
                    "JOURNAL_MEMORY_DIR": str(tmp_path / name / "memory"),
                }  # fmt: skip
                pods.append(serving(tmp_path / name, google, **{**shared, **own}))
            async with pods[0] as old, pods[1] as new:
                balancer.pod = old.port

                async def is_stored() -> bool:
                    return len(await sql(where, "SELECT * FROM replies WHERE ended_at IS NOT NULL")) == 2

                async def talk(caller: Caller) -> None:
                    await old.until(ReplyEnded)
                    await caller.say(spoken(FIRST))
                    await old.until(ReplyEnded, 2)
                    await eventually(is_stored)
                    balancer.pod = new.port
                    old.tell(signal.SIGKILL)
                    await new.until(CallStarted)
                    await caller.say(spoken(SECOND))
                    await new.until(ReplyEnded)

                plan = CallPlan(base_url=balancer.url, public_url=PUBLIC, auth_token=TOKEN)
                report = await place_call(plan, talk)

                assert same([word.text for word in report.ear.words()], [GREETING, "מחר", "בוקר", "טלפון", "חשבון"])
                assert [(message.role, plain(message.content)) for message in llm.records[-1].messages] == [
                    ("assistant", GREETING),
                    ("user", " ".join(FIRST)),
                    ("assistant", "מחר בוקר"),
                    ("user", " ".join(SECOND)),
                ]
                assert [event.turn for event in new.events if isinstance(event, ReplyStarted)] == [3]
                assert [event.stream for event in new.events if isinstance(event, CallStarted)] == [2]
