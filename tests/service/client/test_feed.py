"""The event feed against servers that drop, refuse, hold back and change: what the user gets, and what is asked for."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

import pytest

from batkol.client import (
    AnyEvent,
    Batkol,
    BusyError,
    CallOverError,
    ClientError,
    ClientLimits,
    EventFeed,
    FeedEndedError,
    FeedEvent,
    FeedGap,
    PeerPod,
    PeersChanged,
    ServiceUnreachableError,
    UnexpectedAnswerError,
    UnknownEvent,
)
from batkol.events.events import CallEnded, CallStarted, KeyPressed, PartialText
from support.http.plain import chunk
from support.http.scripted_server import (
    CUT,
    END,
    HEAD,
    LISTENING,
    ScriptedServer,
    answered,
    feed,
    message,
    raw,
    refused,
    scripted,
)

QUICK = ClientLimits()
PARTIAL = PartialText(
    call_sid="CA1",
    stream_sid="MZ1",
    seq=2,
    at=1.5,
    utterance_id="CA1-0",
    index=0,
    text="שלום\nתודה",
    stability=0.5,
    number=1,
)


def key(number: int, stream: str = "MZ1") -> AnyEvent:
    return KeyPressed(call_sid="CA1", stream_sid=stream, seq=number, at=2.0, digit="5")


def started(number: int = 1, stream: str = "MZ1") -> AnyEvent:
    return CallStarted(
        call_sid="CA1", stream_sid=stream, seq=number, at=1.0, agent="a", direction="inbound", streaming=True
    )


def ended(number: int, reason: str = "stop", stream: str = "MZ1") -> AnyEvent:
    none: dict[str, Any] = {"duration_s": 1.0, "utterances": 0, "words": 0, "finals": {}, "fallbacks": 0}
    own: dict[str, Any] = {"call_sid": "CA1", "stream_sid": stream, "seq": number, "at": 3.0, "reason": reason}
    return CallEnded(**own, **none, sessions=0, gap_ms=0, close_code=None)


def sent(number: int) -> bytes:
    return message(key(number), f"b-{number}")


async def taken(events: EventFeed, count: int) -> list[FeedEvent]:
    async with asyncio.timeout(20):
        return [await anext(events) for _ in range(count)]


async def whole(events: EventFeed) -> list[FeedEvent]:
    async with asyncio.timeout(20):
        return [event async for event in events]


def client(server: ScriptedServer, give_up_s: float = 20.0, limits: ClientLimits = QUICK) -> Batkol:
    return Batkol(server.url, "a-token", give_up_s=give_up_s, limits=limits)


async def test_events_arrive_as_they_were_published_and_the_request_says_what_is_wanted() -> None:
    """In small pieces, with comments between them; what this version does not know is handed on as it came."""
    stream = b"id: b-1\nevent: partial\ndata: " + _json(PARTIAL) + b"\n\n: still here\n\n"
    stream += b'id: b-2\nevent: from.the.future\ndata: {"call_sid": "CA1", "new": [1]}\n\n'
    stream += b"event: dtmf\nid: b-3\ndata: " + _json(key(3))[:-1] + b', "newer": {"a": 1}}\n\n'
    pieces = [chunk(stream[at : at + 7]) for at in range(0, len(stream), 7)]
    async with scripted(feed(*pieces)) as server, client(server) as batkol:
        events = batkol.events(agent="clinic", types=["partial", "final"], scope="fleet")
        got = [await taken(events, 1), await taken(batkol.events(), 3)]

    assert got[1] == [PARTIAL, UnknownEvent(type="from.the.future", data='{"call_sid": "CA1", "new": [1]}'), key(3)]
    assert isinstance(got[1][1], UnknownEvent)
    assert got[1][1].fields() == {"call_sid": "CA1", "new": [1]}
    first = server.asked[0]
    assert (first.method, first.path) == ("GET", "/v1/events")
    assert first.query == {"scope": "fleet", "agent": "clinic", "type": "final"}  # the first of two
    assert first.headers["accept"] == "text/event-stream"
    assert first.headers["accept-encoding"] == "identity"
    assert first.headers["authorization"] == "Bearer a-token"
    assert "last-event-id" not in first.headers


def _json(event: AnyEvent) -> bytes:
    from batkol.events.events import encode

    return encode(event)


@pytest.mark.parametrize("break_off", [CUT, END, b"0zz\r\n"], ids=["cut", "end", "not HTTP"])
async def test_a_feed_that_breaks_goes_on_after_the_last_event_that_was_handed_on(
    break_off: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    parts = [feed(sent(1), sent(2), break_off), feed(sent(3), break_off), refused(503), feed(sent(4))]
    with caplog.at_level(logging.WARNING, "batkol.client"):
        async with scripted(*parts) as server, client(server) as batkol:
            assert await taken(batkol.events(), 4) == [key(1), key(2), key(3), key(4)]

    assert server.cursors == [None, "b-2", "b-3", "b-3"]
    assert [line.levelname for line in caplog.records] == ["WARNING"] * 3
    assert "a-token" not in caplog.text


async def test_a_cursor_without_an_event_is_where_a_feed_goes_on_too() -> None:
    """A reader that wants few types is told how far it is, and does not ask for what it did not want again."""
    async with scripted(feed(sent(1), chunk(b"id: b-90\n\n"), CUT), feed(sent(91))) as server, client(server) as batkol:
        assert await taken(batkol.events(), 2) == [key(1), key(91)]

    assert server.cursors == [None, "b-90"]


async def test_a_cursor_of_an_earlier_feed_is_gone_on_from_and_the_feed_shows_its_own() -> None:
    async with scripted(feed(sent(5), sent(6))) as server, client(server) as batkol:
        events = batkol.events(after="b-4")
        assert events.cursor == "b-4"
        await taken(events, 1)
        assert events.cursor == "b-5"  # and not that of what has arrived and was not handed on

    assert server.cursors == ["b-4"]


async def test_a_feed_that_is_cancelled_loses_nothing() -> None:
    async with scripted(feed(sent(1)), feed(sent(2))) as server, client(server) as batkol:
        events = batkol.events()
        assert await taken(events, 1) == [key(1)]
        waiting = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await taken(events, 1) == [key(2)]

    assert server.cursors == [None, "b-1"]


async def test_a_silent_connection_is_replaced() -> None:
    """A peer that is gone without a word, or a proxy that forgot the connection."""
    limits = QUICK._replace(silence_s=0.05)
    async with scripted(feed(sent(1)), feed(sent(2))) as server, client(server, limits=limits) as batkol:
        assert await taken(batkol.events(), 2) == [key(1), key(2)]

    assert server.cursors == [None, "b-1"]


async def test_a_proxy_that_holds_a_feed_back_is_named() -> None:
    limits = QUICK._replace(answer_s=1.0)
    async with scripted(feed(head=HEAD)) as server, client(server, give_up_s=0, limits=limits) as batkol:
        with pytest.raises(ServiceUnreachableError, match="buffering"):
            await anext(batkol.events())


async def test_a_proxy_that_hands_on_in_large_pieces_costs_time_and_no_event() -> None:
    many = b"".join(sent(number) for number in range(1, 200))
    async with scripted(feed(many[:5000], many[5000:])) as server, client(server) as batkol:
        assert await taken(batkol.events(), 199) == [key(number) for number in range(1, 200)]


async def test_a_gap_and_a_change_of_the_peers_are_events_whatever_types_are_wanted() -> None:
    gap = raw("gap", b'{"type":"gap","missed_from":"b-1"}', "c-4")
    peers = raw("peers", b'{"type":"peers","peers":[{"pod":"p","reachable":false,"why":"it hangs"}]}', "c-4")
    async with scripted(feed(gap, peers, message(key(9), "c-5"))) as server, client(server) as batkol:
        got = await taken(batkol.events(types=["dtmf"], after="b-1"), 3)

    assert got == [
        FeedGap(missed_from="b-1"),
        PeersChanged(peers=(PeerPod(pod="p", reachable=False, why="it hangs"),)),
        key(9),
    ]


async def test_a_feed_of_all_calls_keeps_nothing_of_those_that_are_over() -> None:
    async def used(calls: int) -> int:
        parts = [message(ended(1, stream=f"MZ{number}"), f"b-{number}") for number in range(1, calls + 1)]
        async with scripted(feed(*parts)) as server, client(server) as batkol:
            events = batkol.events()
            await taken(events, calls)
            return deep_size(events)

    few, many = await used(10), await used(1000)
    assert many < few + 1000


def deep_size(root: object) -> int:
    """Return the bytes of the streams' names that are reachable from an object of the client."""
    seen, waiting, size = set[int](), [root], 0
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, str):
            size += len(each) if each.startswith("MZ") else 0
        elif isinstance(each, dict | set | list | tuple):
            waiting += each
            waiting += each.values() if isinstance(each, dict) else ()
        elif type(each).__module__.startswith("batkol.client"):
            waiting += getattr(each, "__dict__", {}).values()
            waiting += (getattr(each, name) for name in getattr(each, "__slots__", ()) if hasattr(each, name))
    return size


