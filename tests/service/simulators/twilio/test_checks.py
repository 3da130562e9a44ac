"""As strict as Twilio, and a buffer that plays like Twilio's."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.simulators.twilio.checks import (
    LONGEST_NAME,
    MOST_MARKS,
    Cleared,
    MarkAsked,
    Sound,
    TwilioBuffer,
    Violation,
    inspect,
)
from batkol.twilio.messages import encode_clear, encode_mark, encode_media

SID = "MZ1"


def media(**changes: Any) -> str:
    return json.dumps({"event": "media", "streamSid": SID, "media": {"payload": "//8="}} | changes)


def test_takes_what_the_service_writes() -> None:
    assert inspect(encode_media(SID, b"\x00\xff"), SID) == Sound(b"\x00\xff")
    assert inspect(encode_mark(SID, "סימן"), SID) == MarkAsked("סימן")
    assert inspect(encode_clear(SID), SID) == Cleared()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{}", 31950),
        (media().encode(), 31950),
        ("", 31951),
        ("nonsense", 31951),
        ("[]", 31951),
        ("[" * 100_000, 31951),
        ("9" * 5000, 31951),
        ("{}", 31951),
        ('{"event":[]}', 31951),
        ('{"event":"stop","streamSid":"MZ1"}', 31951),
        ('{"event":"media","streamSid":"MZ1"}', 31951),
        (media(track="outbound"), 31951),
        (media(streamSid="MZ2"), 31951),
        (media(streamSid=1), 31951),
        (media(media={}), 31951),
        (media(media=[]), 31951),
        (media(media={"payload": "//8=", "track": "outbound"}), 31951),
        (media(media={"payload": 5}), 31951),
        (media(media={"payload": "//8"}), 31951),
        (media(media={"payload": "//8=\n"}), 31951),
        (media(media={"payload": "שלום"}), 31951),
        (media(media={"payload": base64.b64encode(b"RIFF....WAVE").decode()}), 31951),
        ('{"event":"mark","streamSid":"MZ1","mark":{"name":""}}', 31951),
        ('{"event":"clear","streamSid":"MZ1","clear":{}}', 31951),
    ],
)
def test_refuses_what_twilio_refuses(message: str | bytes, code: int) -> None:
    found = inspect(message, SID)
    assert isinstance(found, Violation)
    assert found.code == code


@given(st.text() | st.binary())
def test_anything_at_all_can_be_inspected(message: str | bytes) -> None:
    assert inspect(message, SID) is not None


def test_a_mark_is_due_when_what_came_before_it_has_been_played() -> None:
    playout = TwilioBuffer()
    playout.mark("nothing before", 10.0)
    assert playout.due(10.0) == ["nothing before"]
    assert playout.append(8000, 10.0)
    assert playout.append(4000, 10.5)
    playout.mark("end", 10.5)
    assert playout.playing(11.4)
    assert playout.due(11.4) == []
    assert playout.due(11.5) == ["end"]
    assert playout.due(11.5) == []
    assert not playout.playing(11.5)


def test_marks_without_end_are_not_kept() -> None:
    playout = TwilioBuffer()
    assert playout.append(8000, 0.0)

    assert all(playout.mark("m", 0.0) for _ in range(MOST_MARKS))
    assert not playout.mark("m", 0.0)
    assert len(playout.due(2.0)) == MOST_MARKS
    assert playout.mark("m", 2.0)


@pytest.mark.parametrize("name", ["", "x" * (LONGEST_NAME + 1)])
def test_a_mark_has_a_name_and_no_book(name: str) -> None:
    found = inspect(json.dumps({"event": "mark", "streamSid": SID, "mark": {"name": name}}), SID)

    assert isinstance(found, Violation)
    assert f"{len(name)} characters" in found.text


def test_clear_makes_every_mark_due() -> None:
    playout = TwilioBuffer()
    playout.append(80_000, 0.0)
    playout.mark("a", 0.0)
    playout.mark("b", 0.0)
    playout.clear(1.0)
    assert playout.due(1.0) == ["a", "b"]
    assert not playout.playing(1.0)


def test_more_than_ten_minutes_are_thrown_away() -> None:
    playout = TwilioBuffer(speed=2.0)
    assert playout.append(599 * 8000, 0.0)
    assert not playout.append(2 * 8000, 0.0)
    assert playout.append(2 * 8000, 1.0)
