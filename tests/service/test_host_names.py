from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.host_names import host_name, requested_host


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8081", "localhost"),
        ("localhost.:8081", "localhost"),
        ("batkol-internal.voice.svc", "batkol-internal.voice.svc"),
        ("my_service", "my_service"),
        ("127.0.0.1", IPv4Address("127.0.0.1")),
        ("10.1.2.3:65535", IPv4Address("10.1.2.3")),
        ("[::1]:8081", IPv6Address("::1")),
        ("[FE80::1]", IPv6Address("fe80::1")),
        ("[::ffff:127.0.0.1]", IPv6Address("::ffff:127.0.0.1")),
    ],
)
def test_a_host_is_read_in_one_way(header: str, host: object) -> None:
    assert requested_host(header) == host


@pytest.mark.parametrize(
    "header",
    [
        "",
        ":8081",
        "localhost:",
        "localhost:65536",
        "localhost:80:80",
        "localhost:8o81",
        "localhost:+80",
        "local host",
        "localhost/",
        "localhost?",
        "localhost#",
        "localhost\\",
        "localhost@evil.example",
        "user@localhost",
        "http://localhost",
        "localhost, evil.example",
        "localhost\n",
        "localhost..",
        ".localhost",
        ".",
        "-a.example",
        "a-.example",
        "%6cocalhost",
        "lócalhost",
        "a" * 64,
        ".".join(["a" * 60] * 5),
        "127.0.0.1.",
        "127.0.0.01",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "evil.0x1",
        "017700000001",
        "127.0.0.1.2",
        "::1",
        "::1:8081",
        "[::1",
        "[::1]8081",
        "[::1%25lo]",
        "[fe80::1%eth0]",
        "[v1.a]",
        "[127.0.0.1]",
        "[]",
        "[::1].",
    ],
)
def test_what_could_be_read_in_two_ways_is_no_host(header: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        requested_host(header)


@given(st.text())
def test_any_text_is_a_host_or_refused(text: str) -> None:
    try:
        host = requested_host(text)
    except ValueError:
        return
    assert not isinstance(host, str) or host == host_name(host)


@given(st.ip_addresses())
def test_every_address_is_read_as_itself(address: IPv4Address | IPv6Address) -> None:
    header = f"[{address}]:8081" if isinstance(address, IPv6Address) else f"{address}:8081"

    assert requested_host(header) == address
