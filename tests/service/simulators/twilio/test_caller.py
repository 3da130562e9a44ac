"""The simulated caller against a tiny real service: HTTP by hand, the WebSocket by `websockets`."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from batkol.simulators.twilio.caller import CallEnding, Caller, CallOutcome, CallPlan, CallReport, place_call
from batkol.twilio.messages import Connected, Dtmf, Media, Start, Stop, parse
from batkol.twilio.signature import is_valid
from batkol.twilio.twiml import apology, connect_stream, redirect
from support.time.waiting import until

TOKEN = "secret"
XML = ("content-type", "text/xml; charset=utf-8")

Answer = Callable[[str], tuple[int, Sequence[tuple[str, str]], str]]
OnStream = Callable[[ServerConnection, "Service"], Awaitable[None]]


async def listen(ws: ServerConnection, service: Service) -> None:
    """Read until the caller is gone."""
    try:
        async for text in ws:
            service.heard.append(json.loads(text))
            service.times.append(asyncio.get_running_loop().time())
    except ConnectionClosed:
        service.lost = True


@dataclass
class Service:
    """Answers webhooks, keeps what came, and hands the stream to the test."""

    on_stream: OnStream = listen
    refuse: HTTPStatus | None = None
    answer: Answer | None = None
    requests: list[tuple[str, dict[str, str], list[tuple[str, str]]]] = field(default_factory=list)
    handshakes: list[Request] = field(default_factory=list)
    heard: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    lost: bool = False
    stream_name: str | None = None

    async def __aenter__(self) -> Self:
        self._http = await asyncio.start_server(self._request, "127.0.0.1", 0)
        self._ws: Server = await serve(
            self._stream, "127.0.0.1", 0, compression=None, process_request=self._handshake, max_size=None
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self._ws.close()
        await self._ws.wait_closed()
        await self._http.wait_closed()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._http.sockets[0].getsockname()[1]}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{next(iter(self._ws.sockets)).getsockname()[1]}/twilio/media"

    @property
    def sid(self) -> str:
        return str(self.of("start")[0]["streamSid"])

    def of(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["event"] == event]

    def posted(self, path: str) -> list[dict[str, str]]:
        return [dict(fields) for where, _, fields in self.requests if where == path]

    def _handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append(request)
        return None if self.refuse is None else connection.respond(self.refuse, "no\n")

    async def _stream(self, ws: ServerConnection) -> None:
        await self.on_stream(ws, self)

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        path = lines[0].split(" ")[1]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((path, headers, parse_qsl(body.decode(), keep_blank_values=True)))
        status, given, text = self._answer(path)
        content = text.encode()
        out = [f"HTTP/1.1 {status} X", "connection: close", *(f"{name}: {value}" for name, value in given)]
        if not any(name == "transfer-encoding" for name, _ in given):
            out.append(f"content-length: {len(content)}")
        writer.write("\r\n".join(out).encode() + b"\r\n\r\n" + content)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def _answer(self, path: str) -> tuple[int, Sequence[tuple[str, str]], str]:
        if path != "/twilio/voice" and "twiml" not in path:
            return 204, (), ""
        if self.answer is not None:
            return self.answer(path)
        return 200, (XML,), self.connect()

    def connect(self, action: str | None = None) -> str:
        return connect_stream(
            url=self.stream_url,
            token="t0ken",
            name=self.stream_name,
            status_callback=f"{self.base}/twilio/stream-status",
            action=action,
            parameters={"agent": "דנה"},
        )


def twiml(text: str) -> Answer:
    return lambda _path: (200, (XML,), text)


def codes(report: CallReport) -> list[int]:
    return [violation.code for violation in report.violations]


def sound(frames: int) -> bytes:
    """Frames that can be told apart."""
    return b"".join(bytes([1 + number % 200]) * 160 for number in range(frames))


def plan(service: Service, **changes: Any) -> CallPlan:
    fields: dict[str, Any] = {"base_url": service.base, "auth_token": TOKEN, "speed": 4.0}
    return CallPlan(**(fields | changes))


async def test_a_call_from_webhook_to_completion() -> None:
    async with Service() as service:
        order = plan(service, audio=sound(25), dtmf=((100, "7"),), tail_ms=100)
        report = await place_call(order)

        assert (report.outcome, report.violations, report.streams) == (CallOutcome.COMPLETED, [], 1)
        assert (report.closed_by, report.close_code) == ("caller", 1000)
        assert report.frames_sent == 30
        events = [message["event"] for message in service.heard]
        assert events[:2] == ["connected", "start"]
        assert events[-1] == "stop"
        assert events.index("dtmf") == 2 + 5

        details = service.of("start")[0]["start"]
        assert details["customParameters"] == {"token": "t0ken", "agent": "דנה"}
        assert (details["callSid"], details["streamSid"]) == (order.call_sid, report.stream_sid)
        media = service.of("media")
        heard = b"".join(base64.b64decode(message["media"]["payload"]) for message in media)
        assert heard == sound(25) + b"\xff" * 800
        assert [message["media"]["chunk"] for message in media] == [str(n) for n in range(1, 31)]
        assert [message["media"]["timestamp"] for message in media] == [str(20 * n) for n in range(30)]
        numbers = [message["sequenceNumber"] for message in service.heard[1:]]
        assert numbers == [str(n) for n in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("stop", [True, False])
async def test_a_call_that_moves_asks_again_and_opens_another_stream(stop: bool) -> None:
    async with Service() as service:

        async def script(caller: Caller) -> None:
            await caller.say(sound(5))
            await caller.move(stop=stop)
            await caller.say(sound(3))

        report = await place_call(plan(service), script)

        first, second = (start["streamSid"] for start in service.of("start"))
        assert (report.streams, report.stream_sid, report.violations) == (2, second, [])
        assert [fields["CallStatus"] for fields in service.posted("/twilio/voice")] == ["ringing", "in-progress"]
        events = [(message["event"], message.get("streamSid")) for message in service.heard]
        assert (events.index(("stop", first)) < events.index(("start", second))) is stop
        assert report.left_codes == [1000]
        said = [base64.b64decode(m["media"]["payload"]) for m in service.of("media") if m["streamSid"] == second]
        assert b"".join(said).replace(b"\xff", b"") == sound(3), "the new stream alone is spoken into"


async def test_a_call_that_the_rest_api_ends_is_stopped_and_goes_on_to_no_verb() -> None:
    async with Service() as service:
        service.answer = twiml(service.connect().replace("</Response>", "<Redirect>/twiml</Redirect></Response>"))

        async def script(caller: Caller) -> None:
            caller.updated({"Status": "completed"})
            await asyncio.sleep(60)

        report = await place_call(plan(service, ending=CallEnding.ABRUPT), script)

        assert (report.streams, report.closed_by, report.close_code) == (1, "caller", 1000)
        assert report.ended_by_rest
        assert [message["event"] for message in service.heard][-1] == "stop"
        assert [fields["CallStatus"] for fields in service.posted("/twilio/status")] == ["completed"]


@pytest.mark.parametrize(
    ("dial", "targets", "wrong"),
    [
        ("<Number>+972501234567</Number>", ["+972501234567"], []),
        ("<Sip>sip:a@b.example</Sip><Number>1</Number>", ["sip:a@b.example", "1"], []),
        ("+1", ["+1"], []),
        ("<Number>sip:a@b.example</Number>", ["sip:a@b.example"], [13224]),
        ("<Client>anna</Client>", ["anna"], [13224]),
        ("", [], [13223]),
    ],
)
async def test_a_call_that_the_rest_api_moves_leaves_its_stream_and_does_the_new_twiml(
    dial: str, targets: list[str], wrong: list[int]
) -> None:
    async with Service() as service:

        async def script(caller: Caller) -> None:
            caller.updated({"Twiml": f"<Response><Dial>{dial}</Dial><Hangup/></Response>"})
            await asyncio.sleep(60)

        report = await place_call(plan(service), script)

        assert (report.dialled, codes(report)) == (targets, wrong)
        assert (report.streams, report.left_codes) == (1, [1000])
        assert [message["event"] for message in service.heard][-1] == "stop"


async def test_every_message_is_one_that_the_service_can_read() -> None:
    async with Service() as service:
        await place_call(plan(service, audio=sound(3), dtmf=((0, "#"),)))
        read = [parse(json.dumps(message)) for message in service.heard]

    assert [type(message) for message in read[:2]] == [Connected, Start]
    assert Counter(type(message) for message in read[2:]) == {Media: 3, Dtmf: 1, Stop: 1}


async def test_webhooks_are_signed_forms_with_blank_fields() -> None:
    async with Service() as service:
        order = plan(service, audio=sound(2), form={"ForwardedFrom": ""})
        await place_call(order)

        for path, headers, fields in service.requests:
            assert is_valid([TOKEN], service.base + path, fields, headers["x-twilio-signature"])
        voice = service.posted("/twilio/voice")[0]
        assert voice["CallSid"] == order.call_sid
        assert (voice["CallStatus"], voice["Direction"], voice["CallerCity"]) == ("ringing", "inbound", "")
        assert voice["ForwardedFrom"] == ""
        events = [fields["StreamEvent"] for fields in service.posted("/twilio/stream-status")]
        assert events == ["stream-started", "stream-stopped"]
        names = [(fields["StreamName"], fields["StreamSid"]) for fields in service.posted("/twilio/stream-status")]
        assert all(name == sid for name, sid in names), "a stream without a name is called by its SID"
        assert [fields["CallStatus"] for fields in service.posted("/twilio/status")] == ["completed"]


async def test_a_stream_is_called_by_the_name_that_it_was_given() -> None:
    async with Service(stream_name="1f") as service:
        await place_call(plan(service, audio=sound(1)))

        assert {fields["StreamName"] for fields in service.posted("/twilio/stream-status")} == {"1f"}


async def test_the_handshake_is_signed_over_the_url_as_written() -> None:
    async with Service() as service:
        await place_call(plan(service, audio=sound(1)))
        header = service.handshakes[0].headers["x-twilio-signature"]
        assert is_valid([TOKEN], service.stream_url, [], header)


async def test_without_a_token_nothing_is_signed() -> None:
    async with Service() as service:
        await place_call(plan(service, audio=sound(1), auth_token=None))
        assert all("x-twilio-signature" not in headers for _, headers, _ in service.requests)
        assert "x-twilio-signature" not in service.handshakes[0].headers


async def test_a_public_name_is_signed_and_the_given_address_is_dialled() -> None:
    """For a service that calls itself https://voice.example.com and is reached inside its cluster."""
    async with Service() as service:
        public = "https://voice.example.com/il"
        address = service.stream_url.removesuffix("/twilio/media").replace("ws", "http", 1)
        service.answer = twiml(connect_stream(url="wss://voice.example.com/il/twilio/media", token="t"))
        order = plan(service, public_url=public, audio=sound(1))
        assert order.route(f"{public}/x") == f"{service.base}/x"
        report = await place_call(order)
        # HTTP and WebSocket have ports of their own here, so the handshake meets the HTTP server and fails.
        assert report.outcome is CallOutcome.HANDSHAKE_FAILED
        _, headers, fields = service.requests[0]
        assert is_valid([TOKEN], f"{public}/twilio/voice", fields, headers["x-twilio-signature"])

        direct = CallPlan(base_url=address, public_url=public)
        assert direct.route("wss://voice.example.com/il/twilio/media") == service.stream_url
        assert direct.route("wss://voice.example.com.evil/il") == "wss://voice.example.com.evil/il"


