from typing import Any

import pytest

from batkol.client.events import UnknownEvent
from batkol.client.streams import CallStreams
from batkol.events.events import CallEnded, CallStarted, Event, FeedGap, KeyPressed


def at(stream: str, kind: type[Event], **fields: Any) -> Event:
    return kind(call_sid="CA1", stream_sid=stream, seq=1, at=0.0, **fields)


def started(stream: str) -> Event:
    return at(stream, CallStarted, agent="a", direction="inbound", streaming=True)


def key(stream: str) -> Event:
    return at(stream, KeyPressed, digit="1")


def ended(stream: str, reason: str = "stop") -> Event:
    none: dict[str, Any] = {"duration_s": 1.0, "utterances": 0, "words": 0, "finals": {}, "fallbacks": 0}
    return at(stream, CallEnded, reason=reason, **none, sessions=0, gap_ms=0, close_code=None)


@pytest.mark.parametrize(
    ("events", "over", "moves"),
    [
        ([], False, False),
        ([started("a")], False, False),
        ([started("a"), ended("a")], True, False),
        ([ended("a")], True, False),
        ([ended("a"), key("a")], True, False),  # late, of an ended stream
        ([key("a"), started("b"), ended("a")], False, False),
        ([started("a"), started("b"), ended("b"), ended("a")], True, False),
        ([started("a"), ended("a", "drained")], False, True),
        ([started("a"), ended("a", "pod_left")], True, False),  # from the console's phone: no other pod has it
        ([started("a"), ended("a", "drained"), started("b")], False, False),
        ([started("a"), ended("a", "drained"), started("b"), ended("b")], True, False),
        ([started("a"), FeedGap(missed_from=""), UnknownEvent(type="x", data="{}"), ended("a")], True, False),
    ],
)
def test_a_call_is_over_when_its_streams_are_and_none_was_drained(events: list[Any], over: bool, moves: bool) -> None:
    streams = CallStreams()
    for event in events:
        streams.observe(event)

    assert (streams.over, streams.moves) == (over, moves)
