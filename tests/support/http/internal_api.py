"""The internal API over a real socket, with real calls behind it that a test reports for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from fastapi import FastAPI

from batkol.calls.call import Call
from batkol.calls.drain import Drain
from batkol.calls.registry import CallRegistry
from batkol.calls.services import Services
from batkol.events.bus import Bus
from batkol.events.identity import Identity
from batkol.status import ServiceStatus
from batkol.twilio.stream import MediaStream
from batkol.web import event_feed, internal, live_calls
from batkol.web.access import Access
from batkol.web.event_stream import TIMINGS, EventStreamTimings
from batkol.web.server import listening
from support.http.event_source import Dispatched, EventSource
from support.twilio.calls import new_call, services, sid

NO_TOKEN: Final = Access()


@dataclass
class Inside:
    http: httpx.AsyncClient
    calls: CallRegistry
    services: Services
    port: int

    @property
    def bus(self) -> Bus:
        return self.services.bus

    def admitted(self, call_sid: str | None = None) -> Call:
        call = new_call(self.services, call_sid, f"MZ{len(self.calls):032x}")
        assert self.calls.admit(call)
        return call

    def admitted_for(self, agent: str, **more: Any) -> Call:
        """A call of that agent's."""
        identity = Identity(
            call_sid=sid(), stream_sid=f"MZ{len(self.calls):032x}", account_sid="AC" + "0" * 32, agent=agent, **more
        )
        call = Call(identity, MediaStream(), self.services)
        assert self.calls.admit(call)
        return call

    @asynccontextmanager
    async def following(self, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Events]:
        async with self.http.stream("GET", path, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-accel-buffering"] == "no"
            events = Events(response.aiter_raw())
            await events.listening()
            yield events

    def release_all(self) -> None:
        for call in self.calls:
            call.discard()
            self.calls.release(call)


@dataclass
class Events:
    """One connection of an event source."""

    pieces: AsyncIterator[bytes]
    source: EventSource = field(default_factory=EventSource)
    waiting: list[Dispatched] = field(default_factory=list)
    is_over: bool = False

    async def _read(self) -> None:
        async with asyncio.timeout(20):
            piece = await anext(self.pieces, None)
        if piece is None:
            self.is_over = True
        else:
            self.waiting += self.source.feed(piece)

    async def listening(self) -> None:
        """Wait for the first bytes: the subscription is in force."""
        while not self.source.comments and not self.is_over:
            await self._read()
        assert self.source.comments[0] == ": listening"

    async def dispatched(self) -> Dispatched | None:
        """The next event as it came; None at the end of the stream."""
        while not self.waiting and not self.is_over:
            await self._read()
        return self.waiting.pop(0) if self.waiting else None

    async def next(self) -> dict[str, Any] | None:
        """The data of the next event, with its type checked; None at the end of the stream."""
        event = await self.dispatched()
        if event is None:
            return None
        assert event.type == event.json["type"]
        return event.json

    async def comment(self) -> str:
        """The next comment."""
        seen = len(self.source.comments)
        while len(self.source.comments) == seen:
            assert not self.is_over, "the stream ended"
            await self._read()
        return self.source.comments[seen]


def with_routes(calls: CallRegistry, bus: Bus, access: Access, timings: EventStreamTimings) -> FastAPI:
    """Return an application with the routes of the live calls, of their events, and of the process."""
    app = FastAPI()
    app.include_router(
        internal.routes(
            calls=calls,
            status=lambda: ServiceStatus(version="x", draining=False, active_calls=0, max_calls=5),
            drain=Drain(calls, timeout_s=30).run,
            access=access,
        )
    )
    app.include_router(live_calls.routes(calls=calls, bus=bus, access=access))
    app.include_router(event_feed.routes(calls=calls, bus=bus, access=access, timings=timings))
    return app


@asynccontextmanager
async def inside(*, access: Access = NO_TOKEN, timings: EventStreamTimings = TIMINGS) -> AsyncIterator[Inside]:
    async with services() as shared:
        calls = CallRegistry(limit=5)
        app = with_routes(calls, shared.bus, access, timings)
        async with listening(app, "127.0.0.1", 0) as port:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, verify=False) as http:
                house = Inside(http, calls, shared, port)
                yield house
            house.release_all()
