"""The internal API: status, drain, and its description. Never on an ingress."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog
from fastapi import APIRouter, Depends, Response

from batkol.calls.registry import CallRegistry
from batkol.status import ServiceStatus
from batkol.web.access import Access, CurrentReader, Right, guard
from batkol.web.described import answer, answer_of_either
from batkol.web.errors import ErrorMappingRoute
from batkol.web.fleet import FleetStatus
from batkol.web.scope import Scope

ReadStatus = Callable[[], ServiceStatus]


class DrainOut(msgspec.Struct, frozen=True, kw_only=True):
    """The pod takes no new call."""

    draining: bool
    active_calls: int


_STATUS: Final = answer_of_either(ServiceStatus, FleetStatus)

log = structlog.get_logger()


def routes(
    *,
    calls: CallRegistry,
    status: ReadStatus,
    drain: Callable[[], Awaitable[object]],
    access: Access,
) -> APIRouter:
    """Return the routes under /v1. `drain` empties the process and is done when it is empty."""
    router = APIRouter(prefix="/v1", route_class=ErrorMappingRoute)
    may_read = [Depends(guard(access, Right.STATUS))]

    @router.get("/status", dependencies=may_read, responses=_STATUS, tags=["pod"])
    async def read_status(scope: Scope = "pod") -> Response:  # noqa: ARG001  `fleet` has a route of its own
        """Get the status of this pod, or of all pods of the agent with `scope=fleet`."""
        return _json(status())

    @router.post("/drain", dependencies=[Depends(guard(access, Right.DRAIN))], responses=answer(DrainOut), tags=["pod"])
    async def empty(reader: CurrentReader) -> Response:
        """Empty this pod: it takes no new call from now on. The answer comes when its calls have ended."""
        log.info("[API] drain ordered", token=reader.name)
        await drain()
        return _json(DrainOut(draining=True, active_calls=calls.active))

    return router


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
