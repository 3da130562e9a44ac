"""A snapshot of the live calls, and the feed that joins it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from batkol.client import Batkol, ClientError, ClientLimits, FeedGap, Followed, FollowedCalls, LiveCall, LiveCalls
from batkol.events.events import KeyPressed
from support.http.scripted_server import CUT, Part, answered, feed, message, raw, refused, scripted

GAP = raw("gap", b'{"type":"gap","missed_from":"b-4"}', "c-1")


def key(number: int, stream: str = "MZ1") -> KeyPressed:
    return KeyPressed(call_sid="CA1", stream_sid=stream, seq=number, at=2.0, digit="5")


def calls(cursor: str, **last: int) -> Part:
    """The live calls, each with its stream's last event."""
    shown = [{"call_sid": "CA1", "stream_sid": stream, "seq": seq, "agent": "a"} for stream, seq in last.items()]
    return answered({"calls": shown, "cursor": cursor})


def live(cursor: str, **last: int) -> LiveCalls:
    found = tuple(LiveCall(call_sid="CA1", stream_sid=stream, seq=seq, agent="a") for stream, seq in last.items())
    return LiveCalls(calls=found, cursor=cursor)


async def taken(following: FollowedCalls, count: int) -> list[Followed]:
    async with asyncio.timeout(20):
        return [await anext(following) for _ in range(count)]


async def test_the_live_calls_come_first_and_the_feed_goes_on_from_their_moment() -> None:
    parts = calls("b-4", MZ1=3), feed(message(key(4), "b-5"), message(key(1, "MZ2"), "b-6"))
    async with scripted(*parts) as server, Batkol(server.url) as batkol, batkol.following() as following:
        assert await taken(following, 3) == [live("b-4", MZ1=3), key(4), key(1, "MZ2")]

    assert [request.path for request in server.asked] == ["/v1/calls", "/v1/events"]
    assert server.cursors == [None, "b-4"]


async def test_what_a_snapshot_has_in_it_does_not_come_again() -> None:
    """A fleet's cursor may be a little older than what a pod answers."""
    parts = calls("b-2", MZ1=3), feed(*(message(key(number), f"b-{number}") for number in range(1, 6)))
    async with scripted(*parts) as server, Batkol(server.url) as batkol, batkol.following() as following:
        assert await taken(following, 3) == [live("b-2", MZ1=3), key(4), key(5)]


async def test_a_dropped_connection_is_resumed_without_a_new_snapshot() -> None:
    parts = calls("b-4", MZ1=3), feed(message(key(4), "b-5"), CUT), feed(message(key(5), "b-6"))
    async with scripted(*parts) as server, Batkol(server.url) as batkol, batkol.following() as following:
        assert await taken(following, 3) == [live("b-4", MZ1=3), key(4), key(5)]

    assert server.cursors == [None, "b-4", "b-5"]


async def test_after_a_gap_come_the_live_calls_anew() -> None:
    parts = (
        calls("b-4", MZ1=3),
        feed(GAP, message(key(9), "c-2")),
        calls("c-5", MZ2=2),
        feed(message(key(3, "MZ2"), "c-6")),
    )
    async with scripted(*parts) as server, Batkol(server.url) as batkol, batkol.following() as following:
        got = await taken(following, 4)

    assert got == [live("b-4", MZ1=3), FeedGap(missed_from="b-4"), live("c-5", MZ2=2), key(3, "MZ2")]
    assert server.cursors == [None, "b-4", None, "c-5"]


async def test_a_service_that_never_goes_on_from_its_own_snapshot_is_not_asked_in_a_circle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float, *rest: Any) -> None:
        waits.append(seconds)
        await sleep(0)

    parts = [calls("b-4"), feed(GAP)] * 5
    async with scripted(*parts) as server, Batkol(server.url) as batkol, batkol.following() as following:
        monkeypatch.setattr("batkol.client.joined.asyncio.sleep", noted)
        await taken(following, 9)
        monkeypatch.undo()

    asked = [wait for wait in waits if wait > 0.2]
    assert len(asked) == 3  # the first gap may be one that was waited for; those after it are not
    assert asked[0] < asked[1] < asked[2]


async def test_calls_and_events_of_one_agent() -> None:
    shown: dict[str, Any] = {"calls": [{"call_sid": "CA1", "agent": "a"}, {"call_sid": "CA2", "agent": "b"}]}
    shown |= {"cursor": "b-1", "peers": [{"pod": "p", "reachable": False, "why": "it hangs"}]}
    async with (
        scripted(answered(shown), feed()) as server,
        Batkol(server.url) as batkol,
        batkol.following(agent="b", types=["final"]) as following,
    ):
        (found,) = await taken(following, 1)

    assert isinstance(found, LiveCalls)
    assert [call.call_sid for call in found] == ["CA2"]
    assert (len(found), found.peers[0].why) == (1, "it hangs")
    assert server.asked[1].query == {"scope": "fleet", "agent": "b", "type": "final"}


async def test_a_snapshot_that_cannot_be_had_is_waited_for_and_one_that_is_none_is_not() -> None:
    parts = refused(503), calls("b-4"), feed()
    async with scripted(*parts) as server, Batkol(server.url) as batkol, batkol.following() as following:
        assert await taken(following, 1) == [live("b-4")]
    async with scripted(answered(json.dumps([1]).encode())) as server, Batkol(server.url) as batkol:
        with pytest.raises(ClientError, match="not what this version reads"):
            await anext(batkol.following())


async def test_a_wait_that_is_cancelled_loses_nothing_and_a_block_that_is_left_begins_anew() -> None:
    parts = calls("b-4"), feed(), feed(message(key(5), "b-5")), calls("b-9"), feed()
    async with scripted(*parts) as server, Batkol(server.url) as batkol:
        async with batkol.following() as following:
            await taken(following, 1)
            waiting = asyncio.create_task(anext(following))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert await taken(following, 1) == [key(5)]
        assert await taken(following, 1) == [live("b-9")]
        await following.close()

    assert server.cursors == [None, "b-4", "b-4", None, "b-9"]
    assert ClientLimits().silence_s == 50.0
