"""A double's control port, for other processes: a few JSON requests over HTTP/1.1, one a connection.

`POST /faults` (one fault or a list) · `GET /faults` · `DELETE /faults` · `GET /stats` · `POST /reset` · `GET /healthz`
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from batkol.simulators.double_faults import DoubleFault, inject
from batkol.simulators.google.faults import Fault

_LONGEST_BODY: Final = 1_000_000
_MOST_DIGITS: Final = 18
_PATIENCE_S: Final = 10.0
_REASONS: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 413: "Content Too Large"}


Route = Callable[[bytes], tuple[int, Any]]
"""Carries out a request by its body; returns status and answer."""


class Controlled(Protocol):
    """The parts of the double that its control port changes."""

    def inject(self, *faults: Any) -> None: ...
    def clear(self) -> None: ...
    def reset(self) -> None: ...
    def faults(self) -> list[Any]: ...
    def stats(self) -> dict[str, Any]: ...


async def serve_control(
    controlled: Controlled,
    host: str,
    port: int,
    fault_type: type[DoubleFault] = Fault,
    further: Mapping[str, Route] | None = None,
) -> asyncio.Server:
    """Open the control port. The caller closes the server; raises `OSError` if the port is taken.

    `further` has the double's own routes, such as `POST /calls`.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                status, body = await _exchange(reader, controlled, fault_type, further or {})
                content = msgspec.json.encode(body)
                head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
                writer.write(f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, TimeoutError):
            pass  # the client left, or sent no request: there is no peer for an answer
        finally:
            writer.close()

    return await asyncio.start_server(answer, host, port)


async def _exchange(
    reader: asyncio.StreamReader,
    controlled: Controlled,
    fault_type: type[DoubleFault],
    further: Mapping[str, Route],
) -> tuple[int, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, _, rest = head[0].partition(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > _MOST_DIGITS:
        return 400, {"error": "Content-Length is not a number; send the body's size in bytes."}
    if int(length) > _LONGEST_BODY:
        return 413, {"error": "The body is too long; send fewer faults at a time."}
    body = await reader.readexactly(int(length))
    request = f"{method} {rest.partition(' ')[0].partition('?')[0]}"
    own = further.get(request)
    return own(body) if own is not None else _route(request, body, controlled, fault_type)


def _route(request: str, body: bytes, controlled: Controlled, fault_type: type[DoubleFault]) -> tuple[int, Any]:
    match request:
        case "POST /faults":
            return inject(body, controlled, fault_type)
        case "DELETE /faults":
            controlled.clear()
        case "POST /reset":
            controlled.reset()
        case "GET /stats":
            return 200, controlled.stats()
        case "GET /faults" | "GET /healthz":
            pass
        case _:
            return 404, {"error": "Nothing is here; use /faults, /stats, /reset or /healthz."}
    return 200, controlled.faults()