async def test_lost_messages_leave_their_numbers_and_a_hold_leaves_none() -> None:
    async with Service() as service:
        report = await place_call(plan(service, audio=sound(10), gaps=((40, 60),), holds=((140, 100),)))

        media = service.of("media")
        assert [int(message["media"]["chunk"]) for message in media] == [1, 2, 6, 7, 8, 9, 10]
        assert [int(message["media"]["timestamp"]) for message in media] == [0, 20, 100, 120, 240, 260, 280]
        # Of the gap the sound is lost; in the hold it waited.
        payloads = [base64.b64decode(message["media"]["payload"])[0] for message in media]
        assert payloads == [1, 2, 6, 7, 8, 9, 10]
        assert int(service.of("stop")[0]["sequenceNumber"]) == 12
        assert report.frames_sent == 7


async def test_jitter_never_reorders() -> None:
    async with Service() as service:
        await place_call(plan(service, audio=sound(30), jitter_ms=15.0, speed=2.0))
        chunks = [int(message["media"]["chunk"]) for message in service.of("media")]
        assert chunks == list(range(1, 31))


async def test_frames_are_paced_and_the_report_says_when() -> None:
    async with Service() as service:
        report = await place_call(plan(service, audio=sound(50), speed=1.0))
        starts = service.of("media")
        assert len(starts) == 50
        took = service.times[-1] - service.times[2]
        assert took >= 0.9  # no upper bound: the machine may be busy
        assert report.sent_at(0) == report.media_start
        assert report.sent_at(50 * 160 - 1) - report.media_start == pytest.approx(0.98)


