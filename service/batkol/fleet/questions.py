"""Questions to all pods at once: their status, the live calls, and which pod has one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from batkol.answers import Answer
from batkol.errors import BatkolError
from batkol.fleet.addresses import Addresses
from batkol.fleet.cursor import joined
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.membership import Membership, PeerStatus
from batkol.fleet.peers import FleetRequest, HttpPods, OwnPod, PodIdentity, PodRequestError, check, decoded, positions

_CALLS_PATH: Final = "/v1/calls?scope=pod"
_STATUS_PATH: Final = "/v1/status?scope=pod"

T = TypeVar("T")
AskPod = Callable[[Endpoint], Awaitable[tuple[PodIdentity, T]]]


class OwnRefusalError(BatkolError):
    """This pod itself refuses the request, so no other pod is asked. `answer` is for the client, as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("the pod that was asked refuses the request")
        self.answer = answer


class _Listed(msgspec.Struct):
    """A call of an answer, as far as it is looked at."""

    call_sid: str
    ending: bool
    started_at: str


class _PodCallsRead(msgspec.Struct):
    cursor: str
    calls: list[_Listed]


class PodCalls(msgspec.Struct):
    """The answer of one pod to `GET /v1/calls`, as far as it is looked at."""

    cursor: str
    calls: list[dict[str, Any]]


class Located(NamedTuple):
    """A pod that has a call."""

    at: Endpoint
    pod: str
    ending: bool
    started_at: str


class FleetCalls(NamedTuple):
    """The live calls of all pods."""

    calls: list[dict[str, Any]]
    cursor: str
    peers: list[PeerStatus]


class PodStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The status of one pod. A pod of another version may have other fields in it."""

    pod: str
    """The pod's name, or its address as long as it has not answered."""
    reachable: bool
    why: str | None = None
    """Reason why it cannot be asked; None if the pod is reachable."""
    status: dict[str, Any] | None = None
    """The pod's answer to `GET /v1/status`; None if it is not reachable."""


class Whereabouts(NamedTuple):
    """Result of the search for a call."""

    best: Located | None
    """The pod that has its live stream; else the one that has its newest."""
    cursor: str
    """Cursor of all pods that answered: not later than their answers."""
    peers: list[PeerStatus]

    @property
    def unreachable(self) -> list[str]:
        """The pods that did not answer."""
        return [peer.pod for peer in self.peers if not peer.reachable]


