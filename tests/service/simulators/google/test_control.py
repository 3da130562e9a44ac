"""The control port, and the double as a process of its own."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from batkol.simulators.google.control import serve_control
from batkol.simulators.google.faults import Fault, Kind
from batkol.simulators.google.server import SpeechDouble
from support.process.commands import command


@asynccontextmanager
async def controlled() -> AsyncIterator[tuple[SpeechDouble, httpx.AsyncClient]]:
    double = SpeechDouble()
    server = await serve_control(double, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            yield double, http


async def test_faults_can_be_injected_listed_and_cleared() -> None:
    async with controlled() as (double, http):
        await http.post("/faults", json={"kind": "stall", "when": "audio", "seconds": 2.5})
        answer = await http.post("/faults", json=[{"kind": "silence"}, {"kind": "end", "code": "INTERNAL"}])

        assert answer.status_code == 200
        assert [fault["kind"] for fault in answer.json()] == ["stall", "silence", "end"]
        assert (await http.get("/faults")).json() == answer.json()
        assert double.faults()[1] == Fault(kind=Kind.SILENCE)
        assert (await http.delete("/faults")).json() == []
        assert double.faults() == []


async def test_statistics_are_told_and_reset() -> None:
    async with controlled() as (double, http):
        double.inject(Fault(kind=Kind.STALL))

        assert (await http.get("/stats")).json()["streams_open"] == 0
        assert (await http.post("/reset")).status_code == 200
        assert double.faults() == []
        assert (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]x", '{"kind": "explode"}', '{"kind": "end", "code": "TEAPOT"}', "[" * 200_000, b"\xff"],
    ids=lambda body: repr(body[:20]),
)
async def test_what_is_no_fault_is_explained(body: str | bytes) -> None:
    async with controlled() as (double, http):
        answer = await http.post("/faults", content=body)

        assert answer.status_code == 400
        assert "This is no fault" in answer.json()["error"]
        assert double.faults() == []


async def test_other_paths_are_not_found_and_bad_requests_do_no_harm() -> None:
    async with controlled() as (_, http):
        assert (await http.get("/elsewhere")).status_code == 404
        port = http.base_url.port
        length = b"POST /faults HTTP/1.1\r\nContent-Length: %s\r\n\r\n"
        for rubbish in (b"\r\n\r\n", length % b"x", b"GET", length % (b"9" * 5000)):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(rubbish)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        assert (await http.get("/healthz")).status_code == 200


async def test_the_double_runs_as_a_process_until_it_is_told_to_stop() -> None:
    ports = ("--port", "0", "--control-port", "0")
    async with command(*ports, module="batkol.simulators.google.server") as double, asyncio.timeout(60):
        line = await double.line()
        found = re.search(r"gRPC on 127\.0\.0\.1:\d+, control on (http://\S+)", line)
        assert found is not None, line
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{found[1]}/stats")).json()["streams_opened"] == 0
        double.process.send_signal(signal.SIGTERM)
        assert await double.process.wait() == 0
