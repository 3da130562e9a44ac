import asyncio
from typing import Any

import pytest

from batkol.calls.call import Call
from batkol.events.cursor import Cursor
from batkol.events.ring import EventRing, RingLimits
from batkol.rights import Grant, Right
from batkol.speech.utterance import Mode, Source, Utterance, UtteranceState
from batkol.transcription.events import FinalReady, PartialReady
from batkol.web.access import Access
from batkol.web.event_stream import AT_ONCE, TIMINGS, EventStreamTimings
from support.http.event_source import EventSource
from support.http.in_memory import Connection
from support.http.internal_api import NO_TOKEN, Events, Inside, inside, with_routes
from support.http.raw_client import speaking
from support.time.waiting import until

QUICK = EventStreamTimings(keepalive_s=0.02)


def spoken() -> Utterance:
    return Utterance(
        index=0, begin=0, speech_at=0, mode=Mode.STREAMING, state=UtteranceState.DONE, end=8000, source=Source.FINAL
    )


def say(call: Call, text: str) -> None:
    call.reporter.observe(FinalReady(spoken(), text))


def end(call: Call) -> None:
    call.reporter.call_ended(reason="stop", duration_s=1.0, gap_ms=0, close_code=1000)


async def texts(events: Events, count: int) -> list[Any]:
    got = [await events.next() for _ in range(count)]
    return [event and event.get("text", event["type"]) for event in got]


async def test_an_events_id_is_a_cursor_and_the_beginning_has_one_too() -> None:
    async with inside() as house, house.following("/v1/events") as events:
        ring = house.bus.ring
        assert events.source.last_event_id == str(Cursor(ring.boot, 0))
        assert events.source.retry_ms == 2000
        call = house.admitted()
        say(call, "one")
        say(call, "two")
        ids = [event.last_event_id for _ in range(2) if (event := await events.dispatched())]

        assert ids == [str(Cursor(ring.boot, 1)), str(Cursor(ring.boot, 2))]


@pytest.mark.parametrize("way", ["header", "query", "both"])
async def test_a_reader_that_comes_back_gets_what_it_missed_and_then_what_comes(way: str) -> None:
    async with inside() as house:
        call = house.admitted()
        async with house.following("/v1/events") as events:
            say(call, "one")
            await events.next()
            last = events.source.last_event_id
        say(call, "two")
        say(call, "three")
        query = {"header": "", "query": f"?last_event_id={last}", "both": f"?last_event_id={house.bus.ring.cursor}"}[
            way
        ]
        headers = {} if way == "query" else {"Last-Event-ID": last}
        async with house.following(f"/v1/events{query}", headers) as events:
            say(call, "four")

            assert await texts(events, 3) == ["two", "three", "four"]


async def test_an_empty_last_event_id_is_none() -> None:
    async with inside() as house:
        say(house.admitted(), "before")
        async with house.following("/v1/events?last_event_id=", {"Last-Event-ID": ""}) as events:
            say(next(iter(house.calls)), "after")
            assert await texts(events, 1) == ["after"]


async def test_where_the_ring_has_no_longer_what_is_asked_for_there_is_a_gap() -> None:
    async with inside() as house:
        house.bus.ring = EventRing(RingLimits(events=2))
        call = house.admitted()
        asked = str(house.bus.ring.cursor)
        for text in ("one", "two", "three", "four"):
            say(call, text)
        async with house.following("/v1/events", {"Last-Event-ID": asked}) as events:
            gap = await events.dispatched()

            assert gap
            assert (gap.type, gap.json) == ("gap", {"type": "gap", "missed_from": asked})
            assert gap.last_event_id == str(Cursor(house.bus.ring.boot, 2))
            assert await texts(events, 2) == ["three", "four"]
        async with house.following("/v1/events", {"Last-Event-ID": str(Cursor(house.bus.ring.boot, 2))}) as events:
            assert await texts(events, 2) == ["three", "four"], "who has read the gap does not get it again"


@pytest.mark.parametrize("asked", [f"{'f' * 16}-1", f"{'f' * 16}-0", "future"])
async def test_a_cursor_of_another_process_or_of_the_future_gets_a_gap_and_all_that_is_kept(asked: str) -> None:
    async with inside() as house:
        say(house.admitted(), "one")
        cursor = str(Cursor(house.bus.ring.boot, 2)) if asked == "future" else asked
        async with house.following("/v1/events", {"Last-Event-ID": cursor}) as events:
            assert await texts(events, 2) == ["gap", "one"]


