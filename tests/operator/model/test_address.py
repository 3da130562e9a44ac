"""Every address of a VoiceAgent has a host, and a port that there is where it names one: in CEL and in Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.urls import check_endpoint, check_http
from batkol_operator.model.address import WITH_HOST
from batkol_operator.model.agent import SpecError, VoiceAgent
from batkol_operator.model.recognition import Recognition
from support.kube.schema_admission import SCHEMA, complaints, defaulted
from support.operators.addresses import ADDRESSES
from support.operators.agents import document

PORTS = ("0", "65536", "99999", "abc", "-1", "080", "")
ALL_REFUSED = ("", ":443", *(f"host:{port}" for port in PORTS), "a..b", "a b", "[::1", "[::1]443")
SOME_REFUSED = ("", ":443", "host:0", "host:99999", "host:abc")
ALL_TAKEN = ("host:1", "host:9", "host:9999", "host:10000", "host:65535", "my_host.example.:443", "127.0.0.1:80")


def complained(place: str, at: str) -> list[str]:
    """What the API server says of that field."""
    found = complaints(defaulted(SCHEMA, document(**ADDRESSES[place](at))))
    where = re.sub(r"\[(\d+)\]", r".\1", place.strip())  # as JSON Schema has it
    return [each for each in found if each.startswith((f"spec.{place.strip()}: ", f"spec.{where}: "))]


def addresses(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        if re.search(r"(?:\.u|U)rl$|[eE]ndpoint$", f"{path}.{name}") and inner["type"] == "string":
            yield f"{path}.{name}".lstrip(".")
        yield from addresses(inner, f"{path}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from addresses(schema["items"], f"{path}[0]")


def test_every_address_is_looked_at_below() -> None:
    assert set(addresses(SCHEMA["properties"]["spec"])) == {place.strip() for place in ADDRESSES}


@pytest.mark.parametrize("place", ADDRESSES)
def test_an_address_without_a_host_or_with_a_port_that_there_is_not_is_refused_at_its_place(place: str) -> None:
    refused = ALL_REFUSED if place in ("recognition.endpoint", "reply.tools[0].url", "sinks[0].url ") else SOME_REFUSED
    empty_is_googles = place.endswith("endpoint") and not place.startswith("telemetry")
    bad = [at for at in refused if at or not empty_is_googles]

    assert [at for at in bad if not complained(place, at)] == []
    for at in bad:
        with pytest.raises(SpecError, match=re.escape(f"`spec.{place.strip()}`")):
            VoiceAgent.read(document(**ADDRESSES[place](at)))


@pytest.mark.parametrize("place", ADDRESSES)
def test_every_port_that_there_is_is_taken(place: str) -> None:
    taken = ALL_TAKEN if place in ("recognition.endpoint", "reply.tools[0].url", "sinks[0].url ") else ALL_TAKEN[4:5]

    assert [(at, complained(place, at)) for at in (*taken, "[::1]:443") if complained(place, at)] == []
    for at in (*taken, "[::1]:443"):
        assert VoiceAgent.read(document(**ADDRESSES[place](at))).metadata.name == "reception"


@pytest.mark.parametrize("place", [place for place in ADDRESSES if "ndpoint" not in place or "telemetry" in place])
def test_a_url_needs_no_port(place: str) -> None:
    assert complained(place, "host") == []


def test_the_refusal_is_a_sentence_and_no_expression() -> None:
    assert complained("recognition.whisper.url", "host:99999") == [
        "spec.recognition.whisper.url: must have a host after `://`, and no port or one from 1 to 65535 behind it"
    ]
    assert complained("recognition.endpoint", "host:99999") == [
        "spec.recognition.endpoint: must be host:port, with a port from 1 to 65535 and without a scheme and a path"
    ]


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        *((host, True) for host in ("flagd.flags", "10.0.0.1", "[::1]")),
        *((host, False) for host in ("flagd:8015", "::1", "", ":8015", "http://flagd", "flagd\n")),
    ],
)
def test_the_host_of_flagd_is_one_without_a_port(host: str, taken: bool) -> None:
    body = document(flagd={"host": host})

    assert (list(complaints(defaulted(SCHEMA, body))) == []) is taken
    if not taken:
        with pytest.raises(SpecError, match=r"`spec\.flagd\.host`"):
            VoiceAgent.read(body)


def serves(check: Callable[[str], None], text: str) -> bool:
    try:
        check(text)
    except ValueError:
        return False
    return True


@given(st.one_of(st.text("ab.-_~%:/@?#[]0156", max_size=12), st.integers(0, 70_000).map(lambda port: f"host:{port}")))
def test_the_definition_and_the_service_read_an_address_alike(authority: str) -> None:
    """The service alone reads what is in the brackets of an IPv6 address, and where a user ends."""
    url, simple = f"http://{authority}", not re.search(r"[\[\]@]", authority)
    served, taken = serves(check_http, url), WITH_HOST.rule.holds(url)

    assert taken or not served
    assert served or not (taken and simple)
    as_endpoint = serves(check_endpoint, authority)
    assert (_is_endpoint(authority), as_endpoint) in ((True, True), (False, False), (not simple, False))


def test_no_line_break_follows_an_address() -> None:
    """Python's `$` lets one follow, the API server's does not, and the service refuses it."""
    assert not WITH_HOST.rule.holds("http://host\n")
    assert not WITH_HOST.rule.holds("http://host:80\n")
    assert not _is_endpoint("host:80\n")
    assert not _is_endpoint("\n")


def _is_endpoint(text: str) -> bool:
    try:
        Recognition(endpoint=text)
    except ValueError:
        return False
    return text != ""