async def test_an_event_that_cannot_be_read_is_an_error_and_is_met_once() -> None:
    """Passed over, its words would be lost without a sign; met for ever, all others would."""
    broken = raw("partial", b'{"type":"partial"}', "b-1")
    async with scripted(feed(broken), feed(sent(2))) as server, client(server) as batkol:
        events = batkol.events()
        with pytest.raises(UnexpectedAnswerError, match=r"`partial` event.*own version"):
            await anext(events)
        assert await taken(events, 1) == [key(2)]

    assert server.cursors == [None, "b-1"]


async def test_the_feed_of_a_call_ends_with_the_call() -> None:
    calls_feed = feed(message(started(), "b-1"), message(ended(2), "b-2"), END)
    async with scripted(calls_feed) as server, client(server) as batkol:
        assert await whole(batkol.call("CA1").events()) == [started(), ended(2)]

    assert [request.path for request in server.asked] == ["/v1/calls/CA1/events"]


async def test_types_of_a_calls_feed_do_not_hide_its_end() -> None:
    calls_feed = feed(message(started(), "b-1"), sent(2), message(ended(3), "b-3"), END)
    async with scripted(calls_feed) as server, client(server) as batkol:
        assert await whole(batkol.call("CA1").events(types=["dtmf"])) == [key(2)]

    assert len(server.asked) == 1


