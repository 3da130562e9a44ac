"""`?scope=fleet`: the same paths as for one pod, answered for all pods of the agent; and what pods ask each other.

A route here is taken only by a request that says `scope=fleet`; every other request goes on to the pod's own routes,
which do not know the fleet. This pod asks itself as it asks the others, so rights, filters and errors are those of the
pod's own routes.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, parse_qsl, quote, urlencode

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from starlette.routing import Match

from batkol import __version__
from batkol.answers import Answer
from batkol.calls.call import Call
from batkol.calls.registry import CallRegistry
from batkol.events.ring import EventRing
from batkol.fleet.cursor import CursorError, joined, parse
from batkol.fleet.fleet import Fleet
from batkol.fleet.peers import PROTOCOL, CallHere, FleetRequest, PodIdentity, PodRequestError, decoded, positions
from batkol.fleet.questions import OwnRefusalError, PodStatus, Whereabouts
from batkol.fleet.reader import FleetReader
from batkol.web.access import Access, guard
from batkol.web.described import answer
from batkol.web.errors import ErrorMappingRoute
from batkol.web.event_feed import EventQuery
from batkol.web.fleet_stream import PASSED_ON, CallEventPicker, FleetStream

_COMMANDS: Final = ("say", "play", "clear", "mark", "hangup", "transfer")
_NOT_PASSED: Final = frozenset({"scope", "last_event_id"})
"""Parameters of a query that are for this pod alone."""


class _Placed(msgspec.Struct):
    """The part of a snapshot that is looked at."""

    cursor: str


class FleetStatus(msgspec.Struct, frozen=True):
    """The status of every pod of the agent: the answer of `GET /v1/status?scope=fleet`."""

    pods: list[PodStatus]


class FleetRoute(ErrorMappingRoute):
    """A route of requests that say `scope=fleet`."""

    def matches(self, scope: MutableMapping[str, Any]) -> tuple[Match, MutableMapping[str, Any]]:
        """See Starlette."""
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("scope", [""])
        return super().matches(scope) if asked[-1] == "fleet" else (Match.NONE, {})


def pod_routes(*, calls: CallRegistry, ring: EventRing, pod: str, access: Access) -> APIRouter:
    """Return the route by which pods know each other. Any token may ask it, for it shows nothing of a call."""
    router = APIRouter(prefix="/v1", dependencies=[Depends(guard(access))], tags=["fleet"])

    @router.get("/pod", responses=answer(PodIdentity))
    async def read_pod(call_sid: str = "") -> Response:
        """Say which pod this is, where its events are, and whether it has a call."""
        streams = [call for call in calls if call.identity.call_sid == call_sid and not call.reporter.ended]
        newest = max(streams, key=lambda call: (not call.ended_by, -call.age), default=None)
        return _json(
            PodIdentity(
                protocol=PROTOCOL,
                pod=pod,
                version=__version__,
                boot=ring.boot,
                cursor=str(ring.cursor),
                call=None if newest is None else _here(newest),
                hung_up=calls.hung_up(call_sid),
            )
        )

    return router


def routes(fleet: Fleet, access: Access) -> APIRouter:
    """Return the routes of the fleet, which stand before the pod's own."""
    router = APIRouter(
        prefix="/v1", route_class=FleetRoute, dependencies=[Depends(guard(access))], include_in_schema=False
    )

    @router.get("/status")
    async def read_statuses(request: Request) -> Response:
        try:
            return _json(FleetStatus(pods=await fleet.questions.statuses(_asking(request))))
        except OwnRefusalError as error:
            return _passed_on(error.answer)

    @router.get("/calls")
    async def read_calls(request: Request) -> Response:
        try:
            found = await fleet.questions.calls(_asking(request))
        except OwnRefusalError as error:
            return _passed_on(error.answer)
        return _json({"cursor": found.cursor, "calls": found.calls, "peers": found.peers})

    @router.get("/calls/{call_sid}")
    async def read_call(call_sid: str, request: Request) -> Response:
        return await _read_call(fleet, _asking(request), call_sid)

    @router.get("/events")
    async def follow_all(request: Request) -> Response:
        return FleetStream(fleet, _asking(request), FleetReader(_cursor(request)))

    @router.get("/calls/{call_sid}/events")
    async def follow_call(call_sid: str, asked: Annotated[EventQuery, Query()], request: Request) -> Response:
        return await _follow_call(fleet, request, call_sid, asked.type)

    for command in _COMMANDS:
        router.add_api_route(f"/calls/{{call_sid}}/{command}", _forwarding(fleet, command), methods=["POST"])
    return router