async def test_an_abrupt_end_sends_no_stop() -> None:
    async with Service() as service:
        report = await place_call(plan(service, audio=sound(5), ending=CallEnding.ABRUPT))
        assert (report.closed_by, report.close_code) == ("caller", 1006)
        assert service.of("stop") == []
        assert service.lost
        assert report.clean


async def test_the_service_may_close_and_the_next_verb_follows() -> None:
    async def close(ws: ServerConnection, service: Service) -> None:
        for _ in range(5):
            service.heard.append(json.loads(await ws.recv()))
        await ws.close(1000, "bye")

    async with Service(on_stream=close) as service:
        report = await place_call(plan(service, audio=sound(500), ending=CallEnding.SERVER))
        assert (report.closed_by, report.close_code, report.close_reason) == ("server", 1000, "bye")
        assert report.clean


async def test_after_a_stream_with_an_action_its_twiml_is_done() -> None:
    """That may be another stream: a call handed from one pod to the next."""
    streams = []

    async def close(ws: ServerConnection, _service: Service) -> None:
        await ws.recv()
        streams.append(json.loads(await ws.recv())["streamSid"])
        await ws.close()

    async with Service(on_stream=close) as service:
        pages = {
            "/twilio/voice": lambda: service.connect(action=f"{service.base}/twiml/2"),
            "/twiml/2": lambda: service.connect(action=f"{service.base}/twiml/3"),
            "/twiml/3": lambda: apology("he-IL", "שלום"),
        }
        service.answer = lambda path: (200, (XML,), pages[path]())
        report = await place_call(plan(service, ending=CallEnding.SERVER))
        assert len(set(streams)) == report.streams == 2
        assert report.said == ["שלום"]
        assert report.outcome is CallOutcome.COMPLETED
        statuses = [service.posted(path)[0]["CallStatus"] for path in pages]
        assert statuses == ["ringing", "in-progress", "in-progress"]


