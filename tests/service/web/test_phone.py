"""The socket of the console's phone: who gets in, what it is told, and what becomes of clients that break the rules."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import WebSocketRoute
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from batkol.calls.pace import AHEAD_S, KEYS_AT_ONCE
from batkol.calls.registry import CallRegistry
from batkol.calls.services import Services
from batkol.client.streams import CallStreams
from batkol.events.bus import Subscription
from batkol.events.events import CallEnded, CallStarted, Event, KeyPressed
from batkol.events.identity import Chosen
from batkol.rights import ALL_RIGHTS, Grant, Right
from batkol.web.access import Access, trusted
from batkol.web.phone import NO_ACCOUNT, PATH, WAITING, PhoneSettings, PhoneSocket
from batkol.web.phone_start import MOST_PARAMETERS, PhoneChoices
from batkol.web.same_origin import SameOrigin
from batkol.web.server import LARGEST_MESSAGE, listening
from support.http.phone import PROTOCOL, bearer, dialled, start
from support.http.raw_websocket import RawWebSocket, handshake, text
from support.http.raw_websocket import connected as raw_connection
from support.time.waiting import until
from support.twilio.calls import services

TOKEN, READER = "a-made-up/token+with=every-right", "a-made-up-token-that-reads"
GRANTS = (Grant("all", TOKEN, ALL_RIGHTS), Grant("reader", READER, ALL_RIGHTS - {Right.LINE}))
SETTINGS = PhoneSettings(agent="reception", choices=PhoneChoices(("default", "fast"), ("default",)))
HOSTILE = ("slow", "DEFAULT", " fast", "fast\n", "fast\0", "__class__", "../fast", "fаst", "x" * 600)
"""Names that there are not; the one before the last has a letter that looks like ours."""


@dataclass
class House:
    """A listener with the phone, and what happens in its calls."""

    port: int
    calls: CallRegistry
    services: Services
    subscription: Subscription
    taken: list[Event] = field(default_factory=list)
    """The events that `ended` has read."""

    @property
    def refused(self) -> dict[str, int]:
        """How many calls were refused, by reason."""
        found = re.findall(
            rb'^batkol_calls_refused_total{.*reason="(\w+)".*} (\d+)', self.services.metrics.render(), re.MULTILINE
        )
        return {reason.decode(): int(count) for reason, count in found if int(count)}

    @asynccontextmanager
    async def greeted(self, **of: Any) -> AsyncIterator[tuple[ClientConnection, dict[str, str]]]:
        """A connection with a valid token, and the service's first message."""
        async with dialled(self.port, TOKEN, **of) as ws:
            yield ws, json.loads(await ws.recv())

    async def ended(self) -> tuple[CallStarted, CallEnded]:
        """Wait for the end of the one call, and return its first and its last event."""
        events = self.taken
        while not events or not isinstance(events[-1], CallEnded):
            await self.subscription.wait()
            events += [kept.event for kept in self.subscription.take()]
        assert isinstance(events[0], CallStarted)
        return events[0], events[-1]


@asynccontextmanager
async def serving(settings: PhoneSettings = SETTINGS, *, limit: int = 2, tokens: bool = True) -> AsyncIterator[House]:
    access = Access(GRANTS if tokens else ())
    async with services() as shared:
        calls = CallRegistry(limit=limit)
        app = FastAPI()
        app.add_middleware(SameOrigin, hosts=(), has_token=trusted(access) if tokens else None)
        phone = PhoneSocket(settings=settings, access=access, calls=calls, services=shared)
        app.router.routes.append(WebSocketRoute(PATH, endpoint=phone))
        async with listening(app, "127.0.0.1", 0) as port:
            with shared.bus.subscribe() as subscription:
                yield House(port, calls, shared, subscription)
            await calls.end_all("drained", within=1.0)


