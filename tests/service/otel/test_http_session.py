"""The exporters' HTTP client on real sockets: how long an exchange may take in each phase, and what is kept of it."""

from __future__ import annotations

import asyncio
import copy
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from batkol_otel.http_session import LARGEST, AnswerRefusedError, BoundedSession
from support.http.one_answer import answering, http
from support.http.tls import server_side

FINE = http("200 OK", b"taken")
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\ntaken"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def session() -> Iterator[BoundedSession]:
    with BoundedSession() as made:
        yield made


async def post(session: BoundedSession, url: str, within_s: float = 20.0, **given: Any) -> requests.Response:
    """As OpenTelemetry's transport does it."""
    given = {"data": b"spans", "allow_redirects": False, "timeout": within_s, **given}
    return await asyncio.to_thread(session.request, "POST", url, **given)


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[int]:
    """Serve one kind of talk, whatever it is; yields the port."""
    tasks = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            if task is not None:
                task.cancel()
                await asyncio.wait([task])


async def drip_a_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A TLS record of 16 kB that comes a byte at a time."""
    await reader.read(1)
    writer.write(b"\x16\x03\x03\x3f\xff")
    while True:
        writer.write(b"\x00")
        await writer.drain()
        await asyncio.sleep(0.01)


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A server's side; its certificate is in `tmp_path`/certificate.pem."""
    return server_side(tmp_path)