async def test_a_call_whose_end_was_missed_ends_in_a_gap() -> None:
    async with scripted(feed(sent(1), CUT), refused(404, "There is no live call.")) as server, client(server) as batkol:
        assert await whole(batkol.call("CA1").events()) == [key(1), FeedGap(missed_from="b-1")]


async def test_a_call_that_was_read_to_its_end_ends_there() -> None:
    async with scripted(feed(sent(1), CUT), refused(204)) as server, client(server) as batkol:
        assert await whole(batkol.call("CA1").events()) == [key(1)]
        assert await whole(batkol.call("CA1").events(after="b-1")) == []


async def test_a_call_that_moves_to_another_pod_is_followed_there() -> None:
    drained = feed(message(started(), "b-1"), message(ended(2, "drained"), "b-2"), END)
    there = feed(message(started(1, "MZ2"), "c-1"), message(ended(2, stream="MZ2"), "c-2"), END)
    not_yet = refused(404, "There is no live call.")
    async with scripted(drained, not_yet, not_yet, there) as server, client(server) as batkol:
        got = await whole(batkol.call("CA1").events())

    assert got == [started(), ended(2, "drained"), started(1, "MZ2"), ended(2, stream="MZ2")]
    assert server.cursors == [None, "b-2", "b-2", "b-2"]


async def test_a_call_that_is_not_live_is_an_error_of_its_own() -> None:
    async with scripted(refused(404, "There is no live call.")) as server, client(server) as batkol:
        with pytest.raises(CallOverError, match="no live call"):
            await anext(batkol.call("CA1").events())


