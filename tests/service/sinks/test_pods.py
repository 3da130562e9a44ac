"""Several pods write and drain at once; locks and connections are lost, and processes are killed."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from batkol.backoff import Backoff
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused
from batkol.sinks.statistics import SinkState
from batkol.store.postgres.address import Address
from support.postgres.records import who
from support.postgres.sql import sql
from support.sinks.pods import CRM, LIMITS, draining, ids_of, said, write
from support.sinks.receiver import ScriptedSink
from support.time.waiting import eventually, until

TESTS = Path(__file__).parents[2]
SEEDS = [1, 2, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(3, 60))]
HELD_LOCKS = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)
"""Those of sinks; writers share theirs."""
CUT = f"SELECT pg_terminate_backend(pid) FROM ({HELD_LOCKS}) AS held"


async def test_one_pod_delivers_and_another_takes_over_when_it_ends(where: Address) -> None:
    receiver = ScriptedSink()
    doors = [receiver.door(), receiver.door()]
    async with draining(where, doors[1], pod="pod-2") as second:
        async with draining(where, doors[0], pod="pod-1") as first:
            await until(lambda: SinkState.DELIVERING in {each.statistics[0].state for each in (first, second)})
            await write(where, [said(0)])
            await until(lambda: len(receiver.ids) == 1)
            both = [SinkState.DELIVERING, SinkState.STANDBY]
            await until(lambda: sorted(each.statistics[0].state for each in (first, second)) == both)
        await until(lambda: second.statistics[0].state == SinkState.DELIVERING)
        await write(where, [said(1)])
        await until(lambda: len(receiver.ids) == 2)
    assert receiver.ids == ids_of(0, [0, 1])
    await eventually(lambda: no_lock(where))


async def no_lock(where: Address) -> bool:
    return await sql(where, HELD_LOCKS) == []


async def test_a_pod_that_lost_its_lock_while_it_delivered_notes_nothing(where: Address) -> None:
    """The second pod delivers the same events, and more, and notes that; the first one gives up what is on its way."""
    receiver = ScriptedSink()
    slow, quick = receiver.door(), receiver.door()
    await write(where, [said(0), said(1)])
    slow.open.clear()
    late = replace(LIMITS, reconnect=Backoff(first_s=3, longest_s=3))  # else it may have the lock again at once
    async with draining(where, slow, pod="pod-1", limits=late) as first:
        await until(lambda: slow.given)
        async with draining(where, quick, pod="pod-2") as second:
            await until(lambda: second.statistics[0].state == SinkState.STANDBY)
            await sql(where, CUT)
            await until(lambda: len(receiver.got) == 2)
            await write(where, [said(2)])
            await until(lambda: second.statistics[0].delivered == 3)
            (noted,) = await sql(where, "SELECT transaction, position, pod FROM sinks")
            await until(lambda: first.statistics[0].state == SinkState.STANDBY)
            slow.open.set()
            assert second.statistics[0].state == SinkState.DELIVERING
            assert await sql(where, "SELECT transaction, position, pod FROM sinks") == [noted]
    assert receiver.streams == {who(0).stream_sid: [5, 15, 25]}
    assert slow.given == ids_of(0, [0]), "the others of the stream waited for it"
    assert len(receiver.got) == 3


async def test_a_connection_that_is_lost_is_made_anew(where: Address) -> None:
    receiver = ScriptedSink()
    async with draining(where, receiver.door()) as pod:
        for index in range(3):
            await until(lambda: pod.statistics[0].state == SinkState.DELIVERING)
            before = await sql(where, HELD_LOCKS)
            await write(where, [said(index)])
            await until(lambda: len(receiver.ids) == index + 1)  # noqa: B023  it is awaited here
            await sql(where, CUT)
            await eventually(partial(other_lock, where, before))
    assert len(before) == 1
    assert receiver.ids == ids_of(0, [0, 1, 2])


async def other_lock(where: Address, before: object) -> bool:
    """Whether the lock is held again, over another connection."""
    return await sql(where, HELD_LOCKS) not in ([], before)


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_event_arrives_in_the_order_of_its_stream_whatever_happens(where: Address, seed: int) -> None:
    """Three pods write and drain; answers are random, locks are lost, transactions of several pods overlap."""
    chance = random.Random(seed)
    refused: set[str] = set()

    def answer(event: Envelope) -> DeliveryOutcome:
        if event.id in refused:  # for good: a pod that lost its lock had that answer, and noted nothing
            return Refused("410")
        match chance.random():
            case luck if luck < 0.15:
                return Later("busy", chance.choice((None, 0.0, 0.02)))
            case luck if luck < 0.2:
                refused.add(event.id)
                return Refused("410")
        return Delivered()

    receiver = ScriptedSink(script=answer)
    finals, calls = 12, 6
    async with AsyncExitStack() as stack:
        for pod in range(3):
            await stack.enter_async_context(draining(where, receiver.door(), pod=f"pod-{pod}"))
        writing = [asyncio.create_task(speak(where, call, finals, random.Random(seed * call))) for call in range(calls)]
        for _ in range(3):
            await asyncio.sleep(chance.uniform(0, 0.1))
            await sql(where, CUT)
        await asyncio.gather(*writing)
        every = {id_ for call in range(calls) for id_ in ids_of(call, range(finals))}
        await until(lambda: set(receiver.ids) | refused == every)
        await eventually(lambda: settled(where))
    letters = await sql(
        where, "SELECT stream_sid || '-' || seq AS id FROM sink_letters JOIN outbox USING (agent, position)"
    )
    assert every - set(receiver.ids) <= {row["id"] for row in letters} <= refused
    assert all(seqs == sorted(seqs) for seqs in receiver.streams.values()), receiver.streams


async def speak(where: Address, call: int, finals: int, chance: random.Random) -> None:
    """A pod's writer: one transaction after another, each of some finals of its call."""
    done = 0
    while done < finals:
        batch = min(chance.randint(1, 4), finals - done)
        await write(where, [said(done + index, call) for index in range(batch)], CRM)
        done += batch
        await asyncio.sleep(chance.uniform(0, 0.02))


