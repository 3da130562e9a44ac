"""Pods of one agent as processes of their own, on ports that all of them know."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.twilio.caller import Caller, CallReport, place_call
from support.http.event_source import EventSource
from support.network.ports import free_ports
from support.service.process import Served, serving

API_TOKEN: Final = "a-made-up-token-of-the-internal-api"
HEADERS: Final = {"Authorization": f"Bearer {API_TOKEN}"}


@dataclass
class Processes:
    """The pods, by number; one that has ended can be started again."""

    folder: Path
    double: int
    ports: list[int]
    environment: dict[str, str]
    up: dict[int, Served] = field(default_factory=dict)
    _stacks: dict[int, AsyncExitStack] = field(default_factory=dict)

    async def start(self, number: int, **more: str) -> Served:
        folder = self.folder / f"pod-{number}"
        folder.mkdir(exist_ok=True)
        own = {
            "POD_NAME": f"pod-{number}",
            "INTERNAL_PORT": str(self.ports[number]),
            "FLEET_PEERS": ",".join(f"127.0.0.1:{port}" for port in self.ports),
            "API_TOKEN": API_TOKEN,
        }
        stack = self._stacks[number] = AsyncExitStack()
        environment: dict[str, Any] = {**own, **self.environment, **more}
        served = serving(folder, self.double, subscribe=False, speed=2.0, **environment)
        self.up[number] = await stack.enter_async_context(served)
        return self.up[number]

    async def kill(self, number: int) -> None:
        self.up.pop(number).tell(signal.SIGKILL)
        await self._stacks.pop(number).aclose()

    async def end(self) -> None:
        for served in self.up.values():
            with suppress(ProcessLookupError):
                served.tell(signal.SIGCONT)
        await asyncio.gather(*(stack.aclose() for stack in self._stacks.values()))

    async def get(self, number: int, path: str) -> Any:
        async with httpx.AsyncClient(trust_env=False, timeout=20, verify=False) as http:
            return (await http.get(f"{self.up[number].internal}{path}", headers=HEADERS)).json()


@asynccontextmanager
async def processes(folder: Path, count: int, **environment: str) -> AsyncIterator[Processes]:
    """Run so many pods."""
    google = SpeechDouble(DoubleSettings())
    pods = Processes(folder, await google.start(), free_ports(count), environment)
    try:
        await asyncio.gather(*(pods.start(number) for number in range(count)))
        yield pods
    finally:
        await pods.end()
        await google.stop()


@dataclass
class Line:
    """A caller who is on the line until told otherwise."""

    pod: Served
    pressed: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    sid: str = ""

    async def script(self, caller: Caller) -> None:
        self.sid = caller.plan.call_sid
        while key := await self.pressed.get():
            caller.press(key)

    def press(self, key: str) -> None:
        self.pressed.put_nowait(key)

    def hang_up(self) -> None:
        self.pressed.put_nowait("")


@asynccontextmanager
async def on_the_line(pods: Processes, *numbers: int) -> AsyncIterator[list[Line]]:
    """Have a caller on each of these pods."""
    lines = [Line(pods.up[number]) for number in numbers]
    calling = [asyncio.create_task(_call(line)) for line in lines]
    try:
        yield lines
    finally:
        for line in lines:
            line.hang_up()
        await asyncio.gather(*calling)


async def _call(line: Line) -> CallReport:
    return await place_call(line.pod.plan(b""), line.script)


@dataclass
class Follower:
    """A reader of the fleet's feed that comes back, to another pod if told so."""

    events: list[dict[str, Any]] = field(default_factory=list)
    source: EventSource = field(default_factory=EventSource)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def at(self, pod: Served, path: str = "/v1/events?scope=fleet") -> AsyncIterator[None]:
        """Follow in the background."""
        self.source.reconnected()
        headers = {**HEADERS, **({"Last-Event-ID": self.source.last_event_id} if self.source.last_event_id else {})}
        async with (
            httpx.AsyncClient(trust_env=False, timeout=40, verify=False) as http,
            http.stream("GET", f"{pod.internal}{path}", headers=headers) as response,
        ):
            assert response.status_code == 200, await response.aread()
            reading = asyncio.create_task(self._read(response))
            yield
            reading.cancel()
            with suppress(asyncio.CancelledError, httpx.TransportError):  # the pod may have been killed
                await reading

    async def _read(self, response: httpx.Response) -> None:
        async for piece in response.aiter_raw():
            self.events += [event.json for event in self.source.feed(piece)]
            self.more.set()

    async def until(self, happened: Callable[[list[dict[str, Any]]], object], within: float = 60.0) -> None:
        async with asyncio.timeout(within):
            while not happened(self.events):
                self.more.clear()
                await self.more.wait()

    def of(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Return the events of a type with these fields."""
        return [event for event in self.events if event["type"] == kind and _has(event, fields)]

    async def has(self, kind: str, **fields: Any) -> None:
        """Wait for an event."""
        await self.until(lambda _: self.of(kind, **fields))

    async def reachable(self, **pods: bool) -> None:
        """Wait until `peers` says of each pod whether it can be asked; dashes are underscores here."""
        wanted = {name.replace("_", "-"): value for name, value in pods.items()}
        await self.until(lambda _: bool(self.of("peers")) and _reachable(self.of("peers")[-1]) == wanted)


def _has(event: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    return all(event.get(name) == value for name, value in fields.items())


def _reachable(event: Mapping[str, Any]) -> dict[str, bool]:
    return {peer["pod"]: peer["reachable"] for peer in event["peers"]}
