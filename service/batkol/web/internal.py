"""The internal API: status, drain, and its description. Never on an ingress."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import structlog
from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse

from batkol.calls.registry import CallRegistry
from batkol.status import ServiceStatus
from batkol.web.access import Access, CurrentReader, Right, guard

Status = Callable[[], ServiceStatus]

log = structlog.get_logger()


def routes(
    *,
    calls: CallRegistry,
    status: Status,
    drain: Callable[[], Awaitable[object]],
    access: Access,
) -> APIRouter:
    """Return the routes under /v1. `drain` empties the process and is done when it is empty."""
    router = APIRouter(prefix="/v1")

    @router.get("/status", dependencies=[Depends(guard(access, Right.STATUS))])
    async def read_status() -> Response:
        return _json(status())

    @router.post("/drain", dependencies=[Depends(guard(access, Right.DRAIN))])
    async def empty(reader: CurrentReader) -> Response:
        log.info("[API] drain ordered", token=reader.name)
        await drain()
        return _json({"draining": True, "active_calls": calls.active})

    return router


def reference(app: FastAPI, *, access: Access) -> APIRouter:
    """Return the description of `app`'s API: for programs, and as the two pages that a browser shows.

    They want a token like everything else, so a browser shows them only where there is none, as in development.
    """
    router = APIRouter(dependencies=[Depends(guard(access))], include_in_schema=False)

    @router.get("/openapi.json")
    async def read_description() -> JSONResponse:
        return JSONResponse(app.openapi())

    @router.get("/docs")
    async def read_docs() -> HTMLResponse:
        return get_swagger_ui_html(openapi_url="openapi.json", title=app.title)

    @router.get("/redoc")
    async def read_redoc() -> HTMLResponse:
        return get_redoc_html(openapi_url="openapi.json", title=app.title)

    return router


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
