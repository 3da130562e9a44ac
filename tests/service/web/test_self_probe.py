import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from batkol.web.connections import Admission, Connections
from batkol.web.limits import ListenerLimits
from batkol.web.probes import probes
from batkol.web.self_probe import SelfProbe
from batkol.web.server import listening
from support.http.hostile_server import hostile_http
from support.http.raw_client import get, speaking
from support.time.waiting import until


def _app(released: asyncio.Event | None = None) -> FastAPI:
    app = FastAPI()
    app.include_router(probes(lambda: None))

    @app.get("/held")
    async def held() -> None:
        assert released is not None
        await released.wait()

    return app


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    filling = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(each.name) for each in Path("/proc/self/fd").iterdir()) + 1, hard)
    )
    try:
        while True:
            try:
                filling.append(os.dup(filling[0]))
            except OSError:
                break
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in filling:
            os.close(each)


async def test_a_listener_that_answers_is_reached_and_asked_once_a_second_at_most() -> None:
    opened = 0

    class Counted(Connections):
        def admit(self, newcomer: object) -> Admission:
            nonlocal opened
            opened += 1
            return super().admit(newcomer)  # type: ignore[arg-type]  # what it is given

    async with listening(_app(), "127.0.0.1", 0, Counted("public", ListenerLimits(connections=5))) as port:
        for host in ("127.0.0.1", "0.0.0.0", ""):
            probe = SelfProbe(host, lambda: port)
            assert await asyncio.gather(*(probe.why_not() for _ in range(20))) == [None] * 20

    assert opened == 3


async def test_a_listener_that_is_gone_cannot_be_reached() -> None:
    async with listening(_app(), "127.0.0.1", 0) as port:
        pass

    assert await SelfProbe("127.0.0.1", lambda: port).why_not() == (
        "the public listener cannot be reached: Connection refused"
    )


async def test_without_descriptors_it_cannot_be_reached_and_later_it_can() -> None:
    async with listening(_app(), "127.0.0.1", 0) as port:
        with no_descriptor_left():
            assert await SelfProbe("127.0.0.1", lambda: port).why_not() == (
                "the public listener cannot be reached: Too many open files"
            )
        assert await SelfProbe("127.0.0.1", lambda: port).why_not() is None


async def test_a_listener_full_of_what_may_not_be_closed_takes_no_more() -> None:
    connections, released = Connections("public", ListenerLimits(connections=1)), asyncio.Event()
    async with listening(_app(released), "127.0.0.1", 0, connections) as port, speaking(port) as held:
        await held.send(get("/held"))
        await until(lambda: len(connections) == 1)
        assert await SelfProbe("127.0.0.1", lambda: port).why_not() == (
            "the public listener accepts no more connections"
        )
        released.set()


async def test_a_listener_full_of_half_requests_is_reached() -> None:
    async with (
        listening(_app(), "127.0.0.1", 0, Connections("public", ListenerLimits(connections=2))) as port,
        speaking(port),
        speaking(port),
    ):
        assert await SelfProbe("127.0.0.1", lambda: port).why_not() is None


async def test_a_listener_that_accepts_and_says_nothing_does_not_answer() -> None:
    over = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        over.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        assert await SelfProbe("127.0.0.1", lambda: port, patience_s=0.05).why_not() == (
            "the public listener does not answer within 0.05 s"
        )
    finally:
        await asyncio.wait_for(over.wait(), 10)
        server.close()


async def test_readiness_on_one_port_says_that_the_other_takes_nothing() -> None:
    async with listening(_app(), "127.0.0.1", 0) as gone:
        pass
    internal = FastAPI()
    internal.include_router(probes(lambda: None, unreachable=SelfProbe("127.0.0.1", lambda: gone).why_not))
    async with listening(internal, "127.0.0.1", 0) as port, httpx.AsyncClient(verify=False) as http:
        ready = await http.get(f"http://127.0.0.1:{port}/readyz")
        alive = await http.get(f"http://127.0.0.1:{port}/healthz")

    assert (ready.status_code, alive.status_code) == (503, 200)
    assert ready.json() == {"status": "the public listener cannot be reached: Connection refused"}


@pytest.mark.parametrize(
    ("way", "found"), [("no http", "accepts no"), ("no line", "as Batkol does"), ("flood of an error", "accepts no")]
)
async def test_another_program_on_the_port_is_found_out(way: str, found: str) -> None:
    async with hostile_http(way) as server:
        why = await SelfProbe("127.0.0.1", lambda: int(server.url.rpartition(":")[2])).why_not()

        assert why is not None
        assert found in why
        assert server.taken < 16 << 20
