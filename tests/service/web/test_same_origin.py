from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Response, WebSocket
from structlog.testing import capture_logs

from batkol.rights import ALL_RIGHTS, Grant
from batkol.web.access import Access, trusted
from batkol.web.same_origin import SameOrigin
from batkol.web.server import listening
from support.http.raw_client import Answer, speaking

TOKEN = "a-made-up-token-of-a-client"
HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


class Asked:
    """A listener behind the check, and how often the application was reached."""

    def __init__(self, port: int, reached: list[str]) -> None:
        self.port = port
        self.reached = reached

    async def __call__(self, *headers: str, method: str = "GET", path: str = "/thing", version: str = "1.1") -> Answer:
        async with speaking(self.port) as client:
            await client.send("\r\n".join([f"{method} {path} HTTP/{version}", *headers, "", ""]).encode())
            return await client.answer()


@asynccontextmanager
async def asking(hosts: Collection[str] = (), *, tokens: bool = False) -> AsyncIterator[Asked]:
    """`tokens`: the service asks for one; `TOKEN` is valid."""
    reached: list[str] = []
    app = FastAPI()
    has_token = trusted(Access([Grant("all", TOKEN, ALL_RIGHTS)])) if tokens else None
    app.add_middleware(SameOrigin, hosts=hosts, has_token=has_token)

    @app.api_route("/console/", methods=["GET"])
    @app.api_route("/thing", methods=["GET", "POST", "HEAD", "OPTIONS"])
    async def thing() -> Response:
        reached.append("thing")
        return Response(b"what was said")

    @app.websocket("/v1/phone")
    @app.websocket("/socket")
    async def socket(connection: WebSocket) -> None:
        reached.append("socket")
        await connection.accept()
        await connection.close()

    async with listening(app, "127.0.0.1", 0) as port:
        yield Asked(port, reached)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8081", "localhost.:1", "127.0.0.1:8081", "10.9.8.7", "[::1]:8081", "[FE80::1]"],
)
async def test_addresses_and_localhost_are_answered(host: str) -> None:
    async with asking() as ask:
        assert (await ask(f"Host: {host}")).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "localhost.evil.example", "a.localhost"]
)
async def test_a_name_that_a_web_site_could_have_is_refused_with_what_to_do(host: str) -> None:
    async with asking() as ask:
        answer = await ask(f"Host: {host}")

        assert answer.status == 403
        assert b"add the name to INTERNAL_HOSTS" in answer.body
        assert ask.reached == []


@pytest.mark.parametrize("host", ["", "127.0.0.1.", "2130706433", "0x7f000001", "127.1", "[::1%25lo]", "::1", "a b"])
async def test_a_host_that_could_be_read_in_two_ways_is_refused(host: str) -> None:
    async with asking() as ask:
        answer = await ask(f"Host: {host}")

        assert (answer.status, ask.reached) == (400, [])
        assert b"exactly one Host header" in answer.body


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize(
    "headers",
    [(), ("Host: localhost", "Host: localhost"), ("Host: localhost", "Host: evil.example")],
    ids=["none", "the same twice", "two"],
)
async def test_a_request_has_one_host(headers: tuple[str, ...], *, tokens: bool) -> None:
    async with asking(tokens=tokens) as ask:
        assert (await ask(*headers)).status == 400
        assert ask.reached == []


async def test_a_configured_name_is_answered_and_its_neighbours_are_not() -> None:
    async with asking({"batkol.voice.svc"}) as ask:
        statuses = [
            (await ask(f"Host: {host}")).status
            for host in ("Batkol.voice.svc:8081", "batkol.voice.svc.", "localhost", "x.batkol.voice.svc", "voice.svc")
        ]

    assert statuses == [200, 200, 200, 403, 403]


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ((), "/thing", 200),
        (("Accept-Language: he",), "/thing", 403),
        (("Accept-Language: he", f"Authorization: Bearer {TOKEN}"), "/thing", 200),
        (("Accept-Language: he", "Authorization: Bearer another"), "/thing", 403),
        (("Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin"), "/thing", 403),
        (("Origin: http://pods.example:8081",), "/thing", 403),
        (("Cookie: a=b",), "/thing", 403),
        ((), "/console/", 403),
        ((f"Authorization: Bearer {TOKEN}",), "/console/", 200),
        (HANDSHAKE, "/socket", 101),
        ((*HANDSHAKE, "Origin: http://pods.example:8081"), "/socket", 403),
        (HANDSHAKE, "/v1/phone", 403),
        ((*HANDSHAKE, f"Authorization: Bearer {TOKEN}"), "/v1/phone", 101),
    ],
)
async def test_where_tokens_are_asked_for_a_program_may_use_any_name_and_a_browser_may_not(
    headers: tuple[str, ...], path: str, status: int
) -> None:
    """Prometheus asks for `/metrics` by the name of a Service, and agents send their token; a rebound page has none."""
    async with asking(tokens=True) as ask:
        assert (await ask("Host: pods.example:8081", *headers, path=path)).status == status
        at_home = "Host: localhost:8081", *(each for each in headers if not each.startswith("Origin"))
        assert (await ask(*at_home, path=path)).status in {200, 101}


