"""TwiML that Twilio takes, and refusals of what it would not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.errors import ConfigurationError
from batkol.twilio.twiml import (
    TOKEN_PARAMETER,
    apologize,
    apology,
    connect_stream,
    hand_over,
    redirect,
    stream_url,
)

URL = "wss://voice.example.com/twilio/media"


Shape = tuple[str, dict[str, str], str, list[Any]]


def shape(element: ET.Element) -> Shape:
    return (element.tag, dict(element.attrib), (element.text or ""), [shape(child) for child in element])


def test_connects_the_stream_and_then_hangs_up() -> None:
    twiml = connect_stream(
        url=URL,
        token="abc",
        name='1f"',
        status_callback="https://voice.example.com/twilio/stream-status",
        action="https://voice.example.com/next?a=1&b=2",
        parameters={"agent": 'Dana & "Co" <דנה>\n'},
    )
    assert twiml.startswith('<?xml version="1.0" encoding="UTF-8"?><Response>')
    stream: Shape = (
        "Stream",
        {"url": URL, "name": '1f"', "statusCallback": "https://voice.example.com/twilio/stream-status"},
        "",
        [
            ("Parameter", {"name": TOKEN_PARAMETER, "value": "abc"}, "", []),
            ("Parameter", {"name": "agent", "value": 'Dana & "Co" <דנה>\n'}, "", []),
        ],
    )
    connect: Shape = ("Connect", {"action": "https://voice.example.com/next?a=1&b=2"}, "", [stream])
    assert shape(ET.fromstring(twiml.encode())) == ("Response", {}, "", [connect, ("Hangup", {}, "", [])])


def test_a_stream_that_we_close_is_followed_by_what_was_asked_for() -> None:
    moved = ET.fromstring(connect_stream(url=URL, token="t", then=hand_over("https://h/v?again=1&b=2", after_s=2)))
    assert [(verb.tag, verb.text, dict(verb.attrib)) for verb in moved][1:] == [
        ("Pause", None, {"length": "2"}),
        ("Redirect", "https://h/v?again=1&b=2", {"method": "POST"}),
    ]
    sorry = ET.fromstring(connect_stream(url=URL, token="t", then=apologize("he-IL", "סליחה")))
    assert [verb.tag for verb in sorry] == ["Connect", "Say", "Hangup"]


def test_a_redirect_can_wait() -> None:
    assert [verb.tag for verb in ET.fromstring(redirect("https://h/v"))] == ["Redirect"]
    assert [verb.tag for verb in ET.fromstring(redirect("https://h/v", after_s=1))] == ["Pause", "Redirect"]


def test_leaves_out_what_is_not_given() -> None:
    assert connect_stream(url=URL, token="t").count("=") == 5  # version, encoding, url, name, value


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://voice.example.com", "wss://voice.example.com/twilio/media"),
        ("https://voice.example.com/", "wss://voice.example.com/twilio/media"),
        ("https://voice.example.com/il/v2/", "wss://voice.example.com/il/v2/twilio/media"),
        ("https://voice.example.com:443", "wss://voice.example.com/twilio/media"),
        ("https://voice.example.com:8443", "wss://voice.example.com:8443/twilio/media"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/twilio/media"),
        ("http://localhost:80/x", "ws://localhost/x/twilio/media"),
        ("https://[::1]:443", "wss://[::1]/twilio/media"),
    ],
)
def test_the_public_base_becomes_the_streams_url(base: str, url: str) -> None:
    assert stream_url(base) == url
    assert f'url="{url}"' in connect_stream(url=url, token="t")


@pytest.mark.parametrize(
    "base",
    ["", "voice.example.com", "wss://voice.example.com", "https://", "https://h/?a=1", "https://h/#x", "https://[h"],
)
def test_another_public_base_is_refused(base: str) -> None:
    with pytest.raises(ConfigurationError):
        stream_url(base)


@pytest.mark.parametrize(
    "url",
    [
        "https://h/m",
        "h/m",
        "wss:///m",
        "wss://h/m?token=1",
        "wss://h/m?",
        "wss://h/m#x",
        "wss://me:secret@h/m",
        "wss://h:99999/m",
        "wss://h:x/m",
    ],
)
def test_a_url_that_twilio_could_not_dial_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect_stream(url=url, token="t")
    assert "secret" not in str(caught.value)


def test_a_default_port_is_not_written() -> None:
    """Twilio signs the URL as written, and validators leave the port out."""
    assert 'url="wss://h/m"' in connect_stream(url="wss://h:443/m", token="t")


def test_a_parameter_has_fewer_than_500_characters() -> None:
    connect_stream(url=URL, token="t", parameters={"n": "v" * 498})
    for parameters in ({"n": "v" * 499}, {"": "v"}):
        with pytest.raises(ConfigurationError):
            connect_stream(url=URL, token="t", parameters=parameters)
    with pytest.raises(ConfigurationError):
        connect_stream(url=URL, token="t" * 495)


def test_the_tokens_name_is_taken() -> None:
    with pytest.raises(ConfigurationError):
        connect_stream(url=URL, token="t", parameters={TOKEN_PARAMETER: "mine"})


@pytest.mark.parametrize("text", ["\x00", "\x1b", "\ud800", "￾"])
def test_what_xml_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        connect_stream(url=URL, token="t", parameters={"n": text})
    with pytest.raises(ConfigurationError):
        apology("he-IL", text)


@pytest.mark.parametrize("url", ["/relative", "ftp://h/x", "https:///x", "https://h/\x01", "https://[h"])
def test_callbacks_are_absolute_urls(url: str) -> None:
    makers: tuple[Callable[[], str], ...] = (
        lambda: connect_stream(url=URL, token="t", status_callback=url),
        lambda: connect_stream(url=URL, token="t", action=url),
        lambda: redirect(url),
    )
    for make in makers:
        with pytest.raises(ConfigurationError):
            make()


@pytest.mark.parametrize("language", ["he-IL", "iw-IL", "he"])
def test_apologises_in_hebrew(language: str) -> None:
    say: Shape = ("Say", {"language": "he-IL", "voice": "Google.he-IL-Standard-A"}, "כל הקווים תפוסים & <עמוסים>", [])
    twiml = apology(language, "כל הקווים תפוסים & <עמוסים>")
    assert shape(ET.fromstring(twiml.encode())) == ("Response", {}, "", [say, ("Hangup", {}, "", [])])


def test_apologises_in_another_language_with_twilios_own_voice() -> None:
    assert '<Say language="en-GB">Sorry.</Say>' in apology("en-GB", "Sorry.")


def test_redirects_elsewhere() -> None:
    expected: Shape = ("Response", {}, "", [("Redirect", {"method": "POST"}, "https://h/x?a=1&b=2", [])])
    assert shape(ET.fromstring(redirect("https://h/x?a=1&b=2"))) == expected


@given(st.text(min_size=1, max_size=40), st.text(max_size=400))
def test_a_parameter_comes_back_as_it_went_or_is_refused(name: str, value: str) -> None:
    try:
        twiml = connect_stream(url=URL, token="t", parameters={f"x{name}": value})
    except ConfigurationError:
        return
    parameter = ET.fromstring(twiml.encode()).findall("Connect/Stream/Parameter")[1]
    assert (parameter.get("name"), parameter.get("value")) == (f"x{name}", value)