async def test_a_connection_that_dies_is_31903() -> None:
    async def die(ws: ServerConnection, _service: Service) -> None:
        await ws.recv()
        ws.transport.abort()

    async with Service(on_stream=die) as service:
        report = await place_call(plan(service, ending=CallEnding.SERVER))
        assert (report.closed_by, report.close_code, codes(report)) == ("server", 1006, [31903])


async def test_a_frame_that_breaks_rfc_6455_is_31924() -> None:
    async def garble(ws: ServerConnection, service: Service) -> None:
        await ws.recv()
        ws.transport.write(b"\xf3\x00")
        await listen(ws, service)

    async with Service(on_stream=garble) as service:
        report = await place_call(plan(service, ending=CallEnding.SERVER))
        assert codes(report) == [31924]


async def test_an_apology_is_heard_and_opens_no_stream() -> None:
    async with Service() as service:
        service.answer = twiml(apology("he-IL", "כל הקווים תפוסים"))
        report = await place_call(plan(service))
        assert (report.outcome, report.said, report.streams) == (CallOutcome.APOLOGY, ["כל הקווים תפוסים"], 0)
        assert service.handshakes == []
        assert report.clean


async def test_a_redirect_is_followed_but_not_for_ever() -> None:
    async with Service() as service:
        there = redirect(f"{service.base}/twiml/elsewhere")
        service.answer = lambda path: (200, (XML,), there if path == "/twilio/voice" else apology("en", "Busy"))
        report = await place_call(plan(service))
        assert (report.outcome, report.said) == (CallOutcome.APOLOGY, ["Busy"])

        service.answer = twiml(there)
        report = await place_call(plan(service))
        assert (report.outcome, codes(report)) == (CallOutcome.WEBHOOK_FAILED, [11200])


