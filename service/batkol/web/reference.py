"""The descriptions of the API, for programs and for a browser. They hold nothing secret and need no token.

The page is Swagger UI, from the package `fastapi-swagger`, of which nothing but three files is read: nothing is asked
from another host, and the Content-Security-Policy lets nothing.
"""

from __future__ import annotations

import asyncio
import html
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from fastapi import APIRouter, FastAPI, HTTPException, Response
from fastapi.responses import FileResponse, HTMLResponse

from batkol.fleet.peers import PodIdentity
from batkol.status import ServiceStatus
from batkol.web.asyncapi import asyncapi
from batkol.web.console_api import ConsoleFacts
from batkol.web.described import openapi_of
from batkol.web.fleet import FleetStatus
from batkol.web.internal import DrainOut
from batkol.web.live_schemas import CallSnapshot, CallsSnapshot

STRUCTS: Final[tuple[type[msgspec.Struct], ...]] = (
    ServiceStatus,
    DrainOut,
    CallsSnapshot,
    CallSnapshot,
    PodIdentity,
    ConsoleFacts,
    FleetStatus,
)
"""The structs that routes name as their answers."""

PACKAGE: Final = "fastapi_swagger"
FILES: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
"""The files of Swagger UI that the page needs, and their types."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI writes `style` attributes and pictures as `data:` URLs."""

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_PAGE_HEADERS: Final = {**_HEADERS, "Content-Security-Policy": POLICY}
_START: Final = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "list",
  persistAuthorization: false,
  validatorUrl: null,
});
"""


def routes(app: FastAPI) -> APIRouter:
    """Return the routes that describe `app`."""
    router = APIRouter(include_in_schema=False)
    openapi, events = _Made(lambda: openapi_of(app, STRUCTS)), _Made(asyncapi)

    @router.get("/openapi.json")
    async def read_openapi() -> Response:
        return await openapi.answer()

    @router.get("/asyncapi.json")
    async def read_asyncapi() -> Response:
        return await events.answer()

    @router.get("/docs")
    @router.get("/redoc")  # a bookmark of ReDoc's page shows this one
    async def read_page() -> HTMLResponse:
        return HTMLResponse(_page(app.title), headers=_PAGE_HEADERS)

    @router.get("/docs/start.js")
    async def read_start() -> Response:
        return Response(_START, media_type="text/javascript", headers=_HEADERS)

    @router.get("/docs/{name}")
    async def read_file(name: str) -> FileResponse:
        if name not in FILES:
            raise HTTPException(404, "There is no such file; the page is /docs.")
        return FileResponse(_folder() / name, media_type=FILES[name], headers=_HEADERS)

    return router


class _Made:
    """A document that is made at the first request, once, and not on the event loop: it takes some 0.1 s of CPU."""

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self._make = make
        self._body: bytes | None = None
        self._making = asyncio.Lock()

    async def answer(self) -> Response:
        async with self._making:
            if self._body is None:
                self._body = await asyncio.to_thread(lambda: msgspec.json.encode(self._make()))
        return Response(self._body, media_type="application/json", headers=_HEADERS)


def _folder() -> Path:
    """Return where the package keeps Swagger UI. Its code does not run."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise HTTPException(500, "The package fastapi-swagger, which contains the page, is not installed.")
    return Path(spec.submodule_search_locations[0]) / "resources"


def _page(title: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="docs/favicon-32x32.png">
</head>
<body>
<div id="reference"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
