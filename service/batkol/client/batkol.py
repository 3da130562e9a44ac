"""The client of one Batkol: its events, its live calls, its status.

async with Batkol("http://127.0.0.1:8081", token) as batkol:
    async for event in batkol.events(types=["final"]):
        ...
"""

from __future__ import annotations

import ssl
from collections.abc import Collection
from types import TracebackType
from typing import Final, Self
from weakref import WeakSet

import msgspec

from batkol.client.call import CallHandle, read
from batkol.client.connection import ApiConnection, ClientLimits
from batkol.client.feed import EventFeed
from batkol.client.joined import FollowedCalls
from batkol.client.live import LiveCalls
from batkol.client.reading import Asked
from batkol.client.scope import Scope, names, query
from batkol.status import ServiceStatus

LIMITS: Final = ClientLimits()
GIVE_UP_S: Final = 60.0
"""Seconds without any success after which the client stops trying, and raises."""


class _PodStatus(msgspec.Struct, frozen=True):
    status: ServiceStatus | None = None  # None: the pod did not answer


class _FleetStatus(msgspec.Struct, frozen=True):
    """The answer of `GET /v1/status?scope=fleet`."""

    pods: tuple[_PodStatus, ...]


class Batkol:
    """The internal API of a service, for one event loop. A context manager: leaving it ends feeds and connections.

    `url` is that of the internal API (`INTERNAL_PORT`), `token` one of the service's. `scope` is `pod` for a service
    that is one process; `fleet` follows and drives the calls of all pods of a VoiceAgent, whichever of them answers.
    `give_up_s`: `math.inf` tries for ever, 0 never again. `tls` is for certificates that the system does not know.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        scope: Scope = "fleet",
        give_up_s: float = GIVE_UP_S,
        limits: ClientLimits = LIMITS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Raises `ClientError` for a URL or a token that cannot be used. Asks the service nothing."""
        self._connection = ApiConnection(url, token, limits, tls)
        self._scope = scope
        self._give_up_s = give_up_s
        self._feeds: WeakSet[EventFeed] = WeakSet()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all feeds and connections."""
        for feed in tuple(self._feeds):
            await feed.close()
        await self._connection.close()

    def events(
        self, *, agent: str = "", types: Collection[str] = (), after: str = "", scope: Scope | None = None
    ) -> EventFeed:
        """Return the feed of all calls, for `async for`; `async with` connects at once.

        `agent` is the name of a VoiceAgent; `types` are names such as `final`, and none stands for all; `after` is the
        `cursor` of an earlier feed, to go on from there, in another process too.
        """
        wanted = names(types)
        asked = query(scope or self._scope, agent=agent, type=sorted(wanted))
        return self._feed(Asked("/v1/events", asked), after, wanted)

    def following(self, *, agent: str = "", types: Collection[str] = (), scope: Scope | None = None) -> FollowedCalls:
        """Return what yields the live calls first, as `LiveCalls`, and then the events after that moment."""
        return FollowedCalls(
            lambda: self.calls(agent=agent, scope=scope),
            lambda after: self.events(agent=agent, types=types, after=after, scope=scope),
            self._give_up_s,
        )

    def call(self, call_sid: str, *, scope: Scope | None = None) -> CallHandle:
        """Return the handle of a call. Asks the service nothing."""
        return CallHandle(self._connection, call_sid, scope or self._scope, self._give_up_s, self._feed)

    async def calls(self, *, agent: str = "", scope: Scope | None = None) -> LiveCalls:
        """Return the live calls, or those of one agent. Raises `ClientError`. Cancelling it loses nothing."""
        path = "/v1/calls"
        answer = await self._connection.read(path, query(scope or self._scope))
        found = read(self._connection, path, answer, LiveCalls)
        calls = tuple(call for call in found.calls if agent in ("", call.agent))
        return msgspec.structs.replace(found, calls=calls)

    async def status(self) -> ServiceStatus:
        """Return the status of the pod that answers. Raises `ClientError`. Cancelling it loses nothing."""
        path = "/v1/status"
        return read(self._connection, path, await self._connection.read(path), ServiceStatus)

    async def statuses(self) -> tuple[ServiceStatus, ...]:
        """Return the status of each pod that answers: of the fleet, or with the scope `pod` of one.

        Raises `ClientError`. Cancelling it loses nothing.
        """
        if self._scope == "pod":
            return (await self.status(),)
        path = "/v1/status"
        answer = await self._connection.read(path, query(self._scope))
        pods = read(self._connection, path, answer, _FleetStatus).pods
        return tuple(pod.status for pod in pods if pod.status is not None)

    def _feed(self, asked: Asked, after: str, wanted: frozenset[str]) -> EventFeed:
        feed = EventFeed(self._connection, asked, after=after, give_up_s=self._give_up_s, wanted=wanted)
        self._feeds.add(feed)
        return feed
