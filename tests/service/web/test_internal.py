import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from batkol.calls.call import Call
from batkol.events.bus import LIMIT
from batkol.flags.flag import DecisionSource
from batkol.flags.flags import Decision
from batkol.rights import ALL_RIGHTS, Grant, Right
from batkol.speech.utterance import Mode, Source, Utterance, UtteranceState
from batkol.transcription.events import FinalReady, PartialReady, RevisionReady, UtteranceOpened
from batkol.web.access import Access, trusted
from batkol.web.event_stream import EventStreamTimings
from support.http.internal_api import Events, inside
from support.time.waiting import until

TOKEN = "a-made-up-token"
ONE_TOKEN = Access([Grant("test", TOKEN, ALL_RIGHTS)])


def utterance(**fields: Any) -> Utterance:
    return Utterance(index=0, begin=8000, speech_at=10_400, mode=Mode.STREAMING, **fields)


def end(call: Call) -> None:
    call.reporter.call_ended(reason="stop", duration_s=1.0, gap_ms=0, close_code=1000)


PATHS = ["/v1/status", "/v1/calls", "/v1/calls/CA0", "/v1/calls/CA0/events", "/v1/events"]


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", TOKEN, f"Basic {TOKEN}", f"bearer{TOKEN}", f"Bearer {TOKEN} x"]
)
async def test_without_the_token_nothing_is_shown(given: str) -> None:
    async with inside(access=ONE_TOKEN) as house:
        for path in PATHS:
            answer = await house.http.get(path, headers={"Authorization": given} if given else {})

            assert answer.status_code == 401
            assert TOKEN not in answer.text


async def test_without_the_token_nothing_is_drained() -> None:
    async with inside(access=ONE_TOKEN) as house:
        assert (await house.http.post("/v1/drain")).status_code == 401
        assert not house.calls.draining


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER {TOKEN}", f"Bearer  {TOKEN}"])
async def test_with_the_token_it_answers(given: str) -> None:
    """The scheme is of any case, and a client may put two spaces (RFC 9110, 11.1 and 11.4)."""
    async with inside(access=ONE_TOKEN) as house:
        answer = await house.http.get("/v1/status", headers={"Authorization": given})

        assert (answer.status_code, answer.json()["version"]) == (200, "x")
        assert trusted(ONE_TOKEN)([(b"authorization", given.encode())])


async def test_a_call_that_is_not_live_is_not_found_and_the_answer_says_so() -> None:
    async with inside() as house:
        for path in ("/v1/calls/CA0", "/v1/calls/CA0/events"):
            answer = await house.http.get(path)
            assert answer.status_code == 404
            assert answer.json() == {"detail": "There is no live call with this SID; this API has live calls only."}
        assert house.services.bus.subscribers == 0


async def test_live_calls_are_listed_without_their_numbers_for_a_token_that_may_not_see_them() -> None:
    access = Access([Grant("test", TOKEN, frozenset({Right.STATUS}))])
    async with inside(access=access) as house:
        house.http.headers["Authorization"] = f"Bearer {TOKEN}"
        assert (await house.http.get("/v1/calls")).json()["calls"] == []
        call = house.admitted()
        answer = await house.http.get("/v1/calls")

        (shown,) = answer.json()["calls"]
        assert shown["call_sid"] == call.identity.call_sid
        assert (shown["streaming"], shown["audio_ms"], shown["utterances_total"]) == (False, 0, 0)
        assert "+972" not in answer.text


async def test_a_live_call_is_shown_with_its_utterances_so_far() -> None:
    async with inside() as house:
        call = house.admitted()
        decision = Decision(True, "on", "STATIC", DecisionSource.FLAG)
        call.reporter.observe(UtteranceOpened(utterance(), decision))
        call.reporter.observe(
            FinalReady(utterance(state=UtteranceState.DONE, end=24_000, source=Source.FINAL), "שלום עולם")
        )
        shown = (await house.http.get(f"/v1/calls/{call.identity.call_sid}")).json()

        (only,) = shown["utterances"]
        assert (only["index"], only["text"], only["final"], only["source"]) == (0, "שלום עולם", True, "final")
        assert (only["begin_ms"], only["end_ms"]) == (1000, 3000)


