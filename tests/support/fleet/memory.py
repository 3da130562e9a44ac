"""Pods in memory for virtual time: the real bus, ring and event stream of each, and a network that tests command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from batkol.events.bus import Bus
from batkol.events.cursor import Cursor
from batkol.events.ring import LIMITS, EventRing, RingLimits
from batkol.fleet.addresses import Addresses, Resolved
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.feed import FleetTimings
from batkol.fleet.fleet import Fleet
from batkol.fleet.peers import PROTOCOL, FleetRequest, HttpPods, OwnPod, PodIdentity, PodRequestError
from batkol.web.event_stream import EventStream, FeedRequest
from support.events.made import final

TIMINGS = FleetTimings(gone_s=10.0)
ASKING = FleetRequest("Bearer made-up")


class MemoryPod:
    """A process. It may hang, leave in good order, or die."""

    def __init__(self, name: str, network: MemoryPods, at: Endpoint, limits: RingLimits = LIMITS) -> None:
        self.name = name
        self.at = at
        self.bus = Bus(EventRing(limits, clock=asyncio.get_running_loop().time))
        self.fleet = Fleet(network.addresses, lambda: OwnPod(at, self.boot), TIMINGS, network)
        self.running = asyncio.Event()
        self.running.set()
        self.dead = False
        self.refuses = False
        self.queues: set[asyncio.Queue[bytes | None]] = set()

    @property
    def boot(self) -> str:
        return self.bus.ring.boot

    @property
    def newest(self) -> int:
        return self.bus.ring.newest

    @property
    def followers(self) -> int:
        """Feeds that are read."""
        return len(self.queues)

    def speak(self) -> None:
        """Publish an event that names the process and its number."""
        number = self.newest + 1
        self.bus.publish(final(number, number, f"{self.boot} {number}", f"MZ{self.boot}"))

    def hang(self) -> None:
        self.running.clear()

    def go_on(self) -> None:
        self.running.set()

    async def leave(self) -> None:
        """End in good order."""
        self.bus.close()
        await self.fleet.finish()
        await self.fleet.aclose()
        with suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                while self.queues:  # as the listener waits for the answers under way
                    await asyncio.sleep(0.001)
        self.dead = True

    async def die(self) -> None:
        """End at once: what is on the way is lost."""
        self.dead = True
        self.running.set()
        for queue in self.queues:
            queue.put_nowait(None)
        await self.fleet.aclose()


class MemoryAddresses(Addresses):
    """DNS."""

    def __init__(self) -> None:
        super().__init__(())
        self.listed: set[Endpoint] = set()

    async def current(self) -> Resolved:
        await asyncio.sleep(0)
        return Resolved(tuple(sorted(self.listed)), ())


class MemoryPods(HttpPods):
    """The network: which process is at an address."""

    def __init__(self) -> None:
        super().__init__(answer_s=1.0)
        self.addresses = MemoryAddresses()
        self.at: dict[Endpoint, MemoryPod] = {}
        self.asked: list[Endpoint] = []

    def start(self, name: str, at: Endpoint, limits: RingLimits = LIMITS) -> MemoryPod:
        self.at[at] = pod = MemoryPod(name, self, at, limits)
        self.addresses.listed.add(at)
        return pod

    async def _reached(self, at: Endpoint) -> MemoryPod:
        self.asked.append(at)
        await asyncio.sleep(0.001)
        pod = self.at.get(at)
        if pod is None or pod.dead:
            raise PodRequestError("It did not answer (ConnectError).")
        try:
            async with asyncio.timeout(self.answer_s):
                await pod.running.wait()
        except TimeoutError:
            raise PodRequestError("It did not answer within 1 s.") from None
        if pod.refuses:
            raise PodRequestError("It refused the token.")
        return pod

    async def identify(self, at: Endpoint, asking: FleetRequest, call_sid: str = "") -> PodIdentity:
        pod = await self._reached(at)
        return PodIdentity(protocol=PROTOCOL, pod=pod.name, version="1", boot=pod.boot, cursor=str(pod.bus.ring.cursor))

    @asynccontextmanager
    async def follow(
        self, at: Endpoint, asking: FleetRequest, after: str
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        pod = await self._reached(at)
        begun, queue = asyncio.Event(), asyncio.Queue[bytes | None]()

        async def send(message: Any) -> None:
            begun.set()
            if body := message.get("body"):
                queue.put_nowait(body)
            if message["type"] == "http.response.body" and not message["more_body"]:
                queue.put_nowait(b"")
            await asyncio.sleep(0)

        stream = EventStream(pod.bus, FeedRequest(cursor=Cursor.parse(after)))
        writing = asyncio.create_task(stream.stream_response(send))
        pod.queues.add(queue)
        try:
            await begun.wait()
            yield self._pieces(pod, queue)
        finally:
            pod.queues.discard(queue)
            writing.cancel()
            await asyncio.wait([writing])

    async def _pieces(self, pod: MemoryPod, queue: asyncio.Queue[bytes | None]) -> AsyncGenerator[bytes, None]:
        while True:
            piece = await queue.get()
            await pod.running.wait()
            if pod.dead and piece != b"":
                raise PodRequestError("Its feed broke off (ReadError).")
            if not piece:
                return
            yield piece
            await asyncio.sleep(0.0005)
