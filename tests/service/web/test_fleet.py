"""`?scope=fleet` over real sockets: every pod asked by the one that is asked, with the caller's own token."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from batkol.calls.call import Call
from batkol.events.ring import EventRing, RingLimits
from batkol.fleet.cursor import parse
from batkol.fleet.endpoint import Endpoint, endpoint
from batkol.fleet.peers import FleetRequest
from batkol.rights import ALL_RIGHTS, Grant, Right
from batkol.web.access import Access
from support.fleet.houses import House, houses, next_of
from support.http.one_answer import answering, http
from support.network.ports import free_ports
from support.time.waiting import until

FLEET = "scope=fleet"
TOKEN = "a-token-that-may-everything-here"
READS = "a-token-that-may-follow-and-no-more"
ACCESS = Access([Grant("all", TOKEN, ALL_RIGHTS), Grant("reads", READS, frozenset({Right.STATUS}))])
OTHER = Access([Grant("all", "another-token-altogether-here", ALL_RIGHTS)])


def end(house: House, call: Call, reason: str = "stop") -> None:
    call.reporter.call_ended(reason=reason, duration_s=1.0, gap_ms=0, close_code=1000)
    call.discard()
    house.calls.release(call)


async def test_one_question_lists_the_calls_of_all_pods_and_names_the_pod_of_each() -> None:
    async with houses(3) as pods:
        calls = {pod.name: pod.admitted().identity.call_sid for pod in pods}
        for pod in pods:
            shown = await pod.get(f"/v1/calls?{FLEET}")
            assert {call["pod"]: call["call_sid"] for call in shown["calls"]} == calls
            assert sorted(peer["pod"] for peer in shown["peers"]) == ["pod-0", "pod-1", "pod-2"]
            assert all(peer["reachable"] and peer["why"] is None for peer in shown["peers"])
            assert parse(shown["cursor"]) == {each.bus.ring.boot: 1 for each in pods}


async def test_a_pod_alone_answers_as_a_fleet_of_one() -> None:
    async with houses(1) as (pod,):
        sid = pod.admitted().identity.call_sid
        shown = await pod.get(f"/v1/calls?{FLEET}")

        assert [call["call_sid"] for call in shown["calls"]] == [sid]
        assert shown["peers"] == [{"pod": "pod-0", "reachable": True, "why": None}]


@pytest.mark.parametrize("path", ["/v1/status", "/v1/calls", "/v1/events", "/v1/calls/CA1", "/v1/calls/CA1/events"])
async def test_a_scope_that_is_none_is_refused(path: str) -> None:
    async with houses(1) as (pod,):
        for scope in ("scope=everything", "scope=fleet&scope=all"):
            assert (await pod.http.get(f"{path}?{scope}")).status_code == 422


async def test_a_filter_goes_to_every_pod_and_one_that_does_not_exist_is_refused() -> None:
    async with houses() as pods:
        for pod in pods:
            pod.admitted()

        assert (await pods[0].get(f"/v1/calls?{FLEET}&agent=nobody"))["calls"] == []
        for path in ("/v1/calls", "/v1/events"):
            refused = await pods[0].http.get(f"{path}?{FLEET}&colour=red")
            assert (refused.status_code, "colour" in refused.json()["detail"]) == (422, True)
        assert (await pods[0].http.get(f"/v1/events?{FLEET}&type=nothing")).status_code == 422
        assert pods[0].fleet.feeds == 0


async def test_a_pod_that_is_not_there_is_named_by_its_address() -> None:
    async with houses(2, absent={1}) as (pod,):
        own, missing = (await pod.get(f"/v1/calls?{FLEET}"))["peers"]

        assert own["reachable"]
        assert missing["pod"].startswith("127.0.0.1:")
        assert (missing["reachable"], missing["why"]) == (False, "It did not answer (ConnectError).")


async def test_the_status_of_every_pod_comes_at_once_and_why_there_is_none() -> None:
    async with houses(3, absent={2}, accesses=[ACCESS] * 3) as pods:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = await pods[1].http.get(f"/v1/status?{FLEET}", headers=headers)
        refused = await pods[1].http.get(f"/v1/status?{FLEET}", headers={"Authorization": "Bearer x"})
        own = (await pods[1].http.get("/v1/status", headers=headers)).json()

    mine, *others = answer.json()["pods"]
    other, missing = sorted(others, key=lambda pod: not pod["reachable"])
    assert (mine["pod"], mine["reachable"], mine["why"], mine["status"]) == ("pod-1", True, None, own)
    assert (other["pod"], other["reachable"], other["status"]["version"]) == ("pod-0", True, own["version"])
    assert (missing["reachable"], missing["why"]) == (False, "It did not answer (ConnectError).")
    assert missing["status"] is None
    assert refused.status_code == 401


@pytest.mark.parametrize(
    ("calls", "snapshot"),
    [
        ({"cursor": "0123456789abcdef-7", "calls": [{}]}, b"[]"),
        ({"cursor": "0123456789abcdef-7", "calls": [{"call_sid": [], "ending": 1, "started_at": 2}]}, b"{}"),
        ({"cursor": "\n\n", "calls": []}, b'{"cursor":"\\n\\n"}'),
    ],
)
async def test_a_pod_that_lies_about_its_calls_costs_those_of_the_others_nothing(
    calls: dict[str, Any], snapshot: bytes
) -> None:
    here = {"stream_sid": "MZ9", "ending": False, "started_at": "9999"}
    said: dict[str, Any] = {"protocol": 1, "pod": "liar", "version": "1", "boot": "0123456789abcdef"}
    identity = json.dumps({**said, "cursor": "0123456789abcdef-7", "call": here}).encode()

    async def answer(writer: asyncio.StreamWriter) -> None:
        path = asked[-1].split(b" ")[1]
        listed = json.dumps(calls).encode() if path.startswith(b"/v1/calls?") else snapshot
        body = identity if path.startswith(b"/v1/pod") else listed
        await http("200 OK", body, "Content-Type: application/json")(writer)

    async with answering(answer) as (url, asked):
        own, liar = Endpoint("127.0.0.1", free_ports(1)[0]), endpoint(url.removeprefix("http://"))
        async with houses(addresses=[own], names=[own, liar]) as (pod,):
            sid = pod.admitted().identity.call_sid
            shown = await pod.get(f"/v1/calls?{FLEET}")

            assert [call["call_sid"] for call in shown["calls"]] == [sid]
            assert [peer["reachable"] for peer in shown["peers"]] == [True, False]
            assert parse(shown["cursor"])
            assert (await pod.http.get(f"/v1/calls/CAother?{FLEET}")).status_code == 504


async def test_a_pod_that_refuses_the_token_is_named_and_shows_nothing() -> None:
    async with houses(accesses=[ACCESS, OTHER]) as pods:
        pods[1].admitted()
        shown = await pods[0].get(f"/v1/calls?{FLEET}", authorization=f"Bearer {TOKEN}")

        assert shown["calls"] == []
        assert [(peer["reachable"], peer["why"]) for peer in shown["peers"]] == [
            (True, None),
            (False, "It refused the token."),
        ]


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/events", "/v1/calls/CA1", "/v1/calls/CA1/events"])
async def test_a_token_that_this_pod_refuses_is_shown_to_no_other_pod(path: str) -> None:
    async with houses(accesses=[ACCESS, ACCESS]) as pods:
        refused = await pods[0].http.get(f"{path}?{FLEET}", headers={"authorization": "Bearer wrong"})

        assert refused.status_code == 401
        assert pods[0].fleet.feeds == 0


async def test_each_pod_shows_what_the_callers_own_token_may_see() -> None:
    async with houses(accesses=[ACCESS, ACCESS]) as pods:
        for pod in pods:
            pod.admitted()
        for token, number in ((TOKEN, "+972541234567"), (READS, "")):
            shown = await pods[0].get(f"/v1/calls?{FLEET}", authorization=f"Bearer {token}")
            assert [call["from"] for call in shown["calls"]] == [number, number]


async def test_readers_of_one_feed_with_different_tokens_see_what_each_may() -> None:
    async with houses(accesses=[ACCESS, ACCESS]) as pods:
        path = f"/v1/events?{FLEET}"
        async with (
            pods[0].following(path, {"authorization": f"Bearer {TOKEN}"}) as whole,
            pods[0].following(path, {"authorization": f"Bearer {READS}"}) as redacted,
        ):
            pods[1].admitted()
            assert (await next_of(whole, "call.started"))["from"] == "+972541234567"
            assert (await next_of(redacted, "call.started"))["from"] == ""
            assert pods[0].fleet.feeds == 2


async def test_a_call_is_found_on_whatever_pod_has_it() -> None:
    async with houses(3) as pods:
        call = pods[2].admitted()
        shown = await pods[0].get(f"/v1/calls/{call.identity.call_sid}?{FLEET}")

        assert (shown["pod"], shown["call_sid"], shown["utterances"]) == ("pod-2", call.identity.call_sid, [])
        assert len(shown["peers"]) == 3
        assert parse(shown["cursor"]) == {pod.bus.ring.boot: pod.bus.ring.newest for pod in pods}


async def test_of_a_call_that_two_pods_have_the_live_stream_is_the_one() -> None:
    async with houses(2) as pods:
        old = pods[0].admitted()
        old.end("drained")
        assert old.ended_by
        new = pods[1].admitted(old.identity.call_sid, stream=2)
        for pod in pods:
            alone = await pod.get(f"/v1/calls/{old.identity.call_sid}?{FLEET}")
            listed = await pod.get(f"/v1/calls?{FLEET}")

            assert alone["stream_sid"] == new.identity.stream_sid
            assert [call["stream_sid"] for call in listed["calls"]] == [new.identity.stream_sid]


async def test_a_call_that_no_pod_has_is_not_found_unless_a_pod_did_not_answer() -> None:
    async with houses(2) as pods:
        for path in ("/v1/calls/CA1", "/v1/calls/CA1/events"):
            assert (await pods[0].http.get(f"{path}?{FLEET}")).status_code == 404
    async with houses(2, absent={1}) as pods:
        for path in ("/v1/calls/CA1", "/v1/calls/CA1/events"):
            unsure = await pods[0].http.get(f"{path}?{FLEET}")
            assert (unsure.status_code, unsure.headers["retry-after"]) == (503, "1")
            assert "1 of 2 pods did not answer: 127.0.0.1:" in unsure.json()["detail"]


async def test_a_reader_of_one_pod_gets_the_events_of_all_and_comes_back_to_another_pod() -> None:
    async with houses(3) as pods:
        async with pods[0].following(f"/v1/events?{FLEET}") as events:
            peers = await next_of(events, "peers")
            assert {peer["pod"] for peer in peers["peers"]} == {"pod-0", "pod-1", "pod-2"}
            sids = {pod.admitted().identity.call_sid for pod in pods}
            started = [await next_of(events, "call.started") for _ in pods]
            assert {event["call_sid"] for event in started} == sids
            cursor = events.source.last_event_id
        assert parse(cursor) == {pod.bus.ring.boot: 1 for pod in pods}
        for pod in pods:
            next(iter(pod.calls)).reporter.key_pressed("5")
        async with pods[2].following(f"/v1/events?{FLEET}", {"Last-Event-ID": cursor}) as events:
            pressed = [await next_of(events, "dtmf") for _ in pods]
            pods[0].admitted()
            assert (await next_of(events, "call.started"))["call_sid"] not in sids

        assert {event["call_sid"] for event in pressed} == sids


async def test_a_snapshot_and_the_stream_from_its_cursor_join() -> None:
    async with houses(2) as pods:
        before = pods[1].admitted()
        cursor = (await pods[0].get(f"/v1/calls?{FLEET}"))["cursor"]
        before.reporter.key_pressed("1")
        async with pods[1].following(f"/v1/events?{FLEET}&last_event_id={cursor}") as events:
            await next_of(events, "peers")
            got = await events.next()

        assert got is not None
        assert (got["type"], got["call_sid"]) == ("dtmf", before.identity.call_sid)


async def test_a_pods_own_cursor_is_one_of_the_fleet() -> None:
    async with houses(2) as pods:
        pods[0].admitted()
        async with pods[0].following(f"/v1/events?{FLEET}", {"Last-Event-ID": str(pods[0].bus.ring.cursor)}) as events:
            pods[1].admitted()
            assert (await next_of(events, "call.started"))["stream_sid"].startswith(f"MZ{pods[1].port:016x}")


@pytest.mark.parametrize("cursor", ["nonsense", "a-1..b-2", "boot-1.", "x" * 20_000, ".".join(["b-1"] * 300)])
async def test_a_cursor_that_is_none_is_refused(cursor: str) -> None:
    async with houses(1) as (pod,):
        for path in ("/v1/events", "/v1/calls/CA1/events"):
            refused = await pod.http.get(f"{path}?{FLEET}", headers={"Last-Event-ID": cursor})
            assert refused.status_code == 400


async def test_a_feed_is_followed_once_and_ends_with_its_last_reader() -> None:
    async with houses(2) as pods:
        path = f"/v1/events?{FLEET}"
        async with pods[0].following(path), pods[0].following(path), pods[0].following(path):
            assert [pod.bus.subscribers for pod in pods] == [1, 1]
        await until(lambda: [pod.bus.subscribers for pod in pods] == [0, 0])
        assert pods[0].fleet.feeds == 0


async def test_one_call_is_followed_from_pod_to_pod_and_to_its_end() -> None:
    async with houses(3) as pods:
        old, other = pods[1].admitted(), pods[2].admitted()
        sid = old.identity.call_sid
        async with pods[0].following(f"/v1/calls/{sid}/events?{FLEET}") as events:
            old.reporter.key_pressed("1")
            other.reporter.key_pressed("9")
            assert (await next_of(events, "dtmf"))["digit"] == "1"
            end(pods[1], old, "drained")
            assert (await next_of(events, "call.ended"))["reason"] == "drained"
            new = pods[2].admitted(sid, stream=2)
            new.reporter.key_pressed("2")
            assert (await next_of(events, "dtmf"))["digit"] == "2"
            end(pods[2], new)
            assert (await next_of(events, "call.ended"))["reason"] == "stop"
            assert await events.next() is None
        over = {"Last-Event-ID": events.source.last_event_id}
        assert (await pods[1].http.get(f"/v1/calls/{sid}/events?{FLEET}", headers=over)).status_code == 204


async def test_one_calls_end_comes_whatever_types_are_asked_for() -> None:
    async with houses(2) as pods:
        call = pods[1].admitted()
        path = f"/v1/calls/{call.identity.call_sid}/events?{FLEET}&type=dtmf"
        async with pods[0].following(path) as events:
            await next_of(events, "peers")
            call.reporter.key_pressed("1")
            end(pods[1], call)
            assert (await next_of(events, "dtmf"))["digit"] == "1"
            assert await events.next() is None
        unknown = await pods[0].http.get(f"/v1/calls/{call.identity.call_sid}/events?{FLEET}&type=nothing")
        assert unknown.status_code == 422


async def test_the_rest_of_a_call_that_is_over_comes_from_the_pod_that_still_keeps_it() -> None:
    async with houses(2) as pods:
        call = pods[1].admitted()
        path = f"/v1/calls/{call.identity.call_sid}/events?{FLEET}"
        async with pods[0].following(path) as events:
            call.reporter.key_pressed("1")
            await next_of(events, "dtmf")
        call.reporter.key_pressed("2")
        end(pods[1], call)
        async with pods[0].following(path, {"Last-Event-ID": events.source.last_event_id}) as events:
            assert (await next_of(events, "dtmf"))["digit"] == "2"
            await next_of(events, "call.ended")
            assert await events.next() is None


async def test_a_reader_of_one_call_hears_of_a_gap() -> None:
    rings = [EventRing(), EventRing(RingLimits(events=2))]
    async with houses(2, rings=rings) as pods:
        call, other = pods[1].admitted(), pods[1].admitted()
        path = f"/v1/calls/{call.identity.call_sid}/events?{FLEET}"
        async with pods[0].following(path) as events:
            call.reporter.key_pressed("1")
            await next_of(events, "dtmf")
        for _ in range(5):
            other.reporter.key_pressed("9")
        async with pods[0].following(path, {"Last-Event-ID": events.source.last_event_id}) as events:
            await next_of(events, "gap")
            call.reporter.key_pressed("2")
            assert (await next_of(events, "dtmf"))["digit"] == "2"


async def test_what_pods_ask_each_other_shows_nothing_of_a_call() -> None:
    async with houses(accesses=[ACCESS, ACCESS]) as pods:
        call = pods[0].admitted()
        path = f"/v1/pod?call_sid={call.identity.call_sid}"
        shown = await pods[0].get(path, authorization=f"Bearer {READS}")

        assert (shown["pod"], shown["cursor"]) == ("pod-0", str(pods[0].bus.ring.cursor))
        assert shown["call"].keys() == {"stream_sid", "ending", "started_at"}
        assert (await pods[0].http.get(path)).status_code == 401


@pytest.mark.parametrize("command", ["say", "play", "clear", "mark", "hangup", "transfer"])
async def test_a_command_goes_once_to_the_pod_that_has_the_call_as_it_came(command: str) -> None:
    async with houses(3, accesses=[ACCESS] * 3) as pods:
        sid = pods[2].admitted().identity.call_sid
        path, body = f"/v1/calls/{sid}/{command}", bytes(range(256)) * 200
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "audio/basic"}
        for asked in (pods[0], pods[2]):
            answer = await asked.http.post(f"{path}?interrupt=true&{FLEET}", content=body, headers=headers)
            assert (answer.status_code, answer.json()) == (202, {"reply_id": "r1"})

        assert [len(pod.commanded) for pod in pods] == [0, 0, 2]
        assert set(pods[2].commanded) == {(path, "interrupt=true", "audio/basic", f"Bearer {TOKEN}", body)}


async def test_headers_that_are_not_ascii_come_to_the_other_pod_as_they_were_sent() -> None:
    async with houses(2) as pods:
        sid = pods[1].admitted().identity.call_sid
        kind, token = "audio/basic; é", "Bearer é"
        headers = httpx.Headers({"content-type": kind, "authorization": token}, encoding="utf-8")
        answer = await pods[0].http.post(f"/v1/calls/{sid}/play?{FLEET}", content=b"x", headers=headers)

        assert answer.status_code == 202
        [commanded] = pods[1].commanded
        assert commanded.kind.encode("latin-1") == kind.encode()
        assert commanded.authorization.encode("latin-1") == token.encode()
        shown = await pods[0].http.get(f"/v1/calls?{FLEET}", headers=headers)
        assert [peer["reachable"] for peer in shown.json()["peers"]] == [True, True]


async def test_a_command_for_a_call_that_moves_goes_to_its_live_stream() -> None:
    async with houses(2) as pods:
        old = pods[0].admitted()
        old.end("drained")
        pods[1].admitted(old.identity.call_sid, stream=2)
        answer = await pods[0].http.post(f"/v1/calls/{old.identity.call_sid}/clear?{FLEET}")

        assert answer.status_code == 202
        assert [len(pod.commanded) for pod in pods] == [0, 1]


async def test_a_command_for_a_call_that_ends_is_refused_by_the_pod_that_has_it() -> None:
    async with houses(2) as pods:
        call = pods[1].admitted()
        call.end("stop")
        answer = await pods[0].http.post(f"/v1/calls/{call.identity.call_sid}/clear?{FLEET}")

        assert (answer.status_code, answer.json()) == (409, {"detail": "closing"})


async def test_a_command_for_a_call_that_no_pod_has_reaches_none() -> None:
    async with houses(2) as pods:
        answer = await pods[0].http.post(f"/v1/calls/CA1/say?{FLEET}", json={"text": "x"})

        assert (answer.status_code, [pod.commanded for pod in pods]) == (404, [[], []])


async def test_a_command_for_this_pods_call_waits_for_no_other_pod() -> None:
    """Where the call is is known before any other pod is asked."""
    async with houses(2, absent={1}) as (pod,):
        sid = pod.admitted().identity.call_sid
        assert (await pod.http.post(f"/v1/calls/{sid}/clear?{FLEET}")).status_code == 202
        assert (await pod.http.post(f"/v1/calls/CA1/clear?{FLEET}")).status_code == 503


async def test_a_token_that_is_refused_commands_nothing() -> None:
    async with houses(2, accesses=[ACCESS, ACCESS]) as pods:
        sid = pods[1].admitted().identity.call_sid
        assert (await pods[0].http.post(f"/v1/calls/{sid}/clear?{FLEET}")).status_code == 401

        assert pods[1].commanded == []


async def test_a_call_that_one_pod_hung_up_is_over_for_all_of_them() -> None:
    async with houses(2) as (one, other):
        call = one.admitted()
        sid = call.identity.call_sid
        before = await other.fleet.questions.hung_up(FleetRequest(""), sid, within_s=5.0)
        call.end("hung_up")

        assert not before
        assert await other.fleet.questions.hung_up(FleetRequest(""), sid, within_s=5.0)
        assert not await other.fleet.questions.hung_up(FleetRequest(""), "CA" + "9" * 32, within_s=5.0)


async def test_a_pod_that_does_not_answer_in_time_has_hung_up_nothing() -> None:
    async with houses(2) as (one, other):
        call = one.admitted()
        call.end("hung_up")

        assert not await other.fleet.questions.hung_up(FleetRequest(""), call.identity.call_sid, within_s=0.0)