async def test_tls_works_and_its_certificate_is_checked(
    session: BoundedSession, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    async with answering(FINE, tls) as (url, _):
        assert (await post(session, url, verify=str(tmp_path / "certificate.pem"))).content == b"taken"
        with pytest.raises(requests.exceptions.SSLError):
            await post(session, url)


async def test_a_drip_inside_tls_has_an_end(session: BoundedSession, tls: ssl.SSLContext, tmp_path: Path) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with answering(drip, tls) as (url, _):
        with pytest.raises(requests.Timeout):
            await post(session, url, 0.3, verify=str(tmp_path / "certificate.pem"))


@pytest.mark.parametrize("talk", [never, drip_a_handshake])
async def test_a_handshake_has_an_end(session: BoundedSession, talk: Talk) -> None:
    async with listening(talk) as port:
        with pytest.raises(requests.Timeout):
            await post(session, f"https://127.0.0.1:{port}", 0.2)


async def test_a_server_that_takes_nothing_has_an_end(session: BoundedSession) -> None:
    async with listening(never) as port:
        with pytest.raises(requests.Timeout):
            await post(session, f"http://127.0.0.1:{port}", 0.2, data=bytes(64 << 20))


async def test_closing_ends_a_handshake(session: BoundedSession) -> None:
    greeted = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        greeted.set()
        await never(reader, writer)

    async with listening(talk) as port:
        posting = asyncio.create_task(post(session, f"https://127.0.0.1:{port}", 100.0))
        await greeted.wait()
        session.close()
        with pytest.raises(requests.RequestException):
            await posting
        with pytest.raises(AnswerRefusedError, match="closed"):
            await post(session, f"https://127.0.0.1:{port}")


async def test_a_lookup_that_hangs_has_an_end_and_one_thread(
    session: BoundedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a name server that is away, which glibc asks for minutes."""
    release, real = threading.Event(), socket.getaddrinfo

    def hang(host: str, *args: Any, **kwargs: Any) -> Any:
        if host != "collector.test":
            return real(host, *args, **kwargs)
        if kwargs.get("flags"):  # is it a number?
            raise socket.gaierror
        release.wait(20)
        return real("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    async with answering(FINE) as (url, asked):
        named = url.replace("127.0.0.1", "collector.test")
        for _ in range(3):
            with pytest.raises(requests.Timeout):
                await post(session, named, 0.1)
        assert [thread.name for thread in threading.enumerate()].count("otlp lookup") == 1
        release.set()
        assert (await post(session, named)).content == b"taken"
        assert len(asked) == 1


async def test_a_name_that_is_not_there_is_an_error(session: BoundedSession) -> None:
    with pytest.raises(requests.ConnectionError):
        await post(session, "http://no-such-collector.invalid")


async def test_a_connection_is_used_again_and_no_cookie_kept(session: BoundedSession) -> None:
    ports = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ports.add(writer.get_extra_info("peername"))
        while True:
            request = await reader.readuntil(b"spans")
            assert b"cookie" not in request.lower()
            writer.write(KEPT)

    async with listening(talk) as port:
        for _ in range(3):
            assert (await post(session, f"http://127.0.0.1:{port}")).content == b"taken"
    assert len(ports) == 1
    assert not session.cookies


async def test_a_connection_that_the_server_closed_meanwhile_is_made_anew(session: BoundedSession) -> None:
    async with answering(lambda writer: _write(writer, KEPT)) as (url, asked):  # it closes, and did not announce it
        for _ in range(2):
            assert (await post(session, url)).ok
        assert len(asked) == 2


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308, 304])
async def test_no_redirect_is_a_success(session: BoundedSession, code: int) -> None:
    async with answering(http(f"{code} Elsewhere", b"", "Location: http://[")) as (url, asked):
        with pytest.raises(AnswerRefusedError, match=str(code)):
            await post(session, url)
        assert len(asked) == 1


async def test_the_longest_answer_is_taken_and_a_longer_one_is_not(session: BoundedSession) -> None:
    async with answering(http("200 OK", bytes(LARGEST - 200))) as (url, _):
        assert len((await post(session, url)).content) == LARGEST - 200
    async with answering(http("503 Busy", bytes(LARGEST))) as (url, _):
        with pytest.raises(AnswerRefusedError, match=str(LARGEST)):
            await post(session, url)


async def test_a_login_is_the_url_s_and_never_a_netrc_s(
    session: BoundedSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with answering(FINE) as (url, asked):
        await post(session, url)
        await post(session, url.replace("//", "//user:word@"))
    assert [b"authorization: basic " in request.lower() for request in asked] == [False, True]


async def test_a_proxy_of_the_environment_is_used(session: BoundedSession, monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(FINE) as (url, asked):
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "")
        assert (await post(session, "http://collector.test/v1/traces")).content == b"taken"
    assert asked[0].startswith(b"POST http://collector.test/v1/traces HTTP/1.1\r\n")


@pytest.mark.parametrize("text", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 Connection established\r\nX"])
async def test_a_proxy_that_drips_or_stops_has_an_end(
    session: BoundedSession, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    """After CONNECT: in the handshake with what is behind it, and in its own head."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        while True:
            writer.write(b"y")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with listening(talk) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(requests.RequestException):
            await post(session, "https://collector.test", 0.3)


async def test_a_proxy_that_is_reached_by_tls_is_refused(
    session: BoundedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """urllib3 reads TLS within TLS by itself, with a time-out for each read."""
    monkeypatch.setenv("https_proxy", "https://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(requests.exceptions.InvalidProxyURL):
        await post(session, "https://collector.test")


@pytest.mark.parametrize("first", ["101 Switching Protocols", "102 Processing", "103 Early Hints", "199 What"])
async def test_an_answer_that_is_not_final_is_a_failure_and_spoils_no_later_one(
    session: BoundedSession, first: str
) -> None:
    """Or the late answer to one request would be taken for the answer to the next."""
    both = f"HTTP/1.1 {first}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".encode()
    async with answering(lambda writer: _write(writer, both)) as (url, asked):
        for _ in range(2):
            with pytest.raises(AnswerRefusedError):
                await post(session, url)
    assert len(asked) == 2, "each on a connection of its own"


async def test_a_chunk_of_a_negative_size_is_a_refused_answer(session: BoundedSession) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nab\r\n0\r\n\r\n"
    async with answering(lambda writer: _write(writer, chunked)) as (url, _):
        with pytest.raises(AnswerRefusedError):
            await post(session, url)


async def test_a_copy_of_a_session_works_within_the_same_limits(session: BoundedSession) -> None:
    """google-auth copies the client for the requests of its own threads."""
    async with (
        answering(http("200 OK", b"yes")) as (url, _),
        answering(http("200 OK", b"x" * (LARGEST + 1))) as (big, _),
    ):
        copied = copy.deepcopy(session)
        answer = await post(copied, url)
        with pytest.raises(AnswerRefusedError):
            await post(copied, big)
        copied.close()
        after = await post(session, url)

    assert (answer.content, after.content) == (b"yes", b"yes")


async def _write(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