@pytest.mark.parametrize("asked", ["7", "no-cursor", "%00", f"{'f' * 16}-01", "x" * 5000])
async def test_a_malformed_cursor_is_refused_with_a_sentence(asked: str) -> None:
    async with inside() as house:
        call = house.admitted()
        for path in ("/v1/events", f"/v1/calls/{call.identity.call_sid}/events"):
            answer = await house.http.get(f"{path}?last_event_id={asked}")

            assert answer.status_code == 400
            assert "is not a cursor of this API" in answer.json()["detail"]


async def test_unknown_parameters_are_refused_by_name() -> None:
    async with inside() as house:
        sid = house.admitted().identity.call_sid
        for path in ("/v1/events", f"/v1/calls/{sid}/events", "/v1/calls", f"/v1/calls/{sid}"):
            answer = await house.http.get(f"{path}?typ=final")

            assert answer.status_code == 422
            assert "typ" in answer.json()["detail"]


@pytest.mark.parametrize("asked", ["type=finals", "type=final,partials", "type=final&type=x", "type=", "type=Final"])
async def test_an_unknown_type_is_refused_and_the_known_ones_are_named(asked: str) -> None:
    async with inside() as house:
        answer = await house.http.get(f"/v1/events?{asked}")

        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("type: ")
        assert "partial, tentative, withdrawn, final" in answer.json()["detail"]


@pytest.mark.parametrize("asked", ["type=final,call.ended", "type=final&type=call.ended", "type=final,%20call.ended"])
async def test_only_events_of_the_types_that_are_asked_for_come(asked: str) -> None:
    async with inside() as house, house.following(f"/v1/events?{asked}") as events:
        call = house.admitted()
        call.reporter.call_started(streaming=True)
        call.reporter.observe(PartialReady(spoken(), "o", 0.5))
        say(call, "one")
        call.reporter.key_pressed("5")
        end(call)

        assert await texts(events, 2) == ["one", "call.ended"]


@pytest.mark.parametrize("asked", ["agent=sales", "agent=sales&agent=nobody"])
async def test_only_events_of_the_agents_that_are_asked_for_come_also_of_those_that_were_missed(asked: str) -> None:
    async with inside() as house:
        sales, reception = house.admitted_for("sales"), house.admitted_for("reception")
        start = str(house.bus.ring.cursor)
        say(reception, "missed, of reception")
        say(sales, "missed, of sales")
        async with house.following(f"/v1/events?{asked}", {"Last-Event-ID": start}) as events:
            say(reception, "of reception")
            say(sales, "of sales")

            assert await texts(events, 2) == ["missed, of sales", "of sales"]


async def test_the_cursor_of_a_reader_whose_filter_lets_nothing_through_moves_on_with_the_comments() -> None:
    async with inside(timings=QUICK) as house, house.following("/v1/events?type=dtmf") as events:
        call = house.admitted()
        for text in ("one", "two"):
            say(call, text)
        await events.comment()
        await events.comment()

        assert events.source.last_event_id == str(house.bus.ring.cursor)
        assert events.waiting == []


async def test_a_filtered_stream_of_a_call_ends_with_it_and_is_not_opened_again() -> None:
    """An EventSource comes back to a stream that has ended; 204 ends that (HTML, 9.2.3)."""
    async with inside() as house:
        call = house.admitted()
        call.reporter.call_started(streaming=True)
        path = f"/v1/calls/{call.identity.call_sid}/events?type=final"
        async with house.following(path) as events:
            say(call, "one")
            end(call)
            house.calls.release(call)

            assert await texts(events, 2) == ["one", None]
            last = events.source.last_event_id
        assert last == str(house.bus.ring.cursor)
        assert (await house.http.get(path, headers={"Last-Event-ID": last})).status_code == 204


async def test_a_reader_that_lost_the_end_of_a_call_gets_it_when_the_call_is_gone() -> None:
    async with inside() as house:
        call, other = house.admitted(), house.admitted()
        call.reporter.call_started(streaming=True)
        path = f"/v1/calls/{call.identity.call_sid}/events"
        async with house.following(path) as events:
            say(call, "the first words")
            assert await texts(events, 1) == ["the first words"]
            last = events.source.last_event_id
        say(other, "not of this call")
        say(call, "the last words")
        end(call)
        for gone in (False, True):
            if gone:
                house.calls.release(call)
            async with house.following(path, {"Last-Event-ID": last}) as events:
                assert await texts(events, 3) == ["the last words", "call.ended", None]
                done = events.source.last_event_id
            assert (await house.http.get(path, headers={"Last-Event-ID": done})).status_code == 204