async def test_a_pause_is_waited_out_before_what_follows_it() -> None:
    async with Service() as service:
        there = redirect(f"{service.base}/twiml/elsewhere", after_s=1)
        service.answer = lambda path: (200, (XML,), there if path == "/twilio/voice" else apology("en", "Busy"))
        began = time.monotonic()
        report = await place_call(plan(service))

        assert time.monotonic() - began >= 1 / 4  # the plan's speed
        assert (report.said, report.violations) == (["Busy"], [])
        service.answer = twiml(f'{HEAD}<Response><Pause length="soon"/></Response>')
        assert codes(await place_call(plan(service))) == [12200]


HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((403, (XML,), ""), 11200),
        ((200, (("content-type", "application/json"),), "{}"), 12300),
        ((200, (), "<Response/>"), 12300),
        ((200, (XML,), ""), 12100),
        ((200, (XML,), "hello <?xml?>"), 12100),
        ((200, (XML,), "<Response><Say>a & b</Say></Response>"), 12100),
        ((200, (XML,), "<Answer/>"), 12100),
    ],
)
async def test_a_webhook_that_twilio_could_not_use(
    answer: tuple[int, Sequence[tuple[str, str]], str], code: int
) -> None:
    async with Service() as service:
        service.answer = lambda _path: answer
        report = await place_call(plan(service))
        assert (report.outcome, codes(report)) == (CallOutcome.WEBHOOK_FAILED, [code])
        assert report.http_status == answer[0]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<Gather>1</Gather>", 12200),
        ('<Hangup now="1"/>', 12200),
        ("<Connect/>", 12200),
        ("<Connect><Stream/><Stream/></Connect>", 12200),
    ],
)
async def test_twiml_that_is_xml_but_no_twiml(body: str, code: int) -> None:
    async with Service() as service:
        service.answer = twiml(f"{HEAD}<Response>{body}</Response>")
        assert codes(await place_call(plan(service))) == [code]


@pytest.mark.parametrize(
    ("attributes", "inner", "expected"),
    [
        ('track="both_tracks"', "", [31941]),
        ("", '<Parameter name="x"/>', [12200]),
        ("", f'<Parameter name="x" value="{"v" * 499}"/>', [12200]),
        ('speed="2"', "", [12200]),
    ],
)
async def test_a_stream_with_a_mistake_in_its_twiml(attributes: str, inner: str, expected: list[int]) -> None:
    async with Service() as service:
        stream = f'<Stream url="{service.stream_url}" {attributes}>{inner}</Stream>'
        service.answer = twiml(f"{HEAD}<Response><Connect>{stream}</Connect></Response>")
        report = await place_call(plan(service, audio=sound(1)))
        assert (codes(report), report.outcome) == (expected, CallOutcome.COMPLETED)


async def test_a_query_string_is_dropped_and_reported() -> None:
    async with Service() as service:
        stream = f'<Stream url="{service.stream_url}?token=1"/>'
        service.answer = twiml(f"{HEAD}<Response><Connect>{stream}</Connect></Response>")
        report = await place_call(plan(service, audio=sound(1)))
        assert codes(report) == [31920]
        assert service.handshakes[0].path == "/twilio/media"


async def test_chunked_twiml_is_reported() -> None:
    async with Service() as service:
        text = apology("en", "Hi")
        chunked = f"{len(text):x}\r\n{text}\r\n0\r\n\r\n"
        service.answer = lambda _path: (200, (XML, ("transfer-encoding", "chunked")), chunked)
        report = await place_call(plan(service))
        assert (report.said, codes(report)) == (["Hi"], [12100])


async def test_a_refused_handshake_is_31920_with_its_status() -> None:
    async with Service(refuse=HTTPStatus.FORBIDDEN) as service:
        report = await place_call(plan(service))
        assert (report.outcome, report.handshake_status) == (CallOutcome.HANDSHAKE_FAILED, 403)
        assert codes(report) == [31920]
        assert [fields["StreamEvent"] for fields in service.posted("/twilio/stream-status")] == ["stream-error"]


async def test_a_redirected_handshake_is_not_followed() -> None:
    async with Service() as service:
        service.refuse = HTTPStatus.TEMPORARY_REDIRECT
        report = await place_call(plan(service))
        assert (report.handshake_status, codes(report)) == (307, [31920])