@pytest.mark.parametrize(
    ("part", "error"),
    [
        (refused(401, "wrong"), "TokenRefusedError"),
        (refused(403, "It needs the right `status`."), "ForbiddenError"),
        (refused(404), "UnexpectedAnswerError"),
        (refused(422, "type: unknown"), "RequestRefusedError"),
        (refused(302, "", "Location: http://127.0.0.1:1/"), "UnexpectedAnswerError"),
        (answered(b"<html>"), "UnexpectedAnswerError"),
    ],
)
async def test_what_no_new_attempt_can_mend_is_raised_at_once(part: Any, error: str) -> None:
    async with scripted(part) as server, client(server, give_up_s=math.inf) as batkol:
        with pytest.raises(ClientError) as raised:
            await anext(batkol.events())

    assert type(raised.value).__name__ == error
    assert len(server.asked) == 1


async def test_a_page_of_a_proxys_between_two_pods_does_not_end_a_feed_that_had_begun() -> None:
    page = answered(b"<html>back soon</html>")
    async with scripted(feed(sent(1), CUT), page, refused(404), feed(sent(2))) as server, client(server) as batkol:
        assert await taken(batkol.events(), 2) == [key(1), key(2)]


async def test_a_service_that_is_busy_gets_the_time_that_it_asks_for() -> None:
    busy = refused(429, "too many readers", "Retry-After: 100")
    async with scripted(busy) as server, client(server, give_up_s=60.0) as batkol:
        with pytest.raises(BusyError, match="too many readers") as raised:
            await anext(batkol.events())

    assert (raised.value.status, raised.value.retry_after_s, len(server.asked)) == (429, 100.0, 1)


async def test_entering_connects_and_leaving_ends_the_connection() -> None:
    async with scripted(feed()) as server, client(server) as batkol:
        async with batkol.events():
            assert len(server.tasks) == 1
        async with asyncio.timeout(20):
            await asyncio.gather(*server.tasks)  # its socket is closed


async def test_a_client_that_is_left_ends_its_feeds() -> None:
    async with scripted(feed(sent(1)), feed(sent(1))) as server:
        async with client(server) as batkol:
            events, of_call = batkol.events(), batkol.call("CA1").events()
            await taken(events, 1)
            await taken(of_call, 1)
        assert (events._reading, of_call._reading) == (None, None)


async def test_a_client_that_is_closed_ends_the_wait_of_another_task_with_a_sentence() -> None:
    async with scripted(feed(sent(1))) as server:
        batkol = client(server)
        events = batkol.events()
        await taken(events, 1)
        waiting = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        await batkol.close()
        async with asyncio.timeout(20):
            with pytest.raises(ClientError, match="was closed"):
                await waiting
        with pytest.raises(ClientError, match="was closed"):
            await batkol.calls()

    assert len(server.asked) == 1


async def test_one_type_may_stand_alone() -> None:
    async with scripted(feed(sent(1))) as server, client(server) as batkol:
        assert await taken(batkol.events(types="dtmf"), 1) == [key(1)]

    assert server.asked[0].query["type"] == "dtmf"


async def test_an_end_in_good_order_can_be_told_from_a_break() -> None:
    async with scripted(feed(END), feed(CUT)) as server, client(server, give_up_s=0) as batkol:
        with pytest.raises(FeedEndedError, match="leaving"):
            await anext(batkol.events())
        with pytest.raises(ServiceUnreachableError, match="broke off") as raised:
            await anext(batkol.events())
    assert not isinstance(raised.value, FeedEndedError)


async def test_a_service_that_lets_in_and_ends_is_asked_less_and_less(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "batkol.client")
    async with scripted(*[feed(END)] * 3, feed(sent(1))) as server, client(server) as batkol:
        assert await taken(batkol.events(), 1) == [key(1)]

    waits = [float(str(line.args[1])) for line in caplog.records if isinstance(line.args, tuple)]
    assert len(waits) == 3
    assert waits[2] > waits[0]


async def test_an_old_http_server_is_read_to_its_end() -> None:
    head = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
    whole_answer = b"id: b-1\nevent: dtmf\ndata: " + _json(key(1)) + b"\n\n"

    async def part(writer: asyncio.StreamWriter) -> None:
        writer.write(head + whole_answer)

    async with scripted(part, feed(sent(2))) as server, client(server) as batkol:
        assert await taken(batkol.events(), 2) == [key(1), key(2)]
    assert LISTENING