async def refusal(port: int, token: str = "", **of: Any) -> tuple[int, str]:
    """Return status and sentence of the answer to a handshake that is refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with dialled(port, token, **of):
            pass
    response = caught.value.response
    body = bytes(response.body or b"{}")
    return response.status_code, json.loads(body).get("detail", "")


async def until_refused(house: House) -> tuple[int, Response]:
    """Open sockets one after another; return how many were, and the answer to the first that was not."""
    for begun in range(10 * WAITING):
        try:
            async with house.greeted():
                pass
        except InvalidStatus as error:
            return begun, error.response
    raise AssertionError("each of them was opened")


async def closed(ws: ClientConnection) -> tuple[int, str]:
    """Return code and reason of the close frame that the service sends."""
    async with asyncio.timeout(10):
        await ws.wait_closed()
    assert ws.protocol.close_rcvd is not None
    return ws.protocol.close_rcvd.code, ws.protocol.close_rcvd.reason


def sound(connected: dict[str, str], number: int) -> str:
    """Return 20 ms of sound."""
    media = {"track": "inbound", "chunk": str(number), "timestamp": str(20 * (number - 1)), "payload": "/" * 216}
    message = {"event": "media", "sequenceNumber": str(number + 1), "streamSid": connected["streamSid"]}
    return json.dumps({**message, "media": media})


# -- who gets in -----------------------------------------------------------------------------------------------------


async def test_the_token_is_in_a_subprotocol_and_the_answer_does_not_repeat_it() -> None:
    async with serving() as house, house.greeted() as (ws, connected):
        assert ws.subprotocol == PROTOCOL
        assert bearer(TOKEN) not in str(ws.response and ws.response.headers)
        assert (connected["event"], connected["protocol"], connected["agent"]) == ("connected", PROTOCOL, "reception")
        assert re.fullmatch("CA[0-9a-f]{32}", connected["callSid"])
        assert re.fullmatch("MZ[0-9a-f]{32}", connected["streamSid"])
        assert connected["accountSid"] == NO_ACCOUNT


async def test_a_program_may_send_its_token_in_a_header() -> None:
    async with serving() as house:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with dialled(house.port, subprotocols=[PROTOCOL], headers=headers) as ws:
            assert json.loads(await ws.recv())["event"] == "connected"


async def test_without_tokens_nobody_needs_one() -> None:
    async with serving(tokens=False) as house, dialled(house.port) as ws:
        assert json.loads(await ws.recv())["event"] == "connected"


@pytest.mark.parametrize(
    ("offered", "status", "sentence"),
    [
        ([], 400, "offer it in the handshake"),
        ([bearer(TOKEN)], 400, "offer it in the handshake"),
        ([PROTOCOL], 401, "token with the right `line`"),
        ([PROTOCOL, bearer("another-token-of-nobody")], 401, "token with the right `line`"),
        ([PROTOCOL, "bearer."], 401, "token with the right `line`"),
        ([PROTOCOL, "bearer.a"], 401, "token with the right `line`"),
        ([PROTOCOL, "bearer.~~~~"], 401, "token with the right `line`"),
        ([PROTOCOL, f"bearer.{TOKEN[:6]}"], 401, "token with the right `line`"),
        ([PROTOCOL, bearer(TOKEN), bearer(READER)], 400, "more than one token"),
        ([PROTOCOL, bearer(READER)], 403, "needs the right `line`, which the token 'reader' does not have"),
        ([PROTOCOL, bearer("x" * 6000)], 401, "token with the right `line`"),
    ],
)
async def test_others_are_told_why_they_do_not_get_in(
    offered: list[str], status: int, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as lines:
        async with serving() as house:
            answered, said = await refusal(house.port, subprotocols=offered)

            assert (answered, sentence in said) == (status, True), said
            assert len(house.calls) == 0
    assert TOKEN not in str(lines)
    assert bearer(TOKEN) not in str(lines)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == [], "a refusal is no error"


async def test_a_token_in_the_address_is_none() -> None:
    async with serving() as house:
        assert (await refusal(house.port, path=f"{PATH}?token=x&access_token=x"))[0] == 401


@pytest.mark.parametrize("tokens", [True, False])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "rebound.example:8081", "Origin": "http://rebound.example:8081"},
        {"Host": "rebound.example:8081"},
    ],
    ids=str,
)
async def test_a_page_elsewhere_does_not_get_in_with_a_token_or_without(
    headers: dict[str, str], *, tokens: bool
) -> None:
    async with serving(tokens=tokens) as house:
        assert (await refusal(house.port, TOKEN, headers=headers))[0] == 403


async def test_the_page_of_the_service_itself_gets_in() -> None:
    async with serving() as house:
        own = {"Origin": f"http://127.0.0.1:{house.port}", "Sec-Fetch-Site": "same-origin", "Accept-Language": "he"}
        async with house.greeted(headers=own) as (_, connected):
            assert connected["event"] == "connected"


# -- its call --------------------------------------------------------------------------------------------------------


async def test_a_call_has_the_direction_of_a_browser_and_ends_with_its_stop() -> None:
    async with serving() as house, house.greeted() as (ws, connected):
        given = {"from": "+972501234567", "to": "+97231234567", "agent": "reception", "mood": "good", "stream": "7"}
        await ws.send(start(connected, given | {"direction": "inbound", "token": "x"}))
        await ws.send(sound(connected, 1))
        details = {"accountSid": connected["accountSid"], "callSid": connected["callSid"]}
        stop = {"event": "stop", "sequenceNumber": "9", "streamSid": connected["streamSid"], "stop": details}
        await ws.send(json.dumps(stop))
        closing = await closed(ws)
        begun, ended = await house.ended()

        assert closing == (1000, "stop")
        assert (begun.call_sid, begun.stream_sid) == (connected["callSid"], connected["streamSid"])
        assert (begun.direction, begun.agent, begun.stream) == ("browser", "reception", 1)
        assert (begun.from_, begun.to, begun.parameters) == ("+972501234567", "+97231234567", {"mood": "good"})
        assert ended.reason == "stop"
        assert house.refused == {}


async def test_a_page_that_is_closed_ends_its_call() -> None:
    async with serving() as house:
        async with house.greeted() as (ws, connected):
            await ws.send(start(connected))
            await ws.send(sound(connected, 1))
        _, ended = await house.ended()

        assert ended.reason == "closed"


async def test_a_call_without_a_place_is_told_that_all_are_taken() -> None:
    async with serving(limit=1) as house, house.greeted() as (ws, connected), house.greeted() as (other, its):
        await ws.send(start(connected))
        await house.subscription.wait()
        await other.send(start(its))

        assert await closed(other) == (1013, "full")
        assert house.refused == {"full": 1}
        assert house.calls.active == 1


async def test_a_draining_pod_takes_no_call() -> None:
    async with serving() as house, house.greeted() as (ws, connected):
        house.calls.refuse()
        await ws.send(start(connected))

        assert await closed(ws) == (1013, "draining")


# -- clients that break the rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "details", "reason"),
    [
        ({}, {"callSid": "CA" + "1" * 32}, "sids"),
        ({}, {"accountSid": "AC" + "1" * 32}, "sids"),
        ({"agent": "sales"}, {}, "agent"),
        ({"answerer": "slow"}, {}, "answerer"),
        ({"voice": "fast"}, {}, "voice"),
        *(({"answerer": name}, {}, "answerer") for name in HOSTILE),
        *(({"voice": name}, {}, "voice") for name in HOSTILE),
        ({"answerer": "fast", "voice": "fast"}, {}, "voice"),
        ({str(number): "x" for number in range(MOST_PARAMETERS + 1)}, {}, "parameters"),
        ({"mood": "x" * 600}, {}, "parameters"),
        ({"from": "+972\n501234567"}, {}, "parameters"),
        ({}, {"mediaFormat": {"encoding": "audio/opus", "sampleRate": 48000, "channels": 1}}, "protocol"),
        ({}, {"tracks": ["outbound"]}, "protocol"),
    ],
)
async def test_a_start_that_is_not_the_connections_own_is_refused(
    parameters: dict[str, str], details: dict[str, Any], reason: str
) -> None:
    async with serving() as house, house.greeted() as (ws, connected):
        await ws.send(start(connected, parameters, **details))
        code, said = await closed(ws)

        assert (code in {1003, 1008}, said) == (True, reason)
        assert (house.refused, len(house.calls)) == ({"protocol": 1}, 0)


@pytest.mark.parametrize("parameters", [{"answerer": ["fast"]}, {"voice": None}, {"voice": {}}, "answerer", ["fast"]])
async def test_a_start_that_cannot_be_read_is_refused_at_once(parameters: Any) -> None:
    async with serving(PhoneSettings(start_s=3600.0)) as house, house.greeted() as (ws, connected):
        await ws.send(start(connected, customParameters=parameters))

        assert await closed(ws) == (1003, "protocol")
        assert (house.refused, len(house.calls)) == ({"protocol": 1}, 0)


@pytest.mark.parametrize(
    "message", ["{", '{"event": "begin"}', '{"event": "media", "media": 1}', '{"event": ["start"]}']
)
async def test_what_cannot_be_read_and_is_no_start_is_passed_over(message: str) -> None:
    async with serving() as house, house.greeted() as (ws, connected):
        await ws.send(message)
        await ws.send(start(connected))
        await house.subscription.wait()

        assert house.calls.active == 1


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_name_that_there_is_not_is_in_no_line_of_the_log(name: str) -> None:
    with capture_logs() as logs:
        async with serving() as house, house.greeted() as (ws, connected):
            await ws.send(start(connected, {"answerer": name}))
            await closed(ws)

    (line,) = (each for each in logs if "refused" in each["event"])
    assert line["err"] == "`start` names no answerer of this service, which has default, fast"


async def test_what_only_a_webhook_of_the_service_may_say_is_not_taken_from_a_page() -> None:
    """A page cannot hide its call as a rehearsal, go on with another one, or call itself Twilio's."""
    claims = {"direction": "rehearsal", "stream": "7", "greeted": "1", "secret": "x" * 20, "mood": "good"}
    async with serving() as house, house.greeted() as (ws, connected):
        await ws.send(start(connected, claims))
        await house.subscription.wait()
        (call,) = house.calls
        identity = call.identity

    assert (identity.direction, identity.stream, identity.parameters) == ("browser", 1, {"mood": "good"})
    assert (identity.is_rehearsal, identity.chosen) == (False, Chosen())