async def test_a_closed_port_is_31902_and_http_is_31922() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with Service() as service:
            for url, code in (
                (f"ws://{address}/m", 31902),
                (f"http://{address}/m", 31922),
                ("wss://", 31923),
            ):
                stream = f'<Stream url="{url}"/>'
                service.answer = twiml(f"{HEAD}<Response><Connect>{stream}</Connect></Response>")
                report = await place_call(plan(service))
                assert (report.outcome, codes(report)) == (CallOutcome.HANDSHAKE_FAILED, [code])
        report = await place_call(CallPlan(base_url=f"http://{address}"))
        assert (report.outcome, codes(report)) == (CallOutcome.WEBHOOK_FAILED, [11205])


async def test_what_the_service_sends_is_played_and_marks_come_back() -> None:
    async def answer(ws: ServerConnection, service: Service) -> None:
        await ws.recv()
        service.heard.append(json.loads(await ws.recv()))
        payload = base64.b64encode(b"\x10" * 1600).decode()
        await ws.send(json.dumps({"event": "mark", "streamSid": service.sid, "mark": {"name": "at once"}}))
        await ws.send(json.dumps({"event": "media", "streamSid": service.sid, "media": {"payload": payload}}))
        await ws.send(json.dumps({"event": "mark", "streamSid": service.sid, "mark": {"name": "played"}}))
        await listen(ws, service)

    async with Service(on_stream=answer) as service:
        report = await place_call(plan(service, audio=sound(30)))
        assert (report.marks, report.clean) == (["at once", "played"], True)
        assert bytes(report.heard) == b"\x10" * 1600
        assert len(report.replies_at) == 1
        events = [message["event"] for message in service.heard]
        first, second = (index for index, event in enumerate(events) if event == "mark")
        assert events[first:second].count("media") >= 5  # 200 ms of sound were played in between


async def test_clear_sends_the_marks_back_at_once() -> None:
    async def interrupt(ws: ServerConnection, service: Service) -> None:
        await ws.recv()
        service.heard.append(json.loads(await ws.recv()))
        payload = base64.b64encode(b"\x10" * 80_000).decode()
        await ws.send(json.dumps({"event": "media", "streamSid": service.sid, "media": {"payload": payload}}))
        for name in ("a", "b"):
            await ws.send(json.dumps({"event": "mark", "streamSid": service.sid, "mark": {"name": name}}))
        await ws.send(json.dumps({"event": "clear", "streamSid": service.sid}))
        await listen(ws, service)

    async with Service(on_stream=interrupt) as service:
        report = await place_call(plan(service, audio=sound(20)))
        assert (report.marks, report.clears, report.clean) == (["a", "b"], 1, True)
        assert len(report.received) == 80_000
        assert len(report.heard) < 8000, "what a clear throws away, nothing hears"


async def test_sound_that_was_not_played_when_the_caller_hung_up_was_not_heard() -> None:
    async def answer(ws: ServerConnection, service: Service) -> None:
        await ws.recv()
        service.heard.append(json.loads(await ws.recv()))
        payload = base64.b64encode(b"\x10" * 800_000).decode()
        await ws.send(json.dumps({"event": "media", "streamSid": service.sid, "media": {"payload": payload}}))
        await listen(ws, service)

    async with Service(on_stream=answer) as service:
        report = await place_call(plan(service, audio=sound(100)))

        assert report.ear.sounds[-1].cut, "the time after the call plays nothing more"
        assert 0 < len(report.heard) < len(report.received) == 800_000


async def test_a_network_between_delays_both_ways_and_loses_nothing() -> None:
    """A mark is asked for at once and comes back after both ways; what the caller said last arrives before `stop`."""
    asked: list[float] = []

    async def answer(ws: ServerConnection, service: Service) -> None:
        await ws.recv()
        service.heard.append(json.loads(await ws.recv()))
        asked.append(asyncio.get_running_loop().time())
        await ws.send(json.dumps({"event": "mark", "streamSid": service.sid, "mark": {"name": "there and back"}}))
        await listen(ws, service)

    async with Service(on_stream=answer) as service:
        report = await place_call(plan(service, audio=sound(60), delay_ms=100.0, jitter_ms=10.0))
        came = next(at for at, each in zip(service.times, service.heard[1:], strict=True) if each["event"] == "mark")
        heard = b"".join(base64.b64decode(message["media"]["payload"]) for message in service.of("media"))

    assert came - asked[0] >= 0.2
    assert heard == sound(60)
    assert service.heard[-1]["event"] == "stop"
    assert report.marks == ["there and back"]