@pytest.mark.parametrize("tokens", [False, True], ids=["without a token", "with a token"])
@pytest.mark.parametrize(
    "headers",
    [
        ("Origin: https://evil.example",),
        ("Origin: null",),
        ("Origin: http://localhost:3000",),
        ("Origin: http://127.0.0.1:8081",),
        ("Origin: http://localhost:8081.evil.example",),
        ("Origin: chrome-extension://abc",),
        ("Origin: localhost:8081",),
        ("Origin:",),
        ("Origin: http://localhost:8081", "Origin: https://evil.example"),
        ("Origin: https://evil.example", "Sec-Fetch-Site: same-origin"),
        ("Sec-Fetch-Site: cross-site",),
        ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"),
        ("Sec-Fetch-Site: same-site",),
        ("Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"),
        ("Sec-Fetch-Site: something-new",),
    ],
    ids=" ".join,
)
async def test_what_a_page_of_another_origin_sends_is_refused(headers: tuple[str, ...], *, tokens: bool) -> None:
    async with asking(tokens=tokens) as ask:
        for method, path in (("GET", "/thing"), ("POST", "/thing"), ("OPTIONS", "/thing"), ("GET", "/nothing")):
            answer = await ask("Host: localhost:8081", *headers, method=method, path=path)

            assert answer.status == 403
            assert b"A page of another web site sent this request" in answer.body
            assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert ask.reached == []


LINK = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
"""The headers of a link on another site that opens the page in a tab."""


@pytest.mark.parametrize(
    ("method", "path", "host", "headers", "status"),
    [
        ("GET", "/console/", "localhost", LINK, 200),
        ("GET", "/console/", "127.0.0.1:8081", ("Sec-Fetch-Site: same-site", *LINK[1:]), 200),
        ("POST", "/console/", "localhost", LINK, 403),
        ("GET", "/console/app.js", "localhost", LINK, 403),
        ("GET", "/console/", "localhost", (*LINK[:2], "Sec-Fetch-Dest: iframe"), 403),
        ("GET", "/console/", "localhost", (LINK[0], "Sec-Fetch-Mode: no-cors", LINK[2]), 403),
        ("GET", "/console/", "localhost", (*LINK, "Origin: https://evil.example"), 403),
        ("GET", "/console/", "evil.example", LINK, 403),
    ],
)
async def test_a_link_on_another_site_leads_to_the_consoles_page_and_to_nothing_else(
    method: str, path: str, host: str, headers: tuple[str, ...], status: int
) -> None:
    async with asking(tokens=True) as ask:
        answer = await ask(f"Host: {host}", *headers, method=method, path=path)

        assert answer.status == status
        assert ask.reached == ["thing"] * (status == 200)


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("localhost:8081", ("Origin: http://localhost:8081", "Sec-Fetch-Site: same-origin")),
        ("LOCALHOST:8081", ("Origin: http://localhost:8081",)),
        ("localhost", ("Origin: http://localhost",)),
        ("localhost:80", ("Origin: http://localhost",)),
        ("localhost", ("Origin: https://localhost",)),
        ("[::1]:8081", ("Origin: http://[::1]:8081",)),
        ("127.0.0.1:8081", ("Sec-Fetch-Site: none",)),
    ],
)
async def test_what_the_user_or_a_page_of_ours_sends_is_answered(host: str, headers: tuple[str, ...]) -> None:
    async with asking() as ask:
        answer = await ask(f"Host: {host}", *headers, method="POST")

        assert (answer.status, answer.body) == (200, b"what was said")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 101),
        (("Origin: http://localhost",), 101),
        (("Origin: https://evil.example",), 403),
        (("Sec-Fetch-Site: cross-site",), 403),
    ],
)
async def test_a_websocket_is_checked_as_well(headers: tuple[str, ...], status: int) -> None:
    async with asking() as ask:
        answer = await ask("Host: localhost", *HANDSHAKE, *headers, path="/socket")

        assert answer.status == status
        assert ask.reached == ["socket"] * (status == 101)


async def test_a_websocket_of_a_strangers_host_is_refused() -> None:
    async with asking() as ask:
        assert (await ask("Host: evil.example", *HANDSHAKE, path="/socket")).status == 403
        assert ask.reached == []


async def test_what_is_refused_is_told_once_a_second_with_the_name_that_was_asked_for() -> None:
    with capture_logs() as lines:
        async with asking() as ask:
            for _ in range(3):
                await ask("Host: proxy.example:8081")
            await ask("Host: localhost", "Origin: https://evil.example/")

    told = [line for line in lines if line["event"] == "[API] request refused"]
    assert {(line["reason"], line.get("host")) for line in told} == {
        ("host_unknown", "proxy.example:8081"),
        ("cross_site", None),
    }
    assert all("INTERNAL_HOSTS" in line["remedy"] for line in told if line["reason"] == "host_unknown")
    assert "evil" not in str(lines)


@pytest.mark.parametrize("tokens", [False, True])
async def test_a_check_of_http_1_0_without_host_is_answered_and_no_page_can_send_it(*, tokens: bool) -> None:
    """HAProxy asks so. A browser speaks HTTP/1.1 at least, and always names the host."""
    async with asking(tokens=tokens) as ask:
        assert (await ask(version="1.0")).status == 200
        assert (await ask("Origin: http://evil.example", version="1.0")).status == 403
        assert (await ask("Sec-Fetch-Site: cross-site", version="1.0")).status == 403
        assert (await ask(version="1.1")).status == 400
        assert ask.reached == ["thing"]