async def settled(where: Address) -> bool:
    """Whether the sink is through, and has noted it."""
    (row,) = await sql(
        where,
        "SELECT (SELECT count(*) FROM sink_streams) + (SELECT count(*) FROM outbox, sinks WHERE "
        "(outbox.transaction, outbox.position) > (sinks.transaction, sinks.position)) AS left",
    )
    return bool(row["left"] == 0)


# -- processes --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def a_process(where: Address, folder: Path, pod: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.sinks.drainer_process", where.dsn, str(folder), pod,
        cwd=TESTS, env={**os.environ, "PYTHONPATH": str(TESTS)},
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def got(folder: Path) -> list[list[str]]:
    """What the receiver has: ids and the pods that they came from, in order."""
    file = folder / "got"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


async def test_a_pod_that_is_killed_while_it_delivers_loses_nothing(where: Address, tmp_path: Path) -> None:
    await write(where, [said(index, call) for index in range(20) for call in range(3)])
    every = {id_ for call in range(3) for id_ in ids_of(call, range(20))}
    (tmp_path / "hang").write_text("6")
    async with a_process(where, tmp_path, "pod-1") as first:
        await until(lambda: len(got(tmp_path)) == 6)
        first.kill()
        await first.wait()
    before = {id_ for id_, _ in got(tmp_path)}
    assert before < every

    receiver = ScriptedSink()
    async with draining(where, receiver.door(), pod="pod-2"):
        await until(lambda: before | set(receiver.ids) == every)
    assert all(seqs == sorted(seqs) for seqs in receiver.streams.values())
    assert {row["pod"] for row in await sql(where, "SELECT pod FROM sinks")} == {"pod-2"}
