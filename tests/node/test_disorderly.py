"""What nobody asked for: a pod's program is killed, runs out of memory, or cannot make its tables."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batkol.simulators.twilio.caller import Caller
from support.node.agent import GREETING, HELLO, NAME, TALK, Agent, kill, process_of, restarts, secret
from support.node.shell import apply
from support.node.truth import polled
from support.postgres.sql import sql
from support.service.stack import words_of
from support.time.waiting import eventually

MEMORY = Path("/sys/fs/cgroup/memory")
LEFT = 16 * 2**20
"""Bytes that a container gets on top of what it has."""
TAKE = """
import pathlib, sys
pathlib.Path(sys.argv[1]).write_text("0")  # from here on this process is one of the container's
taken = []
while True:
    taken.append(b"x" * 2**20)  # its pages are touched
"""


def out_of_memory(pod: Any) -> None:
    """Take all the memory of its container: the kernel ends the program at once, as at a limit of its own."""
    process = Path("/proc") / str(process_of(pod))
    lines = (process / "cgroup").read_text().splitlines()
    groups = {controllers: path.lstrip("/") for _, controllers, path in (line.split(":", 2) for line in lines)}
    if MEMORY.exists():
        group, limit, used = MEMORY / groups["memory"], "memory.limit_in_bytes", "memory.usage_in_bytes"
    else:
        group, limit, used = Path("/sys/fs/cgroup") / groups[""], "memory.max", "memory.current"
    (process / "oom_score_adj").write_text("1000")  # the kernel chooses it, and not the one that takes the memory
    (group / limit).write_text(str(int((group / used).read_text()) + LEFT))
    with subprocess.Popen([sys.executable, "-c", TAKE, str(group / "cgroup.procs")]) as taking:
        deadline = time.monotonic() + 60
        try:
            while process.exists():
                assert time.monotonic() < deadline, "it lives on without any memory left"
                time.sleep(0.02)
        finally:
            taking.kill()  # if the kernel has not: nothing may be left in the group of a container that is gone


async def talk(caller: Caller) -> None:
    """Talk for as long as the call lasts: it is no caller who ends it."""
    while True:
        await caller.say(TALK.mulaw)


async def ended_for(agent: Agent, restarted: int) -> str:
    """Wait until the container was started once more; return the reason that its status has for its last end."""

    async def came_back() -> bool:
        (pod,) = await agent.pods()
        return restarts(pod) > restarted

    await eventually(came_back, 120)
    (pod,) = await agent.pods()
    return str(pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"])


@pytest.mark.parametrize(("end", "reason"), [(kill, "Error"), (out_of_memory, "OOMKilled")])
async def test_what_was_heard_survives_the_end_of_a_container(
    agent: Agent, end: Callable[[Any], None], reason: str
) -> None:
    """The database is away meanwhile, so that only the journal in the pod's emptyDir has the words."""
    await agent.patch(scaling={"replicas": 1})
    await agent.settled()
    before = restarts((await agent.pods())[0])  # it may be the pod of the test before
    async with polled(agent) as truth:
        calls = await agent.call(2, script=talk)
        await asyncio.to_thread(agent.database.stop)
        await asyncio.gather(*(answered(caller, times=2) for caller in calls.callers))
        assert sum(not task.done() for task in calls.tasks) == 2, "the calls are on"

        await asyncio.to_thread(end, (await agent.pods())[0])
        await calls.over()
        assert len(calls.cut()) >= 2, "what the orderly ends are held to, this is not"
        assert await ended_for(agent, before) == reason
        await asyncio.to_thread(agent.database.start)
        await agent.settled()

        for report in calls.reports:

            async def there(sid: str = report.call_sid) -> bool:
                return len(await agent.texts(sid)) >= 2

            await eventually(there, 60)
            texts = await agent.texts(report.call_sid)
            assert texts == (words_of(TALK) * len(texts))[: len(texts)]
    assert truth.lies == []
    assert "True" in {status for kind, status, _ in truth.seen if kind == "Ready"}
    assert "False" in {status for kind, status, _ in truth.seen if kind == "Ready"}, "the status said so"


async def answered(caller: Caller, times: int) -> None:
    """Wait until so many utterances are final: the agent has repeated their words to the caller."""
    wanted = len(" ".join(words_of(TALK)[:times]).split())
    report = caller.report

    async def heard() -> bool:
        if len(report.replies_at) <= times:  # the first one is the greeting
            return False
        return sum(word != GREETING for word in report.ear.texts()) >= wanted

    await eventually(heard, 120)


async def test_a_migration_that_fails_is_said_and_costs_no_call(agent: Agent) -> None:
    where = agent.database.where
    await sql(where, "CREATE ROLE weak LOGIN")
    await sql(where, "CREATE DATABASE closed")
    async with polled(agent) as truth:
        calls = await agent.call()
        await apply(secret("postgres", url=agent.database.url_of("weak", "closed")))
        await agent.kubectl("rollout", "restart", f"deployment/{NAME}")
        await agent.until("Stalled", seconds=180)
        stalled = await agent.condition("Stalled")
        assert stalled["reason"] == "PodCannotStart"
        assert "migrate" in stalled["message"]

        await calls.over()
        assert calls.cut() == []
        assert calls.greetings() == [1, 1, 1]
        assert await calls.kept() == [words_of(TALK)] * 3
        during = await agent.call(1, HELLO)
        await during.over()
        assert during.cut() == [], "the old pods take calls"

        await apply(secret("postgres", url=agent.database.url))
        await agent.kubectl("rollout", "restart", f"deployment/{NAME}")
        await agent.settled()
    assert truth.lies == []
