"""`GET /console/`: the page of the console. It holds no secret and needs no token: the page asks for one.

Its files are in the package, and are served from memory. The policy lets the page load nothing from elsewhere, be
framed by no other page, and send nothing but to this service; `'self'` of `connect-src` is its WebSocket as well
(CSP 3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

FOLDER: Final = Path(__file__).with_name("console")
INDEX: Final = "index.html"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
"""The kinds of files that are served; others in the folder are not."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), display-capture=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept, and asked about each time: no old script meets a new page
}


class ConsoleFile(NamedTuple):
    """A file of the page."""

    body: bytes
    type: str
    tag: str


@cache
def files(folder: Path = FOLDER) -> Mapping[str, ConsoleFile]:
    """Return the files of the page by their path in the folder. Read once per process."""
    found = [path for path in folder.rglob("*") if path.suffix in TYPES and path.is_file()]
    return {path.relative_to(folder).as_posix(): _file(path) for path in found}


def routes(pages: Mapping[str, ConsoleFile] | None = None) -> APIRouter:
    """Return the routes of the page."""
    router = APIRouter(include_in_schema=False)
    known = files() if pages is None else pages

    @router.get("/")
    @router.get("/console")
    async def go_there() -> Response:
        return RedirectResponse("console/", 307, HEADERS)  # relative: a proxy may serve this below a path

    @router.head("/console/{name:path}")
    @router.get("/console/{name:path}")
    async def read_file(name: str, request: Request) -> Response:
        page = known.get(name or INDEX)
        if page is None:
            raise HTTPException(404, "The console has no such file; its page is /console/.")
        headers = HEADERS | {"ETag": page.tag}
        if _has(request.headers.get("if-none-match", ""), page.tag):
            return Response(status_code=304, headers=headers)
        return Response(page.body, headers=headers, media_type=page.type)

    return router


def _file(path: Path) -> ConsoleFile:
    body = path.read_bytes()
    return ConsoleFile(body, TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _has(tags: str, tag: str) -> bool:
    """Whether `If-None-Match` names the tag (RFC 9110, 13.1.2: by weak comparison)."""
    return tag in {each.strip().removeprefix("W/") for each in tags.split(",")} or tags.strip() == "*"
