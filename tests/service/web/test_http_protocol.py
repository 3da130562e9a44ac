"""Clients that dawdle, flood, lie and vanish, over real sockets."""

import asyncio
import random
import socket
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from batkol.web.connections import REFUSALS, ClosingReason, Connections
from batkol.web.limits import ListenerLimits
from batkol.web.server import listening
from support.http.raw_client import RawHttp, get, head, post, speaking
from support.http.raw_websocket import connected, handshake, text
from support.time.waiting import until

HEAD, BODY = 2048, 4096
SMALL = {"connections": 20, "head_bytes": HEAD, "body_bytes": BODY, "linger_s": 0.05, "answer_s": 0.1}
HASTY = {**SMALL, "head_s": 0.1, "body_s": 0.1}


@dataclass
class Hall:
    """An application that says what it was asked, and the listener in front of it."""

    port: int = 0
    connections: Connections = field(default_factory=lambda: Connections("public", ListenerLimits(connections=1)))
    asked: list[tuple[str, bytes, list[tuple[bytes, bytes]]]] = field(default_factory=list)
    closed: Counter[str] = field(default_factory=Counter)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    sockets: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._socket(receive, send)
            return
        body = (await receive())["body"]
        self.asked.append((scope["path"], body, scope["headers"]))
        if scope["path"] == "/held":
            await self.hold.wait()
        if scope["path"] == "/cut-off":
            await _cut_off(send)
            return
        answer = b"x" * 8_000_000 if scope["path"] == "/huge" else b"%d bytes" % len(body)
        length = (b"content-length", b"%d" % len(answer))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})

    async def _socket(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.sockets += 1
        while (await receive())["type"] != "websocket.disconnect":
            pass
        self.sockets -= 1


async def _cut_off(send: Any) -> None:
    """Answer without end, and return when the client takes nothing any more."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.05):
                await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})


@asynccontextmanager
async def hall(**limits: Any) -> AsyncIterator[Hall]:
    made = Hall()
    made.connections = Connections(
        "public",
        ListenerLimits(**{**SMALL, **limits}),
        trusted=lambda headers: (b"authorization", b"yes") in headers,
        on_closed=lambda reason: made.closed.update([str(reason)]),
    )
    made.hold.set()
    async with listening(made, "127.0.0.1", 0, made.connections) as made.port:  # type: ignore[arg-type]  # any ASGI app
        yield made


# -- requests without end ----------------------------------------------------------------------------------------

ENDLESS = {
    "request line": (b"GET /", b"x" * 1000),
    "query": (b"GET /?", b"a=b&" * 250),
    "header name": (b"GET / HTTP/1.1\r\n", b"x" * 1000),
    "header value": (b"GET / HTTP/1.1\r\na: ", b"x" * 1000),
    "headers": (b"GET / HTTP/1.1\r\n", b"a:b\r\n" * 200),
    "long headers": (b"GET / HTTP/1.1\r\n", b"a: " + b"x" * 995 + b"\r\n"),
    "empty lines before the request": (b"\r\n", b"\r\n" * 500),
    "handshake": (handshake()[:-2], b"a:b\r\n" * 200),
}
ENDLESS_BODIES = {
    "body": (head("/", "Content-Length: 1000000000"), b"x" * 1000),
    "chunks": (head("/", "Transfer-Encoding: chunked"), b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
    "chunks of one byte": (head("/", "Transfer-Encoding: chunked"), b"1\r\nx\r\n" * 200),
    "chunk size": (head("/", "Transfer-Encoding: chunked"), b"0" * 1000),
    "chunk extension": (head("/", "Transfer-Encoding: chunked") + b"1;", b"x" * 1000),
    "trailers": (head("/", "Transfer-Encoding: chunked") + b"0\r\n", b"a:b\r\n" * 200),
    "trailer": (head("/", "Transfer-Encoding: chunked") + b"0\r\na: ", b"x" * 1000),
    "body of a handshake": (handshake("/", "Content-Length: 100000"), b"x" * 1000),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_a_head_without_end_is_refused_at_its_limit(kind: str) -> None:
    begin, more = ENDLESS[kind]
    async with hall(linger_s=1.0) as house, speaking(house.port) as raw:
        await raw.send(begin)
        await raw.flood(more, 10 * HEAD)
        raw.finish()

        assert b" 431 " in await raw.rest()
        await until(lambda: not len(house.connections))
        assert (house.closed, house.asked) == ({"head_long": 1}, [])


@pytest.mark.parametrize("kind", ENDLESS_BODIES)
async def test_a_body_without_end_is_refused_at_its_limit(kind: str) -> None:
    begin, more = ENDLESS_BODIES[kind]
    async with hall(linger_s=1.0) as house, speaking(house.port) as raw:
        await raw.send(begin)
        await raw.flood(more, 5 * (HEAD + BODY))
        raw.finish()
        answer = await raw.rest()
        await until(lambda: not len(house.connections))

        assert b" 413 " in answer or b" 431 " in answer or b" 400 " in answer
        assert sum(house.closed.values()) == 1
        assert house.asked == []


@pytest.mark.parametrize("one_request", [True, False])
@pytest.mark.parametrize("kind", [*ENDLESS, *ENDLESS_BODIES])
async def test_what_has_no_end_costs_no_memory(kind: str, one_request: bool) -> None:
    """Of the real limits: 16 MB of it, as fast as they go, in pieces as large as the kernel likes."""
    begin, more = {**ENDLESS, **ENDLESS_BODIES}[kind]
    async with (
        hall(head_bytes=32 << 10, body_bytes=64 << 10, linger_s=1.0, one_request=one_request) as house,
        speaking(house.port) as raw,
    ):
        piece = more * (262_144 // len(more))
        tracemalloc.start()
        try:
            await raw.send(begin)
            sent = await raw.flood(piece, 16 << 20)
            await until(lambda: not len(house.connections))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert sent < 16 << 20
    assert peak < 4 << 20


async def test_a_request_of_a_hundred_headers_is_answered_and_one_more_is_too_many() -> None:
    async with hall(head_bytes=32 << 10) as house:
        for count, status in ((99, 200), (100, 431)):  # and `Host`
            async with speaking(house.port) as raw:
                await raw.send(get("/", *(f"x-{number}: y" for number in range(count))))
                assert (await raw.answer()).status == status


async def test_a_body_of_the_largest_size_is_answered_and_one_byte_more_is_not() -> None:
    async with hall() as house:
        for framing in ("length", "chunks"):
            for size, status in ((BODY, 200), (BODY + 1, 413)):
                whole = post(b"x" * size)
                if framing == "chunks":
                    whole = head("/", "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)
                async with speaking(house.port) as raw:
                    await raw.send(*(whole[at : at + 700] for at in range(0, len(whole), 700)))
                    assert (await raw.answer()).status == status


async def test_a_declared_length_over_the_limit_is_refused_before_any_of_the_body() -> None:
    async with hall() as house, speaking(house.port) as raw:
        await raw.send(head("/", f"Content-Length: {BODY + 1}", "Expect: 100-continue"))
        answer = await raw.answer()

        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert b"larger than the limit of this service" in answer.body


async def test_a_client_that_is_trusted_may_send_more() -> None:
    async with hall(trusted_body_bytes=3 * BODY) as house:
        for size, status in ((3 * BODY, 200), (3 * BODY + 1, 413)):
            async with speaking(house.port) as raw:
                await raw.send(post(b"x" * size, "/", "Authorization: yes"))
                assert (await raw.answer()).status == status


async def test_a_body_that_uvicorn_would_pause_at_is_read_to_its_end() -> None:
    async with hall(body_bytes=512 << 10) as house, speaking(house.port) as raw:
        await raw.send(post(b"x" * (512 << 10)))
        assert (await raw.answer()).body == b"524288 bytes"


async def test_a_trailer_does_not_pass_for_a_header() -> None:
    async with hall() as house, speaking(house.port) as raw:
        chunked = head("/", "Transfer-Encoding: chunked")
        await raw.send(chunked + b"1\r\nx\r\n0\r\nX-Twilio-Signature: forged\r\n\r\n")
        assert (await raw.answer()).status == 200

        assert [name for name, _ in house.asked[0][2]] == [b"host", b"transfer-encoding"]


# -- requests that are not whole ---------------------------------------------------------------------------------

HALVES = {
    "nothing": b"",
    "an empty line": b"\r\n",
    "half a line": b"GET / HT",
    "half the headers": get()[:-2],
    "half a body": post(b"12345")[:-1],
    "half a chunk": head("/", "Transfer-Encoding: chunked") + b"5\r\n123",
    "half the trailers": head("/", "Transfer-Encoding: chunked") + b"0\r\na: b\r\n",
    "half a handshake": handshake()[:-2],
    "a length that lies": head("/", "Content-Length: 50") + b"short",
}


@pytest.mark.parametrize("one_request", [True, False])
@pytest.mark.parametrize("half", HALVES)
async def test_a_request_that_is_not_whole_in_time_is_closed(half: str, one_request: bool) -> None:
    async with hall(**HASTY, one_request=one_request) as house, speaking(house.port) as raw:
        await raw.send(HALVES[half])
        answer = await raw.rest()

        assert answer.startswith(b"HTTP/1.1 408 ") if HALVES[half] else answer == b""
        assert b"connection: close" in answer.lower() or not answer
        await until(lambda: not len(house.connections))
        assert house.asked == []
        assert sum(house.closed.values()) == 1


async def test_bytes_that_drip_do_not_stop_the_clock() -> None:
    async with hall(**HASTY) as house, speaking(house.port) as raw:

        async def drip() -> None:
            await raw.send(b"GET / HTTP/1.1\r\n")
            while True:
                await raw.send(b"a: b\r\n")
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        answer = await raw.rest()
        dripping.cancel()
        await asyncio.wait([dripping])

        assert b" 408 " in answer
        assert house.closed == {"head_late": 1}


async def clocks_run_out(house: Hall) -> None:
    """Wait for the clocks of two requests that begin now, one after the other, and are never whole."""
    for half in (get()[:-2], post(b"a body")[:-1]):
        async with speaking(house.port) as witness:
            await witness.send(half)
            assert b" 408 " in await witness.rest()


async def test_the_clocks_end_at_the_101() -> None:
    async with hall(**HASTY) as house, connected(house.port) as raw:
        await clocks_run_out(house)
        await until(lambda: len(house.connections) == 1)
        await raw.send(text("still here"))

        assert (house.sockets, len(house.connections)) == (1, 1)


async def test_the_clocks_end_with_the_request_and_not_with_its_answer() -> None:
    async with hall(**HASTY, one_request=False) as house, speaking(house.port) as raw:
        house.hold.clear()
        await raw.send(get("/held"))
        await clocks_run_out(house)
        house.hold.set()
        assert (await raw.answer()).status == 200


async def test_the_next_request_of_a_connection_has_a_clock_of_its_own() -> None:
    async with hall(**HASTY, one_request=False) as house, speaking(house.port) as raw:
        await raw.send(get())
        await raw.answer()
        await clocks_run_out(house)  # idle for longer than a head may take
        await raw.send(get())
        assert (await raw.answer()).status == 200
        await raw.send(get()[:-2])
        assert b" 408 " in await raw.rest()


async def test_the_application_gets_a_request_when_it_is_whole() -> None:
    """So it has no task, no span and no memory for one that never will be, and nothing to fear from its end."""
    async with hall() as house, speaking(house.port) as raw:
        whole = post(b"a body", "/path")
        await raw.send(*(bytes([byte]) for byte in whole[:-1]))
        assert (house.asked, [task for task in asyncio.all_tasks() if "run_asgi" in repr(task)]) == ([], [])
        await raw.send(whole[-1:])

        assert (await raw.answer()).body == b"6 bytes"
        assert house.asked[0][:2] == ("/path", b"a body")


async def test_a_client_that_wants_to_be_asked_for_its_body_is_asked() -> None:
    async with hall() as house, speaking(house.port) as raw:
        await raw.send(head("/", "Content-Length: 5", "Expect: 100-continue"))
        assert (await raw.interim()) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await raw.send(b"12345")
        assert (await raw.answer()).body == b"5 bytes"


async def test_a_client_of_http_1_0_is_not_asked_for_its_body() -> None:
    async with hall() as house, speaking(house.port) as raw:
        request = head("/", "Content-Length: 5", "Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0")
        await raw.send(request, b"12345")

        assert (await raw.rest()).startswith(b"HTTP/1.1 200 ")


async def test_an_answer_that_is_not_taken_is_given_up() -> None:
    async with hall(one_request=True) as house, speaking(house.port) as raw:
        raw.pause_reading()
        await raw.send(get("/huge"))
        await until(lambda: not len(house.connections))

        assert house.closed == {"unread": 1}


async def test_an_idle_connection_whose_answer_is_not_taken_is_given_up_too() -> None:
    async with hall(one_request=False, keep_alive_s=0.05) as house, speaking(house.port) as raw:
        raw.pause_reading()
        await raw.send(get("/huge"))
        await until(lambda: not len(house.connections))

        assert house.closed == {"unread": 1}


@pytest.mark.parametrize("one_request", [True, False])
async def test_a_client_that_the_application_cuts_off_loses_its_connection(one_request: bool) -> None:
    async with hall(one_request=one_request) as house, speaking(house.port) as raw:
        raw.pause_reading()
        await raw.send(get("/cut-off"))
        await until(lambda: not len(house.connections))

        assert house.closed == {"unread": 1}


async def test_a_client_that_was_cut_off_makes_room_for_the_next() -> None:
    async with hall(connections=1, linger_s=0.0, answer_s=60.0) as house, speaking(house.port) as raw:
        raw.pause_reading()
        await raw.send(get("/cut-off"))
        await until(lambda: house.connections._unread)
        async with speaking(house.port) as other:
            await other.send(get())

            assert (await other.answer()).status == 200


# -- one request at a time ---------------------------------------------------------------------------------------


async def test_on_a_listener_that_closes_every_answer_says_so() -> None:
    async with hall() as house:
        for request, status in (
            (get(), 200),
            (get("/", "Connection: keep-alive"), 200),
            (b"GET / HTTP/1.0\r\n\r\n", 200),
            (post(b"x"), 200),
            (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200),
            (get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"), 200),
            (b"rubbish\r\n\r\n", 400),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
            (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
            (b"CONNECT localhost:1 HTTP/1.1\r\n\r\n", 400),
            (handshake().replace(b"GET", b"POST"), 405),
            (handshake("/", "a: " + "x" * 9000), 431),
            (handshake("/", "Content-Length: 3") + b"abc", 400),
            (handshake().replace(b"Version: 13", b"Version: 7"), 400),
        ):
            async with speaking(house.port) as raw:
                await raw.send(request)
                answer = await raw.answer()
                assert (request, answer.status, answer.headers["connection"]) == (request, status, "close")
                assert await raw.rest() == b""


async def test_the_answer_to_a_good_handshake_does_not_close() -> None:
    async with hall() as house, connected(house.port, shake=False) as raw:
        await raw.send(handshake())
        answer = await raw.upgraded()

    assert b"HTTP/1.1 101 " in answer
    assert b"close" not in answer.lower()


@pytest.mark.parametrize("one_request", [True, False])
async def test_ten_thousand_requests_in_one_piece_are_one(one_request: bool) -> None:
    async with hall(one_request=one_request) as house, speaking(house.port) as raw:
        await raw.send(get("/first") + get("/next") * 10_000)
        answer = await raw.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await raw.rest() == b""

        assert [path for path, *_ in house.asked] == ["/first"]


async def test_what_comes_during_an_answer_is_dropped_and_does_not_disturb_it() -> None:
    async with hall(one_request=False) as house, speaking(house.port) as raw:
        house.hold.clear()
        await raw.send(get("/held"), b"\r\n", get("/next")[:-2])
        house.hold.set()
        assert (await raw.answer()).body == b"0 bytes"
        assert await raw.rest() == b""

        assert [path for path, *_ in house.asked] == ["/held"]


async def test_who_floods_during_an_answer_is_cut_off() -> None:
    async with hall(one_request=False, surplus_bytes=10_000) as house, speaking(house.port) as raw:
        house.hold.clear()
        await raw.send(get("/held"))
        await raw.flood(b"x" * 1000, 1_000_000)
        await until(lambda: not len(house.connections))
        house.hold.set()

        assert [path for path, *_ in house.asked] == ["/held"]


async def test_elsewhere_a_connection_has_many_requests_and_is_closed_when_it_has_been_idle() -> None:
    async with hall(one_request=False, keep_alive_s=1.5) as house, speaking(house.port) as raw:
        for number in range(20):
            await raw.send(post(b"x" * number))
            answer = await raw.answer()
            assert (answer.body, "connection" in answer.headers) == (b"%d bytes" % number, False)
        assert await raw.rest() == b""

        assert not house.closed


# -- more connections than there may be --------------------------------------------------------------------------


@asynccontextmanager
async def several(port: int, count: int) -> AsyncIterator[list[RawHttp]]:
    async with speaking(port) as first:
        if count == 1:
            yield [first]
        else:
            async with several(port, count - 1) as others:
                yield [first, *others]


async def test_at_the_limit_the_oldest_request_that_is_not_whole_makes_room() -> None:
    async with hall(connections=3) as house, several(house.port, 3) as first:
        for each in first:
            await each.send(b"GET / HTTP/1.1\r\n")
        await until(lambda: len(house.connections) == 3)
        async with speaking(house.port) as fourth:
            await fourth.send(get())
            assert (await fourth.answer()).status == 200
        assert b" 503 " in await first[0].rest()
        for each in first[1:]:
            await each.send(b"\r\n")
            assert (await each.answer()).status == 200

        assert house.closed == {"crowded": 1}


async def test_a_request_that_is_here_before_the_other_one_is_gone_is_answered() -> None:
    """It comes in one turn of the loop with its connection, for which another one makes room in that turn."""
    async with hall(connections=10) as house, several(house.port, 10):
        await until(lambda: len(house.connections) == 10)
        clients = [socket.create_connection(("127.0.0.1", house.port)) for _ in range(10)]
        for client in clients:
            client.sendall(get())
        answers = await asyncio.gather(*(asyncio.to_thread(client.recv, 1000) for client in clients))
        for client in clients:
            client.close()

        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 200"}


async def test_an_idle_connection_makes_room_first() -> None:
    async with hall(connections=2, one_request=False) as house, several(house.port, 2) as (half, idle):
        await half.send(b"GET / HTTP/1.1\r\n")
        await idle.send(get())
        await idle.answer()
        async with speaking(house.port) as third:
            await third.send(get())
            assert (await third.answer()).status == 200
        assert await idle.rest() == b""
        await half.send(b"\r\n")
        assert (await half.answer()).status == 200

        assert not house.closed  # an idle connection had no request


async def test_streams_and_answers_are_never_closed_to_make_room() -> None:
    """And who comes then is told so: with a hundred half requests behind them, not one of them is harmed."""
    async with (
        hall(connections=3) as house,
        connected(house.port) as one,
        connected(house.port) as two,
        speaking(house.port) as asked,
    ):
        house.hold.clear()
        await asked.send(get("/held"))
        await until(lambda: len(house.asked) == 1)
        for _ in range(100):
            async with speaking(house.port) as late:
                assert b" 503 " in await late.rest()
        house.hold.set()
        assert (await asked.answer()).status == 200
        await one.send(text("still here"))
        await two.send(text("still here"))

        assert house.sockets == 2
        assert house.closed == {"full": 100}


async def test_a_flood_leaves_no_more_connections_open_than_the_limit() -> None:
    async with hall(connections=5) as house, several(house.port, 60):
        await until(lambda: house.closed["crowded"] == 55)
        await until(lambda: len(house.connections) == 5)
        assert house.closed == {"crowded": 55}


async def test_with_room_to_spare_the_probes_are_answered_and_nothing_else() -> None:
    async with hall(connections=1, spare=2) as house, connected(house.port):
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/", 503)):
            async with speaking(house.port) as raw:
                await raw.send(get(path))
                answer = await raw.answer()
                assert (path, answer.status, answer.headers["connection"]) == (path, status, "close")
        async with several(house.port, 2) as halves, speaking(house.port) as probe:
            await probe.send(get("/healthz"))
            assert (await probe.answer()).status == 200
            for half in halves:
                assert await half.rest() == b""

        assert house.closed == {"full": 1, "crowded": 2}


# -- clients that vanish -----------------------------------------------------------------------------------------


async def test_a_client_that_leaves_with_half_a_request_is_counted_and_not_logged() -> None:
    async with hall() as house:
        with capture_logs() as logs:
            for half in (b"", b"GET", post(b"12345")[:-1]):
                async with speaking(house.port) as raw:
                    await raw.send(half)
                    await until(lambda: len(house.connections) == 1)
                await until(lambda: not len(house.connections))

        assert (house.closed, logs, house.asked) == ({"left": 2}, [], [])


async def test_a_client_that_says_only_that_nothing_comes_is_let_go() -> None:
    async with hall() as house, speaking(house.port) as raw:
        await raw.send(b"GET / HTTP/1.1\r\n")
        raw.finish()
        assert await raw.rest() == b""


async def test_a_thousand_bad_requests_are_one_line_and_the_number_of_the_others() -> None:
    async with hall(connections=1000) as house:
        with capture_logs() as logs:
            for _ in range(100):
                async with speaking(house.port) as raw:
                    await raw.send(b"rubbish\r\n\r\n")
                    await raw.rest()

        assert house.closed == {"malformed": 100}
        assert 1 <= len(logs) + sum(line["lines_left_out"] for line in logs) <= 100
        assert len(logs) < 50
        assert {line["reason"] for line in logs} == {"malformed"}


async def test_stopping_closes_what_waits_and_answers_what_was_asked() -> None:
    made: list[Hall] = []
    async with asyncio.TaskGroup() as tasks:
        ready, stop = asyncio.Event(), asyncio.Event()

        async def serve() -> None:
            async with hall(one_request=False) as house:
                made.append(house)
                ready.set()
                await stop.wait()

        tasks.create_task(serve())
        await ready.wait()
        house = made[0]
        async with several(house.port, 3) as (silent, half, asked):
            house.hold.clear()
            await half.send(post(b"12345")[:-1])
            await asked.send(get("/held"))
            await until(lambda: len(house.asked) == 1)
            stop.set()
            assert (await silent.rest(), await half.rest()) == (b"", b"")
            house.hold.set()
            assert (await asked.answer()).headers["connection"] == "close"

        assert not house.closed


# -- anything ----------------------------------------------------------------------------------------------------

PIECES = [
    b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"\r\n", b"a: b\r\n", b"Content-Length: 5\r\n", b"12345",
    b"Transfer-Encoding: chunked\r\n", b"5\r\n12345\r\n", b"0\r\n\r\n", b"Expect: 100-continue\r\n", b"\x00",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n", handshake(), handshake()[:40], b"x" * 3000, b"Host: x\r\n",
    b"Connection: close\r\n", text("hello"), get(), b"HTTP/1.0\r\n", b"\xff\xfe", b"GET /\xd7\x90 HTTP/1.1\r\n",
]  # fmt: skip


@pytest.mark.parametrize("one_request", [True, False])
async def test_whatever_comes_the_connection_ends_and_nothing_is_raised(one_request: bool) -> None:
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: faults.append(told))
    chance = random.Random(11)

    async def talk(pieces: list[bytes]) -> None:
        async with speaking(house.port) as raw:
            with suppress(OSError):  # the server was quicker
                await raw.send(*pieces)
            raw.finish()
            await raw.rest()

    limits: dict[str, Any] = {"connections": 1000, "one_request": one_request, "keep_alive_s": 0.2}
    async with hall(**limits) as house:
        await asyncio.gather(*(talk(chance.choices(PIECES, k=chance.randrange(1, 9))) for _ in range(300)))
        await until(lambda: not len(house.connections))

    assert faults == []
    assert house.asked


def test_every_reason_that_a_client_is_told_has_a_sentence() -> None:
    assert set(ClosingReason) - set(REFUSALS) == {ClosingReason.UNREAD, ClosingReason.LEFT}
