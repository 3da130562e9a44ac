"""A real Jaeger all-in-one on loopback: OTLP/gRPC in, its memory, and the HTTP API that its own pages ask."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.network.ports import free_ports
from support.process.programs import Program, tool


@dataclass(frozen=True, slots=True)
class Shown:
    """A span as Jaeger shows it."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str  # of the same trace; "" for a root
    links: tuple[tuple[str, str], ...]  # trace and span, in order
    began_us: int  # since the epoch
    duration_us: int
    tags: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]  # the fields of each, its name among them as "event"
    service: str

    @property
    def ended_us(self) -> int:
        return self.began_us + self.duration_us


@dataclass(frozen=True, slots=True)
class Jaeger:
    """A running one."""

    otlp: str  # for OTEL_EXPORTER_OTLP_ENDPOINT
    url: str

    async def services(self) -> list[str]:
        return [str(name) for name in await self._asked("/api/services")]

    async def traces(self, **query: str) -> list[list[Shown]]:
        """Search as the page does: `service`, `operation`, `tags` (a JSON object of strings), `limit`."""
        return [_shown(trace) for trace in await self._asked("/api/traces", **{"limit": "100", **query})]

    async def trace(self, trace_id: str) -> list[Shown]:
        (trace,) = await self._asked(f"/api/traces/{trace_id}")
        return _shown(trace)

    async def _asked(self, path: str, **query: str) -> list[Any]:
        async with httpx.AsyncClient(base_url=self.url, timeout=20, trust_env=False) as http:
            answer = await http.get(path, params=query)
        answer.raise_for_status()
        return answer.json()["data"] or []


@asynccontextmanager
async def jaeger(folder: Path) -> AsyncIterator[Jaeger]:
    """Run it; raises `FileNotFoundError` when it is not built. What it has is gone with it."""
    otlp, query, *others = free_ports(7)
    flags = ("query.grpc-server", "collector.otlp.http", "collector.grpc-server", "collector.http-server", "admin.http")
    command: list[str | Path] = [
        tool("jaeger"),
        f"--collector.otlp.grpc.host-port=127.0.0.1:{otlp}",
        f"--query.http-server.host-port=127.0.0.1:{query}",
        *(f"--{flag}.host-port=127.0.0.1:{port}" for flag, port in zip(flags, others, strict=True)),
    ]
    quiet = {"SPAN_STORAGE_TYPE": "memory", "OTEL_TRACES_SAMPLER": "always_off", "LOG_LEVEL": "warn"}
    program = Program(command, folder / "jaeger.log", quiet)
    admin = f"http://127.0.0.1:{others[-1]}/"
    await asyncio.to_thread(program.start)
    try:
        await asyncio.to_thread(program.wait, lambda: _healthy(admin))
        yield Jaeger(f"http://127.0.0.1:{otlp}", f"http://127.0.0.1:{query}")
    finally:
        await asyncio.to_thread(program.stop)


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # loopback
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _shown(trace: Mapping[str, Any]) -> list[Shown]:
    """Spans by their beginning."""
    processes = trace["processes"]
    spans = [_span(span, processes[span["processID"]]["serviceName"]) for span in trace["spans"]]
    return sorted(spans, key=lambda span: span.began_us)


def _span(span: Mapping[str, Any], service: str) -> Shown:
    references = [(ref["refType"], ref["traceID"], ref["spanID"]) for ref in span["references"]]
    parents = [span_id for kind, _, span_id in references if kind == "CHILD_OF"]
    return Shown(
        name=span["operationName"],
        trace_id=span["traceID"],
        span_id=span["spanID"],
        parent_id=parents[0] if parents else "",
        links=tuple((trace_id, span_id) for kind, trace_id, span_id in references if kind != "CHILD_OF"),
        began_us=span["startTime"],
        duration_us=span["duration"],
        tags={tag["key"]: tag["value"] for tag in span["tags"]},
        events=[{field["key"]: field["value"] for field in entry["fields"]} for entry in span["logs"]],
        service=service,
    )