async def test_answerer_and_voice_are_chosen_by_name_and_are_no_parameters_of_the_call() -> None:
    async with serving() as house, house.greeted() as (ws, connected):
        await ws.send(start(connected, {"answerer": "fast", "mood": "good"}))
        await house.subscription.wait()
        (call,) = house.calls

        assert call.identity.chosen == Chosen("fast", "")
        assert call.identity.parameters == {"mood": "good"}


async def test_two_connections_cannot_have_each_others_call() -> None:
    async with serving() as house, house.greeted() as (ws, connected), house.greeted() as (other, _):
        await ws.send(start(connected))
        await house.subscription.wait()
        await other.send(start(connected))

        assert await closed(other) == (1008, "sids")
        assert house.calls.active == 1


async def test_a_client_that_never_starts_is_closed() -> None:
    async with serving(PhoneSettings(start_s=0.05)) as house, house.greeted() as (ws, _):
        await ws.send(json.dumps({"event": "connected"}))

        assert await closed(ws) == (1008, "no_start")


async def test_a_page_that_sends_no_sound_any_more_is_hung_up_though_it_answers_pings() -> None:
    async with serving(PhoneSettings(silent_s=0.1)) as house, house.greeted() as (ws, connected):
        await ws.send(start(connected))
        await ws.send(sound(connected, 1))

        assert await closed(ws) == (1011, "peer_timeout")
        assert (await house.ended())[1].reason == "peer_timeout"


