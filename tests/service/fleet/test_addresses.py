from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from batkol.fleet.addresses import MOST_PEERS, Addresses
from batkol.fleet.endpoint import Endpoint, endpoint


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("Reception-Fleet:8081", "reception-fleet", 8081), ("10.0.0.1:1", "10.0.0.1", 1), ("[FD00::1]:99", "fd00::1", 99)],
)
def test_an_endpoint_is_read_and_written(text: str, host: str, port: int) -> None:
    read = endpoint(text)

    assert read == Endpoint(host, port)
    assert endpoint(str(read)) == read


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":80", "host:0", "host:65536", "http://host:80", "u:p@host:80", "[::g]:1", "ho st:1"]
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        endpoint(text)


async def test_addresses_are_taken_as_they_are() -> None:
    names = [Endpoint("127.0.0.1", 2), Endpoint("::1", 3), Endpoint("127.0.0.1", 1)]
    found = await Addresses(names).current()

    assert found.addresses == (Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2), Endpoint("::1", 3))
    assert found.failed == ()


async def test_a_name_is_resolved() -> None:
    found = await Addresses([Endpoint("localhost", 8081)]).current()

    assert set(found.addresses) & {Endpoint("127.0.0.1", 8081), Endpoint("::1", 8081)}


class NameServer:
    """Answers of DNS, in the loop's place."""

    def __init__(self) -> None:
        self.asked = 0
        self.hosts: list[str] | None = []

    async def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked += 1
        if self.hosts is None:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in self.hosts]


def name_server(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    """Put one into the place of the loop's resolver."""
    server = NameServer()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", server)
    return server


@pytest.mark.virtual_time
class TestOfAName:
    async def test_it_is_looked_up_again_when_the_answer_is_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        dns = name_server(monkeypatch)
        addresses = Addresses([Endpoint("pods", 1)], fresh_s=2.0)
        dns.hosts = ["10.0.0.1"]
        assert (await addresses.current()).addresses == (Endpoint("10.0.0.1", 1),)
        dns.hosts = ["10.0.0.2", "10.0.0.1"]
        await addresses.current()
        assert dns.asked == 1
        await asyncio.sleep(2.0)
        assert (await addresses.current()).addresses == (Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 1))

    async def test_what_it_had_stays_while_dns_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        dns = name_server(monkeypatch)
        addresses = Addresses([Endpoint("pods", 1)], fresh_s=0.0)
        dns.hosts = None
        assert await addresses.current() == ((), (Endpoint("pods", 1),))
        dns.hosts = ["10.0.0.1"]
        await addresses.current()
        dns.hosts = None
        assert await addresses.current() == ((Endpoint("10.0.0.1", 1),), ())

    async def test_one_look_up_serves_all_who_ask_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        dns = name_server(monkeypatch)
        addresses = Addresses([Endpoint("pods", 1)])
        await asyncio.gather(*(addresses.current() for _ in range(5)))

        assert dns.asked == 1

    async def test_no_more_pods_are_asked_than_a_cursor_can_hold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        dns = name_server(monkeypatch)
        dns.hosts = [f"10.0.{number // 250}.{number % 250}" for number in range(MOST_PEERS + 50)]

        assert len((await Addresses([Endpoint("pods", 1)]).current()).addresses) == MOST_PEERS