async def _read_call(fleet: Fleet, asking: FleetRequest, call_sid: str) -> Response:
    try:
        where = await fleet.questions.locate(asking, call_sid, ask_all=True)
        if where.best is None:
            raise _not_found(where)
        answer = await fleet.read(where.best.at, asking, _path(asking, call_sid) + "&scope=pod")
        if answer.status != HTTPStatus.OK:
            return _passed_on(answer)
        at = positions(decoded(answer.body, _Placed).cursor)
        snapshot = decoded(answer.body, dict[str, Any])
    except OwnRefusalError as error:
        return _passed_on(error.answer)
    except PodRequestError as error:
        raise _not_answered(error) from None
    cursor = joined(parse(where.cursor) | at)
    return _json({**snapshot, "pod": where.best.pod, "cursor": cursor, "peers": where.peers})


async def _follow_call(fleet: Fleet, request: Request, call_sid: str, types: list[str]) -> Response:
    # The filter by type is applied here and not by the pods: the end of the call shows whatever is filtered out.
    asking, cursor = _asking(request), _cursor(request)
    everything = FleetRequest(asking.authorization)
    try:
        where = await fleet.questions.locate(everything, call_sid, ask_all=False)
    except OwnRefusalError as error:
        return _passed_on(error.answer)
    if where.best is None and cursor is None:
        raise _not_found(where)
    watch = CallEventPicker(fleet, everything, call_sid, types, is_over=where.best is None)
    return FleetStream(fleet, everything, FleetReader(cursor, wants=watch.wants), watch)


def _forwarding(fleet: Fleet, command: str) -> Any:
    async def forward(call_sid: str, request: Request) -> Response:
        asking = _asking(request)
        try:
            where = await fleet.questions.locate(asking, call_sid, ask_all=False)
            if where.best is None:
                raise _not_found(where)
            kind = request.headers.get("content-type")
            answer = await fleet.forward(
                where.best.at,
                asking,
                _path(asking, call_sid, command),
                headers={"content-type": kind} if kind else {},
                content=await request.body(),
            )
        except OwnRefusalError as error:
            return _passed_on(error.answer)
        except PodRequestError as error:
            raise _not_answered(error) from None
        return _passed_on(answer)

    return forward


def _path(asking: FleetRequest, call_sid: str, command: str = "") -> str:
    behind = f"/{command}" if command else ""
    return f"/v1/calls/{quote(call_sid, safe='')}{behind}?{asking.query}"


def _asking(request: Request) -> FleetRequest:
    query = [each for each in parse_qsl(request.url.query, keep_blank_values=True) if each[0] not in _NOT_PASSED]
    return FleetRequest(request.headers.get("authorization", ""), urlencode(sorted(query)))


def _cursor(request: Request) -> str | None:
    """Return the reader's cursor, or None. Raises 400 for what is none."""
    text = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
    try:
        return joined(parse(text)) if text else None
    except CursorError as error:
        raise HTTPException(400, str(error)) from None


def _not_found(where: Whereabouts) -> HTTPException:
    if missing := where.unreachable:
        return HTTPException(
            503,
            f"No pod that answered has a live call with this SID. {len(missing)} of {len(where.peers)} pods did not "
            f"answer: {', '.join(missing[:5])}. Ask again.",
            {"Retry-After": "1"},
        )
    return HTTPException(404, "There is no live call with this SID on any pod; this API has live calls only.")


def _not_answered(error: PodRequestError) -> HTTPException:
    return HTTPException(
        504,
        f"The pod that has this call failed to answer. {error} A command may have been carried out: look at the call "
        "before you repeat it.",
    )


def _passed_on(answer: Answer) -> Response:
    headers = {name: value for name, value in answer.headers.items() if name.lower() in PASSED_ON}
    return Response(answer.body, answer.status, headers)


def _here(call: Call) -> CallHere:
    started_at = datetime.fromtimestamp(time.time() - call.age, UTC).isoformat(timespec="milliseconds")
    return CallHere(stream_sid=call.identity.stream_sid, ending=bool(call.ended_by), started_at=started_at)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