async def test_garbage_closes_the_socket_before_the_start_and_after_it() -> None:
    async with serving() as house, house.greeted() as (ws, connected), house.greeted() as (other, _):
        await ws.send(start(connected))
        for socket in (ws, other):
            for _ in range(200):
                await socket.send("\x00 {" * 20)

        assert await closed(ws) == (1008, "refused")
        assert await closed(other) == (1008, "protocol")
        assert (await house.ended())[1].reason == "refused"


async def test_a_page_that_hangs_up_before_its_start_is_told_so() -> None:
    async with serving() as house, house.greeted() as (ws, connected):
        sids = {"accountSid": connected["accountSid"], "callSid": connected["callSid"]}
        message = {"event": "stop", "sequenceNumber": "1", "streamSid": connected["streamSid"], "stop": sids}
        await ws.send(json.dumps(message))
        assert await closed(ws) == (1000, "stop")
        assert house.calls.active == 0


async def test_a_drain_ends_a_call_with_its_pod_and_no_other_pod_is_waited_for() -> None:
    async with serving() as house, house.greeted() as (ws, connected):
        await ws.send(start(connected))
        await ws.send(sound(connected, 1))
        await house.subscription.wait()
        await house.calls.end_all("drained", within=1.0)
        closing = await closed(ws)
        begun, ended = await house.ended()
        streams = CallStreams()
        for event in (begun, ended):
            streams.observe(event)

    assert closing == (1001, "pod_left")
    assert (ended.reason, streams.over, streams.moves) == ("pod_left", True, False)