class Questions:
    """Asks this pod first, and the others only where it does not refuse: a bad token costs them nothing."""

    def __init__(self, pods: HttpPods, addresses: Addresses, own: Callable[[], OwnPod]) -> None:
        self._pods = pods
        self._addresses = addresses
        self._own = own
        self._mine: set[Endpoint] = set()  # further addresses of this pod

    async def calls(self, asking: FleetRequest) -> FleetCalls:
        """List the live calls; of a call that two pods have, the live stream. Raises `OwnRefusalError`."""
        path = _CALLS_PATH + (asking.query and f"&{asking.query}")

        async def ask(at: Endpoint) -> tuple[PodIdentity, PodCalls]:
            identity, answer = await asyncio.gather(
                self._pods.identify(at, asking), self._pods.ask(at, asking, "GET", path)
            )
            check(answer)
            positions(decoded(answer.body, _PodCallsRead).cursor)
            return identity, decoded(answer.body, PodCalls)

        members = self._members()
        async with aclosing(self._answers(members, ask)) as answers:
            asked = [(identity.pod or str(at), found) async for at, identity, found in answers]
        listed = [{**call, "pod": pod} for pod, found in asked for call in found.calls]
        return FleetCalls(of_one_pod_each(listed), ".".join(found.cursor for _, found in asked), members.peers())

    async def statuses(self, asking: FleetRequest) -> list[PodStatus]:
        """Return the status of each pod, this pod's first, or why it did not answer. Raises `OwnRefusalError`."""

        async def ask(at: Endpoint) -> tuple[PodIdentity, dict[str, Any]]:
            identity, answer = await asyncio.gather(
                self._pods.identify(at, asking), self._pods.ask(at, asking, "GET", _STATUS_PATH)
            )
            check(answer)
            return identity, decoded(answer.body, dict[str, Any])

        members = self._members()
        async with aclosing(self._answers(members, ask)) as answers:
            found = {identity.pod or str(at): status async for at, identity, status in answers}
        return [
            PodStatus(pod=each.pod, reachable=each.reachable, why=each.why, status=found.get(each.pod))
            for each in members.peers()
        ]

    async def locate(self, asking: FleetRequest, call_sid: str, *, ask_all: bool) -> Whereabouts:
        """Find a call. Without `ask_all` the first live stream is enough, and no pod is waited for any more.

        Raises `OwnRefusalError`.
        """

        async def ask(at: Endpoint) -> tuple[PodIdentity, None]:
            return await self._pods.identify(at, asking, call_sid), None

        members, found, cursor = self._members(), list[Located](), dict[str, int]()
        async with aclosing(self._answers(members, ask)) as answers:
            async for at, identity, _ in answers:
                cursor[identity.boot] = identity.newest
                if (call := identity.call) is not None:
                    found.append(Located(at, identity.pod or str(at), call.ending, call.started_at))
                    if not (call.ending or ask_all):
                        break
        return Whereabouts(max(found, key=_precedence, default=None), joined(cursor), members.peers())

    async def hung_up(self, asking: FleetRequest, call_sid: str, *, within_s: float) -> bool:
        """Whether a pod has ended this call a moment ago. False where none says so in time."""

        async def ask(at: Endpoint) -> tuple[PodIdentity, None]:
            return await self._pods.identify(at, asking, call_sid), None

        try:
            async with asyncio.timeout(within_s), aclosing(self._answers(self._members(), ask)) as answers:
                async for _, identity, _ in answers:
                    if identity.hung_up:
                        return True
        except (TimeoutError, OwnRefusalError):
            pass
        return False

    def _members(self) -> Membership:
        own = self._own()
        return Membership(own.at, own.boot)

    async def _answers(
        self, members: Membership, ask: AskPod[T]
    ) -> AsyncGenerator[tuple[Endpoint, PodIdentity, T], None]:
        """Yield the answers, this pod's first, then the others as they come; note in `members` who did not answer."""
        own = self._own().at
        try:
            yield self._note(members, own, await ask(own))
        except PodRequestError as error:
            if error.refusal is not None:
                raise OwnRefusalError(error.refusal) from None
            members.failed(own, str(error))
        found = await self._addresses.current()
        await self._pods.keep_only({own, *found.addresses})
        self._mine &= set(found.addresses)  # an address that is gone may be another pod's when it comes back
        others = members.resolved(set(found.addresses) - self._mine, found.failed).new
        asking = [asyncio.create_task(_asked(ask, at), name="fleet.ask") for at in others]
        try:
            for each in asyncio.as_completed(asking):
                at, answer = await each
                if isinstance(answer, PodRequestError):
                    members.failed(at, str(answer))
                elif self._is_other(members, at, answer[0]):
                    yield self._note(members, at, answer)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    def _is_other(self, members: Membership, at: Endpoint, identity: PodIdentity) -> bool:
        """Whether this is no pod that has answered already, by another address."""
        if identity.boot == self._own().boot:
            self._mine.add(at)
        is_new = identity.boot not in members.boots
        members.answered(at, identity.boot, identity.pod)
        return is_new

    @staticmethod
    def _note(members: Membership, at: Endpoint, answer: tuple[PodIdentity, T]) -> tuple[Endpoint, PodIdentity, T]:
        identity, found = answer
        members.answered(at, identity.boot, identity.pod)
        members.reached(at)
        return at, identity, found


async def _asked(ask: AskPod[T], at: Endpoint) -> tuple[Endpoint, tuple[PodIdentity, T] | PodRequestError]:
    try:
        return at, await ask(at)
    except PodRequestError as error:
        return at, error


def of_one_pod_each(calls: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out a call's streams on other pods than the one that has its live stream, or else its newest."""
    calls = list(calls)
    pods: dict[str, str] = {}
    for call in sorted(calls, key=lambda call: (not call["ending"], call["started_at"])):
        pods[call["call_sid"]] = call["pod"]
    return [call for call in calls if call["pod"] == pods[call["call_sid"]]]


def _precedence(located: Located) -> tuple[bool, str]:
    return not located.ending, located.started_at
