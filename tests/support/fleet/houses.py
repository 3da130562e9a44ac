"""Several pods in this process, each with its own listener, calls and events, that ask each other over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

import httpx
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from batkol.calls.call import Call
from batkol.calls.drain import Drain
from batkol.calls.registry import CallRegistry
from batkol.calls.services import Services
from batkol.events.bus import Bus
from batkol.events.ring import EventRing
from batkol.fleet.addresses import Addresses
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.feed import FleetTimings
from batkol.fleet.fleet import Fleet
from batkol.fleet.peers import OwnPod
from batkol.status import ServiceStatus
from batkol.web import event_feed, fleet, internal, live_calls
from batkol.web.access import Access
from batkol.web.event_stream import EventStreamTimings
from batkol.web.server import listening
from support.http.internal_api import NO_TOKEN, Events
from support.network.ports import free_ports
from support.twilio.calls import new_call, services

QUICK: Final = FleetTimings(answer_s=20.0, command_s=20.0, resolve_s=0.1, retry_s=0.1, probe_s=0.2, gone_s=0.3)
"""A pod has longer for an answer than in production: these tests share a machine."""


class Commanded(NamedTuple):
    """A command that reached a pod's own route."""

    path: str
    query: str
    kind: str
    authorization: str
    body: bytes


@dataclass
class House:
    """One pod."""

    name: str
    http: httpx.AsyncClient
    calls: CallRegistry
    services: Services
    fleet: Fleet
    port: int
    commanded: list[Commanded]
    """Commands for this pod's calls, in the place of `batkol.web.line`."""

    @property
    def bus(self) -> Bus:
        return self.services.bus

    def admitted(self, call_sid: str | None = None, stream: int = 1) -> Call:
        call = new_call(self.services, call_sid, f"MZ{self.port:016x}{stream:016x}")
        assert self.calls.admit(call)
        call.reporter.call_started(streaming=True)
        return call

    async def get(self, path: str, **headers: str) -> Any:
        return (await self.http.get(path, headers=headers)).json()

    @asynccontextmanager
    async def following(self, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Events]:
        async with self.http.stream("GET", path, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            assert response.headers["content-type"].startswith("text/event-stream")
            events = Events(response.aiter_raw())
            await events.listening()
            yield events


@asynccontextmanager
async def houses(
    count: int = 2,
    *,
    accesses: Sequence[Access] = (),
    absent: Collection[int] = (),
    rings: Sequence[EventRing] = (),
    addresses: Sequence[Endpoint] = (),
    names: Sequence[Endpoint] = (),
    timings: FleetTimings = QUICK,
) -> AsyncIterator[list[House]]:
    """Run so many pods; at the addresses of those that are `absent` nothing listens. `names`: what they look up."""
    addresses = addresses or [Endpoint("127.0.0.1", port) for port in free_ports(count)]
    buses = [Bus(rings[number] if rings else None) for number in range(count)]

    def access_of(number: int) -> Access:
        return accesses[number] if accesses else NO_TOKEN

    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(services())
        made = []
        for number, at in enumerate(addresses):
            if number not in absent:
                pods = Fleet(
                    Addresses(names or addresses, fresh_s=0.05), partial(OwnPod, at, buses[number].ring.boot), timings
                )
                own = replace(shared, bus=buses[number], pod=f"pod-{number}")
                made.append(await stack.enter_async_context(_house(own, at, pods, access_of(number))))
        yield made


@asynccontextmanager
async def _house(own: Services, at: Endpoint, pods: Fleet, access: Access) -> AsyncIterator[House]:
    calls = CallRegistry(limit=5)
    app = FastAPI()
    app.include_router(fleet.pod_routes(calls=calls, ring=own.bus.ring, pod=own.pod, access=access))
    app.include_router(fleet.routes(pods, access))
    app.include_router(_pod(own, calls, access))
    app.include_router(live_calls.routes(calls=calls, bus=own.bus, access=access))
    commanded: list[Commanded] = []
    app.include_router(_line(calls, commanded))
    quick = EventStreamTimings(keepalive_s=0.5)
    app.include_router(event_feed.routes(calls=calls, bus=own.bus, access=access, timings=quick))
    async with listening(app, at.host, at.port):
        async with httpx.AsyncClient(base_url=f"http://{at}", timeout=20, verify=False) as http:
            yield House(own.pod, http, calls, own, pods, at.port, commanded)
        for call in calls:
            call.discard()
            calls.release(call)
        own.bus.close()
        await pods.finish()
        await pods.aclose()


def _pod(own: Services, calls: CallRegistry, access: Access) -> APIRouter:
    """Return the routes of the pod itself, with a short status."""

    def status() -> ServiceStatus:
        return ServiceStatus(version="x", pod=own.pod, draining=False, active_calls=calls.active, max_calls=5)

    return internal.routes(calls=calls, status=status, drain=Drain(calls, timeout_s=30).run, access=access)


def _line(calls: CallRegistry, commanded: list[Commanded]) -> APIRouter:
    """Return a route that writes down what it is asked, and answers as the line does."""
    router = APIRouter()

    @router.post("/v1/calls/{call_sid}/{command}")
    async def carry_out(call_sid: str, command: str, request: Request) -> Response:
        assert command
        headers = request.headers
        commanded.append(
            Commanded(
                request.url.path,
                request.url.query,
                headers.get("content-type", ""),
                headers.get("authorization", ""),
                await request.body(),
            )
        )
        call = calls.get(call_sid)
        if call is None:
            return JSONResponse({"detail": "no such call"}, 404)
        return JSONResponse({"detail": "closing"}, 409) if call.ended_by else JSONResponse({"reply_id": "r1"}, 202)

    return router


async def next_of(events: Events, kind: str) -> dict[str, Any]:
    """Return the next event of a type."""
    async with asyncio.timeout(20):
        while True:
            event = await events.next()
            assert event is not None, f"no {kind}"
            if event["type"] == kind:
                return event