@pytest.mark.parametrize("more", [set(), {Right.TEXTS}, {Right.NUMBERS}, ALL_RIGHTS])
async def test_a_reader_of_live_calls_gets_no_byte_of_what_it_may_not_see(more: set[Right]) -> None:
    may = frozenset({Right.STATUS, *more})
    number, words, taken_back, key = "+972541234567", "שלום עולם", "שלום", "5"
    async with inside(access=Access([Grant("test", TOKEN, may)])) as house:
        house.http.headers["Authorization"] = f"Bearer {TOKEN}"
        call = house.admitted()
        async with house.following("/v1/events") as events:
            call.reporter.call_started(streaming=True)
            final = utterance(state=UtteranceState.DONE, end=24_000, source=Source.FINAL)
            call.reporter.observe(UtteranceOpened(final, None))
            call.reporter.observe(FinalReady(final, words))
            call.reporter.observe(RevisionReady(final, taken_back))
            call.reporter.key_pressed(key)
            told = [await events.next() for _ in range(5)]
        pages = [await house.http.get(path) for path in ("/v1/calls", f"/v1/calls/{call.identity.call_sid}")]

    answers = json.dumps(told, ensure_ascii=False) + "".join(page.text for page in pages)
    assert (words in answers) == (taken_back in answers) == (f'"digit": "{key}"' in answers) == (Right.TEXTS in may)
    assert (number in answers) == (Right.NUMBERS in may)
    types = [event["type"] for event in told if event]
    assert types == ["call.started", "utterance.started", "final", "revised", "dtmf"]


async def test_who_ordered_a_drain_is_logged_by_the_name_of_the_token() -> None:
    async with inside(access=ONE_TOKEN) as house:
        with capture_logs() as lines:
            await house.http.post("/v1/drain", headers={"Authorization": f"Bearer {TOKEN}"})

    (line,) = [line for line in lines if line["event"] == "[API] drain ordered"]
    assert line["token"] == "test"
    assert TOKEN not in str(lines)


async def test_a_calls_events_are_streamed_to_its_end() -> None:
    async with inside() as house:
        call, other = house.admitted(), house.admitted()
        async with house.following(f"/v1/calls/{call.identity.call_sid}/events") as events:
            call.reporter.call_started(streaming=True)
            other.reporter.call_started(streaming=True)
            call.reporter.observe(PartialReady(utterance(), "של", 0.5))
            call.reporter.observe(
                FinalReady(utterance(state=UtteranceState.DONE, end=24_000, source=Source.FINAL), "שלום\nעולם")
            )
            end(call)
            got = [await events.next() for _ in range(4)]

            assert [event and event["type"] for event in got] == ["call.started", "partial", "final", "call.ended"]
            assert [event and event["seq"] for event in got] == [1, 2, 3, 4]
            assert {event and event["call_sid"] for event in got} == {call.identity.call_sid}
            assert got[2] is not None
            assert got[2]["text"] == "שלום\nעולם"
            assert await events.next() is None
        await until(lambda: house.services.bus.subscribers == 0)


@pytest.mark.parametrize("first_to_end", ["older", "newer"])
async def test_a_calls_events_go_on_until_the_last_of_its_streams_is_done(first_to_end: str) -> None:
    async with inside() as house:
        older = house.admitted()
        older.reporter.call_started(streaming=True)
        path = f"/v1/calls/{older.identity.call_sid}"
        async with house.following(f"{path}/events") as events:
            newer = house.admitted(older.identity.call_sid)
            newer.reporter.call_started(streaming=True)
            shown = (await house.http.get(path)).json()
            assert (shown["stream_sid"], shown["ending"]) == (newer.identity.stream_sid, False)
            listed = (await house.http.get("/v1/calls")).json()["calls"]
            assert {call["stream_sid"]: call["ending"] for call in listed} == {
                newer.identity.stream_sid: False,
                older.identity.stream_sid: True,
            }
            streams = [older, newer] if first_to_end == "older" else [newer, older]
            for call in streams:
                end(call)
                house.calls.release(call)
                assert await events.next()
            last = await events.next()
            assert last is not None
            assert (last["type"], last["stream_sid"]) == ("call.ended", streams[1].identity.stream_sid)
            assert await events.next() is None


async def test_all_calls_events_are_streamed_beyond_the_end_of_any() -> None:
    async with inside() as house:
        one, two = house.admitted(), house.admitted()
        async with house.following("/v1/events") as events:
            end(one)
            two.reporter.call_started(streaming=False)
            first, second = await events.next(), await events.next()

            assert first is not None
            assert second is not None
            assert (first["type"], second["type"]) == ("call.ended", "call.started")
        await until(lambda: house.services.bus.subscribers == 0)