async def test_a_call_that_is_gone_and_of_which_nothing_is_kept_is_not_found() -> None:
    async with inside() as house:
        house.bus.ring = EventRing(RingLimits(events=1))
        call, other = house.admitted(), house.admitted()
        path, start = f"/v1/calls/{call.identity.call_sid}/events", str(house.bus.ring.cursor)
        end(call)
        house.calls.release(call)
        assert (await house.http.get(path)).status_code == 404
        say(other, "not of this call")
        for cursor in (start, str(house.bus.ring.cursor), f"{'f' * 16}-3"):
            answer = await house.http.get(path, headers={"Last-Event-ID": cursor})

            assert answer.status_code == 404
            assert "no longer kept" in answer.json()["detail"]


async def test_a_call_with_a_stream_that_has_said_nothing_yet_is_not_gone() -> None:
    async with inside() as house:
        house.bus.ring = EventRing(RingLimits(events=1))
        silent = house.admitted()
        call_sid, start = silent.identity.call_sid, str(house.bus.ring.cursor)
        end(house.admitted(call_sid))
        say(house.admitted(), "not of this call")
        async with house.following(f"/v1/calls/{call_sid}/events", {"Last-Event-ID": start}) as events:
            gap = await events.dispatched()
            say(silent, "the first words")

            assert gap is not None
            assert gap.type == "gap"
            assert await texts(events, 1) == ["the first words"]


async def test_a_call_whose_next_stream_has_begun_here_is_followed_on() -> None:
    async with inside() as house:
        older = house.admitted()
        older.reporter.call_started(streaming=True)
        start = str(house.bus.ring.cursor)
        newer = house.admitted(older.identity.call_sid)
        end(older)
        house.calls.release(older)
        newer.reporter.call_started(streaming=True)
        async with house.following(f"/v1/calls/{older.identity.call_sid}/events", {"Last-Event-ID": start}) as events:
            assert await texts(events, 2) == ["call.ended", "call.started"]
            end(newer)
            assert await texts(events, 2) == ["call.ended", None]


@pytest.mark.parametrize("turns", range(12))
async def test_a_stream_that_begins_while_the_end_of_the_last_one_is_written_is_not_passed_over(turns: int) -> None:
    async with inside() as house:
        app = with_routes(house.calls, house.bus, NO_TOKEN, TIMINGS)
        older, source = house.admitted(), EventSource()
        older.reporter.call_started(streaming=True)
        path = f"/v1/calls/{older.identity.call_sid}/events"
        connection = Connection(app, path, turns_a_write=3)
        await until(lambda: house.bus.subscribers > 0)
        end(older)
        house.calls.release(older)
        for _ in range(turns):
            await asyncio.sleep(0)
        newer = house.admitted(older.identity.call_sid)
        newer.reporter.call_started(streaming=True)
        end(newer)
        got = source.feed(await connection.whole())
        source.reconnected()
        again = Connection(app, path, {"Last-Event-ID": source.last_event_id})
        got += source.feed(await again.whole())

        assert [event.type for event in got] == ["call.ended", "call.started", "call.ended"]


async def test_the_place_of_a_reader_that_was_let_go_is_not_behind_what_it_did_not_get() -> None:
    async with inside() as house:
        call, source = house.admitted(), EventSource()
        connection = Connection(with_routes(house.calls, house.bus, NO_TOKEN, TIMINGS), "/v1/events")
        await until(lambda: house.bus.subscribers > 0)
        say(call, "one")
        (subscription,) = house.bus._subscriptions
        subscription.close()
        say(call, "two")
        got = source.feed(await connection.whole())

        assert [event.json["text"] for event in got] == ["one"]
        assert source.last_event_id == str(Cursor(house.bus.ring.boot, 1))


