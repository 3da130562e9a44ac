"""The fleet's feed in memory and in virtual time: what a reader gets, whatever becomes of pods and connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.events.ring import RingLimits
from batkol.fleet.endpoint import Endpoint
from support.fleet.memory import MemoryPod, MemoryPods
from support.fleet.reader import Reader
from support.properties import few_by_day
from support.time.virtual import in_virtual_time
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time
ADDRESSES = [Endpoint(f"10.0.0.{number}", 8081) for number in range(1, 4)]


@asynccontextmanager
async def fleet(count: int = 2, limits: RingLimits | None = None) -> AsyncIterator[tuple[MemoryPods, list[MemoryPod]]]:
    network = MemoryPods()
    more = {} if limits is None else {"limits": limits}
    yield network, [network.start(f"pod-{n}", at, **more) for n, at in enumerate(ADDRESSES[:count])]
    for pod in network.at.values():
        await pod.fleet.aclose()


@asynccontextmanager
async def reading(reader: Reader, pod: MemoryPod) -> AsyncIterator[Reader]:
    task = asyncio.create_task(reader.read(pod.fleet))
    await reader.joined.wait()
    yield reader
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_reader_of_one_pod_gets_the_events_of_all() -> None:
    async with fleet(3) as (_, pods), reading(Reader(), pods[0]) as reader:
        for pod in pods:
            pod.speak()
        await until(lambda: all(reader.has(pod.boot, 1) for pod in pods))

        assert reader.reachable() == {"pod-0": True, "pod-1": True, "pod-2": True}
        assert reader.gaps == []


async def test_nothing_that_was_before_comes() -> None:
    async with fleet() as (_, pods):
        pods[1].speak()
        async with reading(Reader(), pods[0]) as reader:
            pods[1].speak()
            await until(lambda: reader.has(pods[1].boot, 2))

            assert reader.got == {pods[1].boot: [2]}


async def test_a_reader_comes_back_to_another_pod_and_gets_what_it_missed() -> None:
    async with fleet() as (_, pods):
        reader = Reader()
        async with reading(reader, pods[0]):
            pods[1].speak()
            await until(lambda: reader.has(pods[1].boot, 1))
        for pod in pods:
            pod.speak()
        async with reading(reader, pods[1]):
            await until(lambda: reader.has(pods[0].boot, 1) and reader.has(pods[1].boot, 2))

        assert reader.got == {pods[0].boot: [1], pods[1].boot: [1, 2]}
        assert reader.gaps == []


async def test_a_pod_is_followed_once_however_many_read_and_not_at_all_when_nobody_does() -> None:
    async with fleet() as (_, pods):
        assert [pod.followers for pod in pods] == [0, 0]
        async with reading(Reader(), pods[0]), reading(Reader(), pods[0]), reading(Reader(), pods[0]):
            assert [pod.followers for pod in pods] == [1, 1]
        await until(lambda: [pod.followers for pod in pods] == [0, 0])


async def test_a_reader_with_an_old_cursor_catches_up_by_itself_while_others_read_on() -> None:
    async with fleet() as (_, pods):
        late, early = Reader(), Reader()
        async with reading(late, pods[0]):
            pods[1].speak()
            await until(lambda: late.has(pods[1].boot, 1))
        async with reading(early, pods[0]):
            for _ in range(3):
                pods[1].speak()
            await until(lambda: early.has(pods[1].boot, 4))
            async with reading(late, pods[0]):
                await until(lambda: late.has(pods[1].boot, 4))
                await until(lambda: pods[1].followers == 1)
                pods[1].speak()
                await until(lambda: late.has(pods[1].boot, 5) and early.has(pods[1].boot, 5))

        assert late.got == {pods[1].boot: [1, 2, 3, 4, 5]}
        assert early.got == {pods[1].boot: [2, 3, 4, 5]}


async def test_a_pod_that_hangs_is_named_and_what_it_has_said_comes_when_it_goes_on() -> None:
    async with fleet() as (_, pods), reading(Reader(), pods[0]) as reader:
        pods[1].hang()
        pods[1].speak()
        await until(lambda: reader.reachable() == {"pod-0": True, "pod-1": False})
        assert reader.peers[1]["why"] == "It did not answer within 1 s."
        pods[0].speak()
        await until(lambda: reader.has(pods[0].boot, 1))
        pods[1].go_on()
        await until(lambda: reader.reachable() == {"pod-0": True, "pod-1": True})
        await until(lambda: reader.has(pods[1].boot, 1))

        assert (reader.got, reader.gaps) == ({pods[0].boot: [1], pods[1].boot: [1]}, [])


async def test_a_reader_waits_for_a_pod_that_hangs_for_a_second_and_no_longer() -> None:
    async with fleet(3) as (_, pods):
        pods[1].hang()
        pods[2].hang()
        began = asyncio.get_running_loop().time()
        async with reading(Reader(), pods[0]) as reader:
            assert asyncio.get_running_loop().time() - began < 1.1
            await until(lambda: reader.reachable() == {"pod-0": True, str(pods[1].at): False, str(pods[2].at): False})


async def test_a_pod_that_joins_is_followed_from_its_first_event() -> None:
    async with fleet(1) as (network, pods), reading(Reader(), pods[0]) as reader:
        joining = network.start("pod-9", ADDRESSES[2])
        joining.speak()
        joining.speak()
        await until(lambda: reader.has(joining.boot, 2))

        assert reader.got == {joining.boot: [1, 2]}
        assert reader.reachable() == {"pod-0": True, "pod-9": True}


async def test_a_pod_that_leaves_in_good_order_leaves_no_gap() -> None:
    async with fleet() as (network, pods), reading(Reader(), pods[0]) as reader:
        pods[1].speak()
        await pods[1].leave()
        await until(lambda: reader.reachable() == {"pod-0": True, "pod-1": False})
        network.addresses.listed.discard(pods[1].at)
        await until(lambda: reader.reachable() == {"pod-0": True})
        await asyncio.sleep(30)

        assert (reader.got, reader.gaps) == ({pods[1].boot: [1]}, [])
        assert pods[1].boot not in reader.source.last_event_id


async def test_a_pod_that_dies_leaves_a_gap_when_it_is_known_to_be_gone() -> None:
    async with fleet() as (network, pods), reading(Reader(), pods[0]) as reader:
        pods[1].speak()
        await until(lambda: reader.has(pods[1].boot, 1))
        await pods[1].die()
        network.addresses.listed.discard(pods[1].at)
        await until(lambda: reader.gaps)

        assert reader.gaps == [f"{pods[1].boot}-1"]
        await asyncio.sleep(30)
        assert len(reader.gaps) == 1


async def test_a_pod_that_restarts_leaves_a_gap_at_once_and_is_followed_from_its_first_event() -> None:
    async with fleet() as (network, pods), reading(Reader(), pods[0]) as reader:
        pods[1].speak()
        await until(lambda: reader.has(pods[1].boot, 1))
        await pods[1].die()
        again = network.start("pod-1", pods[1].at)
        again.speak()
        await until(lambda: reader.has(again.boot, 1))

        assert reader.gaps == [f"{pods[1].boot}-1"]
        assert reader.got == {pods[1].boot: [1], again.boot: [1]}


async def test_a_cursor_of_a_pod_that_is_gone_brings_a_gap_at_another_pod() -> None:
    async with fleet(3) as (network, pods):
        reader = Reader()
        async with reading(reader, pods[0]):
            pods[1].speak()
            await until(lambda: reader.has(pods[1].boot, 1))
        await pods[1].die()
        network.addresses.listed.discard(pods[1].at)
        async with reading(reader, pods[2]):
            await until(lambda: reader.gaps)

        assert reader.gaps == [f"{pods[1].boot}-1"]
        assert pods[1].boot not in reader.source.last_event_id


async def test_what_a_ring_no_longer_has_is_a_gap_of_that_pod_alone() -> None:
    async with fleet(limits=RingLimits(events=3)) as (_, pods):
        reader = Reader()
        async with reading(reader, pods[0]):
            for pod in pods:
                pod.speak()
            await until(lambda: all(reader.has(pod.boot, 1) for pod in pods))
        for _ in range(6):
            pods[1].speak()
        pods[0].speak()
        async with reading(reader, pods[0]):
            await until(lambda: reader.has(pods[1].boot, 7) and reader.has(pods[0].boot, 2))

        assert reader.gaps == [f"{pods[1].boot}-1"]
        assert reader.got == {pods[0].boot: [1, 2], pods[1].boot: [1, 5, 6, 7]}


async def test_a_pod_that_refuses_the_token_is_named_and_asked_again() -> None:
    async with fleet() as (_, pods):
        pods[1].refuses = True
        async with reading(Reader(), pods[0]) as reader:
            await until(lambda: reader.peers)
            assert reader.peers[1] == {"pod": str(pods[1].at), "reachable": False, "why": "It refused the token."}
            pods[1].refuses = False
            await until(lambda: reader.reachable() == {"pod-0": True, "pod-1": True})


async def test_a_pod_with_two_addresses_is_followed_by_one() -> None:
    async with fleet() as (network, pods):
        second = Endpoint("fd00::1", 8081)
        network.at[second] = pods[1]
        network.addresses.listed.add(second)
        own = Endpoint("fd00::2", 8081)
        network.at[own] = pods[0]
        network.addresses.listed.add(own)
        async with reading(Reader(), pods[0]) as reader:
            for pod in pods:
                pod.speak()
            await until(lambda: all(reader.has(pod.boot, 1) for pod in pods))

            assert [pod.followers for pod in pods] == [1, 1]
            assert reader.reachable() == {"pod-0": True, "pod-1": True}


async def test_a_pod_that_ends_gives_its_readers_its_last_events() -> None:
    async with fleet() as (_, pods):
        reader = Reader()
        task = asyncio.create_task(reader.read(pods[0].fleet))
        await reader.joined.wait()
        pods[0].speak()
        await pods[0].leave()
        await task

        assert reader.got == {pods[0].boot: [1]}


@dataclass(eq=False)
class Wanderer:
    """A reader that breaks off and comes back."""

    reader: Reader = field(default_factory=Reader)
    task: asyncio.Task[None] | None = None
    since: dict[str, int] | None = None
    """By process: the newest event when the reader came for the first time."""

    async def break_off(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])


class Wander:
    """Pods that speak, hang, die, leave and come, and two readers that break off and come back, all at random."""

    ACTIONS = ("speak",) * 6 + ("read", "read", "break_off", "hang", "go_on", "die", "leave", "start", "wait")

    def __init__(self, rnd: random.Random, network: MemoryPods, pods: list[MemoryPod]) -> None:
        self.rnd, self.network, self.started = rnd, network, list(pods)
        self.wanderers = [Wanderer(), Wanderer()]

    @property
    def alive(self) -> list[MemoryPod]:
        return [pod for pod in self.network.at.values() if not pod.dead]

    @property
    def running(self) -> list[MemoryPod]:
        return [pod for pod in self.alive if pod.running.is_set()]

    async def step(self) -> None:
        await getattr(self, self.rnd.choice(self.ACTIONS))()
        if not self.running:
            self.alive[0].go_on()
        await asyncio.sleep(self.rnd.choice([0.0, 0.0005, 0.02]))

    async def speak(self) -> None:
        for pod in self.rnd.choices(self.running, k=self.rnd.randint(1, 5)):
            pod.speak()

    async def read(self) -> None:
        wanderer = self.rnd.choice(self.wanderers)
        if wanderer.task is not None and not wanderer.task.done():
            return
        asked = self.running[0] if self.rnd.random() < 0.7 else self.rnd.choice(self.running)  # often the same one
        wanderer.task = asyncio.create_task(wanderer.reader.read(asked.fleet, break_at=self.rnd.random()))
        if wanderer.since is None:
            await wanderer.reader.joined.wait()
            wanderer.since = {pod.boot: pod.newest for pod in self.alive}

    async def break_off(self) -> None:
        await self.rnd.choice(self.wanderers).break_off()

    async def hang(self) -> None:
        if len(self.running) > 1:
            self.rnd.choice(self.running).hang()

    async def go_on(self) -> None:
        for pod in self.alive:
            pod.go_on()

    async def die(self) -> None:
        if len(self.alive) > 1:
            pod = self.rnd.choice(self.alive)
            await pod.die()
            if self.rnd.random() < 0.5:
                self.network.addresses.listed.discard(pod.at)

    async def leave(self) -> None:
        if len(self.alive) > 1:
            pod = self.rnd.choice(self.alive)
            pod.go_on()
            await pod.leave()

    async def start(self) -> None:
        free = [at for at in ADDRESSES if at not in self.network.at or self.network.at[at].dead]
        if free:
            self.started.append(self.network.start("again", self.rnd.choice(free)))

    async def wait(self) -> None:
        await asyncio.sleep(self.rnd.choice([0.01, 0.5, 4.0]))

    async def settle(self) -> None:
        """Let all pods run and the readers come back one after the other, until nothing is to come."""
        for pod in self.network.at.values():
            pod.go_on()
            if pod.dead:
                self.network.addresses.listed.discard(pod.at)
        asked = self.alive[0]
        for wanderer in self.wanderers:
            await wanderer.break_off()
        async with reading(self.wanderers[0].reader, asked):
            await asyncio.sleep(1)
            async with reading(self.wanderers[1].reader, asked):
                await asyncio.sleep(30)


async def wander(rnd: random.Random) -> int:
    """Let readers and pods meet whatever comes; return how many pairs of a reader and a pod were compared."""
    async with fleet(3) as (network, pods):
        wandering = Wander(rnd, network, pods)
        for _ in range(60):
            await wandering.step()
        await wandering.settle()
        for wanderer in wandering.wanderers:
            for pod in wandering.started:
                since = pod.newest if wanderer.since is None else wanderer.since.get(pod.boot, 0)
                check(pod, wanderer.reader, since)
        return len(wandering.wanderers) * len(wandering.started)


def check(pod: MemoryPod, reader: Reader, since: int) -> None:
    got = reader.got.get(pod.boot, [])
    gaps = [int(gap.rpartition("-")[2]) for gap in reader.gaps if gap.startswith(f"{pod.boot}-")]
    assert got == sorted(set(got)), "in order, and nothing twice"
    missing = [number for number in range(since + 1, pod.newest + 1) if number not in got]
    if not pod.dead:
        assert (missing, gaps) == ([], []), "the ring has it"
    elif missing:
        assert missing == list(range(missing[0], pod.newest + 1)), "only what a pod took with it"
        assert not got or gaps, "and that is told"


@few_by_day(25)
@given(st.integers(0, 1 << 32))
def test_nothing_is_missing_that_a_ring_has_and_nothing_comes_twice(seed: int) -> None:
    rnd = random.Random(seed)
    assert in_virtual_time(wander(rnd), disorder=rnd, late_s=0.002) >= 6
