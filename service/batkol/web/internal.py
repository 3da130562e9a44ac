"""The internal API: status, live calls, events, metrics, drain. Never on an ingress."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

from batkol.calls.call import Call
from batkol.calls.figures import UtteranceProgress
from batkol.calls.registry import CallRegistry
from batkol.events.bus import Bus
from batkol.status import ServiceStatus
from batkol.web.access import Access, CurrentReader, Reader, Right, guard
from batkol.web.event_stream import TIMINGS, EventStream, EventStreamTimings

Status = Callable[[], ServiceStatus]

log = structlog.get_logger()


def routes(
    *,
    calls: CallRegistry,
    bus: Bus,
    status: Status,
    drain: Callable[[], Awaitable[object]],
    access: Access,
    timings: EventStreamTimings = TIMINGS,
) -> APIRouter:
    """Return the routes under /v1. `drain` empties the process and is done when it is empty."""
    router = APIRouter(prefix="/v1")
    may_read = [Depends(guard(access, Right.STATUS))]

    @router.get("/status", dependencies=may_read)
    async def read_status() -> Response:
        return _json(status())

    @router.get("/calls", dependencies=may_read)
    async def read_calls() -> Response:
        return _json({"calls": [_summary(call) for call in calls]})

    @router.get("/calls/{call_sid}", dependencies=may_read)
    async def read_call(call_sid: str, reader: CurrentReader) -> Response:
        call = _live(calls, call_sid)
        utterances = [{"index": i, **_progress(u, reader)} for i, u in call.reporter.utterances.items()]
        return _json({**_summary(call), "utterances": utterances})

    @router.get("/calls/{call_sid}/events", dependencies=may_read)
    async def follow_call(call_sid: str, reader: CurrentReader) -> StreamingResponse:
        return EventStream(bus, _live(calls, call_sid), reader.may, timings)

    @router.get("/events", dependencies=may_read)
    async def follow_all(reader: CurrentReader) -> StreamingResponse:
        return EventStream(bus, None, reader.may, timings)

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


def _live(calls: CallRegistry, call_sid: str) -> Call:
    call = calls.get(call_sid)
    if call is None:
        raise HTTPException(404, "There is no live call with this SID; this API has live calls only.")
    return call


def _summary(call: Call) -> dict[str, Any]:
    figures = call.reporter.figures
    return {
        "call_sid": call.identity.call_sid,
        "stream_sid": call.identity.stream_sid,
        "agent": call.identity.agent,
        "direction": call.identity.direction,
        "ending": bool(call.ended_by),
        "started_at": _iso(time.time() - call.age),
        "duration_s": round(call.age, 3),
        "audio_ms": call.audio_ms,
        "streaming": call.transcription.session_open,
        "sessions": figures.sessions,
        "utterances_total": figures.utterances,
        "partials": figures.partials,
        "finals": dict(figures.finals),
        "fallbacks": dict(figures.fallbacks),
        "gap_ms": call.gap_ms,
        "rotations": figures.rotations,
        "reconnects": figures.reconnects,
        "audio_dropped_ms": figures.audio_dropped_ms,
    }


def _progress(utterance: UtteranceProgress, reader: Reader) -> dict[str, Any]:
    shown = asdict(utterance)
    if Right.TEXTS not in reader.may:
        shown |= {"text": "", "revised": None if utterance.revised is None else ""}
    return shown


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