async def test_what_twilio_would_refuse_is_reported_and_the_call_goes_on() -> None:
    async def misbehave(ws: ServerConnection, service: Service) -> None:
        await ws.recv()
        service.heard.append(json.loads(await ws.recv()))
        await ws.send(b"binary")
        await ws.send("not json")
        await ws.send(json.dumps({"event": "clear", "streamSid": "MZother"}))
        await listen(ws, service)

    async with Service(on_stream=misbehave) as service:
        report = await place_call(plan(service, audio=sound(10)))
        assert codes(report) == [31950, 31951, 31951]
        assert report.frames_sent == 10


async def test_a_script_speaks_in_the_middle_of_the_call() -> None:
    async with Service() as service:
        places = []

        async def script(caller: Caller) -> None:
            await until(lambda: service.of("media"))
            caller.press("5")
            places.append(await caller.say(b"\x21" * 400))
            caller.say(b"\x22" * 160)

        report = await place_call(plan(service), script)
        place = places[0]
        media = service.of("media")
        heard = b"".join(base64.b64decode(message["media"]["payload"]) for message in media)
        assert place.begins > 0
        assert heard[: place.begins] == b"\xff" * place.begins
        assert heard[place.begins : place.ends] == b"\x21" * 400
        assert heard.count(b"\x22" * 160) == 1
        assert place.ended_at >= report.sent_at(place.ends - 1)
        assert [message["dtmf"]["digit"] for message in service.of("dtmf")] == ["5"]
        assert report.closed_by == "caller"


async def test_the_call_ends_when_it_is_told_to() -> None:
    async with Service() as service:
        hangup = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, hangup.set)
        report = await place_call(plan(service, audio=sound(10_000), hangup=hangup))
        assert report.frames_sent < 10_000
        assert len(service.of("stop")) == 1


async def test_sound_that_was_not_said_is_given_up_when_the_service_closes() -> None:
    async def close(ws: ServerConnection, _service: Service) -> None:
        await ws.recv()
        await ws.close()

    async with Service(on_stream=close) as service:
        ended = []

        async def script(caller: Caller) -> None:
            try:
                await caller.say(sound(1000))
            finally:
                ended.append(caller.say(b"x").cancelled())

        report = await place_call(plan(service), script)
        assert report.closed_by == "server"
        assert ended == [True]


async def test_an_error_of_the_script_is_raised() -> None:
    async with Service() as service:

        async def script(_caller: Caller) -> None:
            await asyncio.sleep(0)
            raise ValueError("the script's own")

        with pytest.raises(ExceptionGroup) as caught:
            await place_call(plan(service), script)
        assert caught.group_contains(ValueError, match="own")


async def test_cancelling_a_call_drops_the_connection() -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def wait(ws: ServerConnection, service: Service) -> None:
        await ws.recv()
        begun.set()
        await listen(ws, service)
        gone.set()

    async with Service(on_stream=wait) as service:
        call = asyncio.create_task(place_call(plan(service, ending=CallEnding.SERVER)))
        await asyncio.wait_for(begun.wait(), 20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(gone.wait(), 20)
        assert service.lost


async def test_twenty_calls_at_once_do_not_mix() -> None:
    streams: dict[str, bytearray] = {}

    async def collect(ws: ServerConnection, _service: Service) -> None:
        call = ""
        async for text in ws:
            match parse(text):
                case Start(start=details):
                    call = details.call_sid
                    streams[call] = bytearray()
                case Media(media=chunk):
                    streams[call] += chunk.payload

    async with Service(on_stream=collect) as service:
        plans = [plan(service, audio=bytes([number + 1]) * 3200) for number in range(20)]
        reports = await asyncio.gather(*map(place_call, plans))
        assert all(report.clean for report in reports)
        assert {order.call_sid: order.audio for order in plans} == {sid: bytes(b) for sid, b in streams.items()}