# -- hostile clients with a valid token --------------------------------------------------------------------------------


@asynccontextmanager
async def raw_phone(port: int) -> AsyncIterator[RawWebSocket]:
    """A socket with a valid token, of which frames are read only by hand."""
    async with raw_connection(port, shake=False) as raw:
        await raw.send(handshake(PATH, f"Sec-WebSocket-Protocol: {PROTOCOL}, {bearer(TOKEN)}"))
        assert b" 101 " in await raw.upgraded()
        yield raw


MARKS = 20_000
"""Marks of 1 KB: more than all buffers on the way take."""


def jumping(connected: dict[str, str], number: int) -> str:
    """Return 20 ms of sound whose timestamp stands for 30 s of silence before it."""
    media = {"track": "inbound", "chunk": str(number), "timestamp": str(30_000 * number), "payload": "/" * 216}
    message = {"event": "media", "sequenceNumber": str(number + 1), "streamSid": connected["streamSid"]}
    return json.dumps({**message, "media": media})


@pytest.mark.parametrize("piece", [sound, jumping])
async def test_no_more_sound_is_taken_than_a_call_has_by_now(piece: Callable[[dict[str, str], int], str]) -> None:
    """A day of it came in seconds, and would have gone to the recognizer: by many messages, or by their timestamps."""
    async with serving() as house, house.greeted() as (ws, connected):
        await ws.send(start(connected))
        with suppress(ConnectionClosed):
            for number in range(1, 9_000):
                await ws.send(piece(connected, number))
        closing = await closed(ws)
        _, ended = await house.ended()

    assert closing == (1008, "flooded")
    assert ended.reason == "flooded"
    assert ended.gap_ms <= 1000 * (AHEAD_S + ended.duration_s + 30)


async def test_keys_that_no_hand_presses_end_the_call_after_a_bounded_number() -> None:
    async with serving() as house, house.greeted() as (ws, connected):
        await ws.send(start(connected))
        key = {"event": "dtmf", "sequenceNumber": "9", "streamSid": connected["streamSid"], "dtmf": {"digit": "1"}}
        with suppress(ConnectionClosed):
            for _ in range(2 * KEYS_AT_ONCE):
                await ws.send(json.dumps(key))
        closing = await closed(ws)
        await house.ended()
        pressed = [event for event in house.taken if isinstance(event, KeyPressed)]

    assert closing == (1008, "flooded")
    assert len(pressed) <= 1.5 * KEYS_AT_ONCE


def idle_messages(connected: dict[str, str]) -> dict[str, str]:
    """Return a message of each kind that brings neither sound nor a key."""
    media = json.loads(jumping(connected, 1))
    header = {"sequenceNumber": "9", "streamSid": connected["streamSid"]}
    sids = {"accountSid": connected["accountSid"], "callSid": connected["callSid"]}
    elsewhere = {"streamSid": "MZ" + "f" * 32}
    key = {**header, "event": "dtmf", "dtmf": {"digit": "1"}}
    said = {
        "a mark that was never sent": {**header, "event": "mark", "mark": {"name": "x" * 1000}},
        "connected": {"event": "connected"},
        "start, again": json.loads(start(connected)),
        "sound of the other track": {**media, "media": {**media["media"], "track": "outbound"}},
        "sound without a sample": {**media, "media": {**media["media"], "timestamp": "0", "payload": ""}},
        "sound of another stream": {**media, **elsewhere},
        "a key of another stream": {**key, **elsewhere},
        "stop of another stream": {**header, **elsewhere, "event": "stop", "stop": sids},
        "an event that there is not": {**header, "event": "clear"},
    }
    return {name: json.dumps(message) for name, message in said.items()}


