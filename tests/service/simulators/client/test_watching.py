"""The events for a report: all of them, or an error."""

from __future__ import annotations

import asyncio

import pytest

from batkol.client import ClientError, FeedEndedError
from batkol.events.events import KeyPressed
from batkol.simulators.client.watching import EventsMissingError, watching
from support.http.scripted_server import CUT, END, answered, feed, message, raw, scripted

STATUS = {"version": "1", "draining": False, "active_calls": 0, "max_calls": 1}


def sent(number: int) -> bytes:
    return message(KeyPressed(call_sid="CA1", seq=number, at=0.0, digit="1"), f"b-{number}")


async def test_a_report_goes_on_over_a_broken_connection_and_leaves_out_what_is_of_no_call() -> None:
    peers, new = raw("peers", b'{"type":"peers"}'), raw("new", b"{}")
    parts = answered(STATUS), feed(sent(1), CUT), feed(peers, new, sent(2))
    async with scripted(*parts) as server, watching(server.url, resume_s=20.0) as events, asyncio.timeout(20):
        assert [(await anext(events)).seq for _ in range(2)] == [1, 2]

    assert [request.path for request in server.asked] == ["/v1/status", "/v1/events", "/v1/events"]


async def test_a_wrong_address_is_said_at_once_however_long_a_broken_connection_is_waited_for() -> None:
    with pytest.raises(ClientError, match="cannot be reached"):
        async with watching("http://127.0.0.1:1", resume_s=1e9):
            pass


async def test_a_report_with_a_hole_in_it_is_an_error() -> None:
    hole = raw("gap", b'{"type":"gap","missed_from":"b-1"}')
    async with scripted(feed(hole, sent(9))) as server, watching(server.url) as events:
        with pytest.raises(EventsMissingError, match="no longer has"):
            await anext(events)


async def test_an_end_in_good_order_can_be_told_from_a_break() -> None:
    async with scripted(feed(END), feed(CUT)) as server, watching(server.url) as events:
        with pytest.raises(FeedEndedError):
            await anext(events)