async def test_a_silent_stream_is_kept_open_by_comments() -> None:
    async with inside(timings=EventStreamTimings(keepalive_s=0.02)) as house:
        call = house.admitted()
        async with house.following("/v1/events") as events:
            assert [await events.comment() for _ in range(3)] == [": still here"] * 3
            call.reporter.call_started(streaming=False)
            event = await events.next()

            assert event is not None
            assert event["type"] == "call.started"


async def test_a_reader_who_leaves_is_forgotten() -> None:
    async with inside() as house:
        async with house.following("/v1/events"):
            assert house.services.bus.subscribers == 1
        await until(lambda: house.services.bus.subscribers == 0)


async def test_a_reader_who_leaves_before_the_first_byte_is_forgotten() -> None:
    async with inside() as house:
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0)
            writer.transport.abort()
        assert (await house.http.get("/v1/status")).status_code == 200, "it was accepted behind all of them"
        await until(lambda: house.services.bus.subscribers == 0)
        async with house.following("/v1/events"):
            assert house.services.bus.subscribers == 1, "the one who stays, and none of those who left"


async def test_following_a_call_that_has_just_ended_ends_too() -> None:
    """It is still in the registry while its socket closes; its last event will not come again."""
    async with inside() as house:
        call = house.admitted()
        end(call)
        async with house.following(f"/v1/calls/{call.identity.call_sid}/events") as events:
            assert await events.next() is None


async def test_a_drain_answers_when_the_last_call_has_ended() -> None:
    async with inside() as house:
        call = house.admitted()
        draining = asyncio.create_task(house.http.post("/v1/drain"))
        await until(lambda: house.calls.draining)
        assert not draining.done()
        assert not house.calls.reserve("CA1")
        call.discard()
        house.calls.release(call)
        answer = await draining

        assert (answer.status_code, answer.json()) == (200, {"draining": True, "active_calls": 0})


async def test_who_asked_for_a_drain_and_goes_away_does_not_undo_it() -> None:
    async with inside() as house:
        call = house.admitted()
        impatient = asyncio.create_task(house.http.post("/v1/drain"))
        await until(lambda: house.calls.draining)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        again = asyncio.create_task(house.http.post("/v1/drain"))
        assert (await house.http.get("/v1/calls")).json()["calls"]

        assert not house.calls.reserve("CA1")
        assert not again.done()
        call.discard()
        house.calls.release(call)
        assert (await again).json() == {"draining": True, "active_calls": 0}


async def test_when_the_process_ends_the_readers_get_what_waits_and_a_proper_end() -> None:
    async with inside() as house, house.following("/v1/events") as events:
        call = house.admitted()
        for _ in range(500):
            call.reporter.observe(
                FinalReady(utterance(state=UtteranceState.DONE, end=24_000, source=Source.FINAL), "שלום")
            )
        house.services.bus.close()
        got = [event async for event in _all(events)]

        assert len(got) == 500
        assert house.services.bus.subscribers == 0
        async with house.following("/v1/events") as late:
            assert await late.next() is None


async def _all(events: Events) -> AsyncIterator[dict[str, Any]]:
    while (event := await events.next()) is not None:
        yield event


async def test_a_reader_that_takes_nothing_is_let_go_and_cut_off_with_bounded_memory() -> None:
    """Its socket fills, uvicorn stops writing, its queue fills: partials go first, then it goes."""
    async with inside(timings=EventStreamTimings(linger_s=0.1)) as house:
        bus = house.services.bus
        call = house.admitted()
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", house.port))
            await asyncio.get_running_loop().sock_sendall(deaf, b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: bus.subscribers == 1)
            (subscription,) = bus._subscriptions
            with capture_logs() as logs:
                while bus.subscribers:
                    for _ in range(100):
                        call.reporter.observe(PartialReady(utterance(), "שלום " * 20, 0.9))
                        call.reporter.observe(
                            FinalReady(
                                utterance(state=UtteranceState.DONE, end=24_000, source=Source.FINAL), "שלום " * 200
                            )
                        )
                    await asyncio.sleep(0)
                assert len(subscription._events) == LIMIT
                await until(lambda: any("stopped reading" in line["event"] for line in logs))

        assert bus.let_go == 1
        assert bus.dropped == subscription.dropped > 0
        assert call.ended_by == ""