async def test_what_brings_neither_sound_nor_keys_causes_nothing_however_often_it_comes() -> None:
    """How many frames a peer may send is `web.frame_budget`'s."""
    async with serving() as house, house.greeted() as (ws, connected):
        await ws.send(start(connected))
        await house.subscription.wait()
        (call,) = house.calls
        with capture_logs() as lines:
            for _ in range(1_000):
                for text_of_it in idle_messages(connected).values():
                    call.receive(text_of_it)

        assert (call.ended_by, call.audio.ms, call.playout.marks, lines) == ("", 0, 0, [])
        await ws.close()
        await house.ended()
        assert [type(event) for event in house.taken] == [CallStarted, CallEnded]


async def test_sockets_that_wait_for_their_start_are_few_and_others_are_told_to_come_again() -> None:
    async with serving(limit=100) as house, AsyncExitStack() as stack:
        waiting = [await stack.enter_async_context(house.greeted()) for _ in range(WAITING)]
        status, sentence = await refusal(house.port, TOKEN)
        ws, connected = waiting[0]
        await ws.send(start(connected))
        await house.subscription.wait()
        async with house.greeted() as (_, later):
            assert later["event"] == "connected", "one has begun, so another one may wait"

        assert (status, f"{WAITING} phones" in sentence) == (503, True)
        assert house.refused == {"full": 1}


async def test_no_more_calls_begin_than_people_make() -> None:
    """Each one has lines in the log, events, and rows in the store."""
    async with serving(limit=1) as house:
        with capture_logs() as lines:
            begun, refused = await until_refused(house)

    assert begun >= WAITING
    assert refused.status_code == 503
    assert b"More calls from phones have begun than people make" in (refused.body or b"")
    told = [line for line in lines if line["event"] == "[CALL] call from the console refused: there are too many"]
    assert [line["token"] for line in told] == ["all"]


async def test_what_comes_after_a_flood_is_not_even_read() -> None:
    """Each message wrote a line."""
    async with serving() as house, house.greeted() as (ws, connected):
        await ws.send(start(connected))
        await house.subscription.wait()
        (call,) = house.calls
        with capture_logs() as lines:
            for number in range(1, 200):
                call.receive(jumping(connected, number))

        assert call.ended_by == "flooded"
        assert len([line for line in lines if line["log_level"] == "warning"]) == 1


@pytest.mark.parametrize("to_the_end", [False, pytest.param(True, marks=pytest.mark.nightly)])
async def test_a_client_that_reads_nothing_ends_like_any_other(*, to_the_end: bool) -> None:
    """Its buffers are full, so neither the agent's sound nor the close frame gets out; that is waited for, 2 s."""
    async with serving() as house, raw_phone(house.port) as raw:
        greeting = await raw.frame()
        assert greeting is not None
        connected = json.loads(greeting.payload)
        await raw.send(text(start(connected)))
        await house.subscription.wait()
        (call,) = house.calls
        for _ in range(MARKS):
            call.playout.mark("x" * 1000)
        await raw.send(text(sound(connected, 1)))
        stop = {"accountSid": connected["accountSid"], "callSid": connected["callSid"]}
        message = {"event": "stop", "sequenceNumber": "9", "streamSid": connected["streamSid"], "stop": stop}
        await raw.send(text(json.dumps(message)))
        _, ended = await house.ended()

        assert ended.reason == "stop"
        assert house.calls.active == 0
        if to_the_end:
            await until(lambda: not len(house.calls))
            written = 0
            while await raw.frame() is not None:
                written += 1
            assert written < MARKS, "it was held up"


async def test_sound_before_anything_else_is_no_call() -> None:
    async with serving() as house, house.greeted() as (ws, connected):
        await ws.send(sound(connected, 1))

        assert await closed(ws) == (1002, "protocol")


async def test_a_message_larger_than_any_sound_closes_the_socket() -> None:
    async with serving() as house, house.greeted() as (ws, connected):
        await ws.send(start(connected))
        with suppress(ConnectionClosed):  # it is closed before all of it is out
            await ws.send("x" * (LARGEST_MESSAGE + 1))

        assert (await closed(ws))[0] == 1009
