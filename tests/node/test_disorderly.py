"""What nobody asked for: a pod's program is killed, runs out of memory, or cannot make its tables."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.node.agent import HELLO, NAME, TALK, Agent, kill, process_of, restarts, secret
from support.node.shell import apply
from support.node.truth import polled
from support.postgres.sql import sql
from support.service.stack import words_of
from support.time.waiting import eventually

MEMORY = Path("/sys/fs/cgroup/memory")


def out_of_memory(pod: Any) -> None:
    """Leave the container no memory beyond what it has: the kernel ends it at its next need, as at its own limit."""
    process = Path("/proc") / str(process_of(pod))
    lines = (process / "cgroup").read_text().splitlines()
    groups = {controllers: path.lstrip("/") for _, controllers, path in (line.split(":", 2) for line in lines)}
    if MEMORY.exists():
        group, limit, used = MEMORY / groups["memory"], "memory.limit_in_bytes", "memory.usage_in_bytes"
    else:
        group, limit, used = Path("/sys/fs/cgroup") / groups[""], "memory.max", "memory.current"
    deadline = time.monotonic() + 60
    while process.exists():
        with suppress(OSError):  # busy: it has nothing that could be taken away; or gone
            (group / limit).write_text((group / used).read_text())
        assert time.monotonic() < deadline, "it lives on without any memory left"
        time.sleep(0.02)


@pytest.mark.parametrize(("end", "reason"), [(kill, "Error"), (out_of_memory, "OOMKilled")])
async def test_what_was_heard_survives_the_end_of_a_container(
    agent: Agent, end: Callable[[Any], None], reason: str
) -> None:
    """The database is away meanwhile, so that only the journal in the pod's emptyDir has the words."""
    await agent.patch(scaling={"replicas": 1})
    await agent.settled()
    before = restarts((await agent.pods())[0])  # it may be the pod of the test before
    async with polled(agent) as truth:
        calls = await agent.call(2)
        await asyncio.to_thread(agent.database.stop)
        await calls.spoken(17)  # two utterances are over

        await asyncio.to_thread(end, (await agent.pods())[0])
        await calls.over()
        assert len(calls.cut()) >= 2, "what the orderly ends are held to, this is not"

        async def came_back() -> bool:
            (pod,) = await agent.pods()
            return restarts(pod) > before

        await eventually(came_back, 120)
        await asyncio.to_thread(agent.database.start)
        await agent.settled()
        (pod,) = await agent.pods()
        last = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
        assert last["reason"] == reason

        heard = words_of(TALK)
        for report in calls.reports:

            async def there(sid: str = report.call_sid) -> bool:
                return len(await agent.texts(sid)) >= 2

            await eventually(there, 60)
            texts = await agent.texts(report.call_sid)
            assert texts == heard[: len(texts)]
    assert truth.lies == []
    assert "True" in {status for kind, status, _ in truth.seen if kind == "Ready"}
    assert "False" in {status for kind, status, _ in truth.seen if kind == "Ready"}, "the status said so"


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