async def test_texts_and_numbers_are_for_the_tokens_that_may_see_them() -> None:
    rights = {"all": frozenset(Right), "blind": frozenset({Right.STATUS}), "lead": frozenset({Right.LEADS})}
    async with inside(access=Access([Grant(name, name, may) for name, may in rights.items()])) as house:
        call = house.admitted()
        start = str(house.bus.ring.cursor)
        call.reporter.call_started(streaming=True)
        say(call, "שלום")
        seen = {}
        for name in ("all", "blind"):
            headers = {"Authorization": f"Bearer {name}", "Last-Event-ID": start}
            async with house.following("/v1/events", headers) as events:
                began, said = await events.next(), await events.next()
                assert began
                assert said
                seen[name] = began["from"], said["text"], said["words"]
        answer = await house.http.get("/v1/events", headers={"Authorization": "Bearer lead"})

        assert seen == {"all": ("+972541234567", "שלום", 1), "blind": ("", "", 1)}
        assert answer.status_code == 403


@pytest.mark.parametrize("accept", ["application/json", "text/html", "text/event-stream;q=0"])
async def test_who_takes_no_event_stream_gets_none(accept: str) -> None:
    async with inside() as house:
        answer = await house.http.get("/v1/events", headers={"Accept": accept})

        assert (answer.status_code, house.bus.subscribers) == (406, 0)
        assert "Accept: text/event-stream" in answer.json()["detail"]


async def test_head_has_the_headers_and_subscribes_to_nothing() -> None:
    async with inside() as house:
        call = house.admitted()
        for path in ("/v1/events", f"/v1/calls/{call.identity.call_sid}/events"):
            answer = await house.http.head(path)

            assert (answer.status_code, answer.content, house.bus.subscribers) == (200, b"", 0)
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["x-accel-buffering"] == "no"
        assert (await house.http.head("/v1/calls/CA0/events")).status_code == 404


async def test_a_reader_of_http_1_0_reads_events_and_no_chunks_until_the_connection_closes() -> None:
    async with inside() as house, speaking(house.port) as raw:
        call = house.admitted()
        call.reporter.call_started(streaming=True)
        await raw.send(f"GET /v1/calls/{call.identity.call_sid}/events HTTP/1.0\r\n\r\n".encode())
        await until(lambda: house.bus.subscribers == 1)
        say(call, "שלום")
        end(call)
        head, _, body = (await raw.rest()).partition(b"\r\n\r\n")
        source = EventSource()
        got = source.feed(body)

        assert b"transfer-encoding" not in head.lower()
        assert body.startswith(b": listening\nretry: 2000\nid: ")
        assert [event.type for event in got] == ["final", "call.ended"]
        assert source.last_event_id == str(house.bus.ring.cursor)


async def test_a_reader_that_missed_thousands_of_events_gets_them_in_pieces() -> None:
    """In one piece it would hold up every call's audio."""
    async with inside() as house:
        start, count = str(house.bus.ring.cursor), 4 * AT_ONCE + 1
        call = house.admitted()
        for number in range(count):
            say(call, str(number))
        async with house.following("/v1/events", {"Last-Event-ID": start}) as events:
            turns = await _turns_while_reading(events, count)
            assert await texts(events, count) == [str(number) for number in range(count)]
            assert turns >= 4
            say(call, "and on")
            assert await texts(events, 1) == ["and on"]


async def _turns_while_reading(events: Events, count: int) -> int:
    """Read until so many events are here; return how often the loop had others run before."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    turning = asyncio.create_task(turn())
    while len(events.waiting) < count:
        await events._read()
    turning.cancel()
    return turns


async def test_a_reader_that_comes_back_in_the_midst_of_a_busy_call_misses_and_doubles_nothing() -> None:
    count = 300
    async with inside() as house:
        call = house.admitted()
        source = EventSource()
        source.last_event_id = str(house.bus.ring.cursor)
        got: list[Any] = []

        async def speak() -> None:
            for number in range(count):
                say(call, str(number))
                await asyncio.sleep(0)

        speaking_on = asyncio.create_task(speak())
        while len(got) < count:
            got += await _connection(house, source, min(23, count - len(got)))
        await speaking_on

        assert got == [str(number) for number in range(count)]


async def _connection(house: Inside, source: EventSource, most: int) -> list[Any]:
    """Read so many events or some more on a connection of its own, and cut it."""
    source.reconnected()
    got: list[Any] = []
    async with house.http.stream("GET", "/v1/events", headers={"Last-Event-ID": source.last_event_id}) as response:
        async for piece in response.aiter_raw():
            got += [event.json["text"] for event in source.feed(piece)]
            if len(got) >= most:
                break
    return got
