import asyncio
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from batkol.calls.registry import CallRegistry
from batkol.calls.services import Services
from batkol.events.recorder import NoRecorder
from batkol.twilio import handover, token
from batkol.twilio.call_status import FINAL, FinalStatus
from batkol.twilio.retry_url import MAX_ATTEMPTS
from batkol.twilio.signature import FORM_TYPE, LONGEST_FORM, MOST_FIELDS, parse_form, signature
from batkol.web import limits, voice
from batkol.web.connections import Connections
from batkol.web.server import listening
from batkol.web.voice import APOLOGIES, VoiceSettings, routes
from support.http.raw_client import Answer, RawHttp, post, speaking
from support.twilio.calls import new_call, services

OLD, NEW = "old-auth-token", "new-auth-token"
BASE = "https://voice.example.com/prefix"
SID, ACCOUNT = "CA" + "0" * 32, "AC" + "0" * 32
FORM = {"CallSid": SID, "AccountSid": ACCOUNT, "From": "+972541234567", "To": "+97231234567", "Direction": "inbound"}


@dataclass
class StatusRecorder(NoRecorder):
    """Keeps what a callback said of a call's end, and when it came."""

    kept: list[tuple[FinalStatus, float]] = field(default_factory=list)

    def keep_status(self, status: FinalStatus, at: float) -> None:
        self.kept.append((status, at))


@dataclass
class Twilio:
    http: httpx.AsyncClient
    calls: CallRegistry
    services: Services
    left: Counter[str]
    recorder: StatusRecorder

    async def post(
        self,
        path: str = "/twilio/voice",
        form: dict[str, str] | None = None,
        *,
        key: str | None = NEW,
        query: str = "",
        signed_url: str = "",
        body: bytes | None = None,
    ) -> httpx.Response:
        """Ask as Twilio does: signed over the public URL and every field."""
        fields = FORM if form is None else form
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if key is not None:
            url = signed_url or f"{BASE}{path}{query}"
            headers["X-Twilio-Signature"] = signature(key, url, list(fields.items()))
        return await self.http.post(path + query, content=urlencode(fields) if body is None else body, headers=headers)


@asynccontextmanager
async def twilio(*, limit: int = 5, keep_alive_s: float = 75.0, **changes: Any) -> AsyncIterator[Twilio]:
    settings: dict[str, Any] = {
        "public_base_url": BASE,
        "auth_tokens": (NEW, OLD),
        "token_keys": (NEW, OLD),
        "token_ttl_s": 60,
        "agent": "reception",
        "language": "he-IL",
        "overflow_url": "",
    }
    async with services() as shared:
        calls = CallRegistry(limit=limit)
        app = FastAPI(redirect_slashes=False)
        left = Counter[str]()
        listener = replace(limits.public(), keep_alive_s=keep_alive_s)
        connections = Connections("public", listener, on_closed=lambda reason: left.update([str(reason)]))
        recorder = StatusRecorder()
        app.include_router(routes(VoiceSettings(**{**settings, **changes}), calls, shared.metrics, recorder))
        async with (
            listening(app, "127.0.0.1", 0, connections) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as http,
        ):
            yield Twilio(http, calls, shared, left, recorder)


def twiml(answer: httpx.Response) -> ET.Element:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/xml")
    assert int(answer.headers["content-length"]) == len(answer.content)
    root = ET.fromstring(answer.content)
    assert root.tag == "Response"
    return root


def parameters(root: ET.Element) -> dict[str, str]:
    return {p.attrib["name"]: p.attrib["value"] for p in root.iter("Parameter")}


# -- the answer --------------------------------------------------------------------------------------------------


async def test_a_call_is_connected_to_the_media_stream() -> None:
    async with twilio() as caller:
        root = twiml(await caller.post())

        stream = root.find("Connect/Stream")
        assert stream is not None
        assert stream.attrib["url"] == "wss://voice.example.com/prefix/twilio/media"
        assert stream.attrib["statusCallback"] == f"{BASE}/twilio/stream-status"
        assert {**parameters(root), "token": ""} == {
            "token": "",
            "agent": "reception",
            "from": "+972541234567",
            "to": "+97231234567",
            "direction": "inbound",
            "stream": "1",
        }


async def test_its_token_opens_this_call_and_no_other_and_not_for_long() -> None:
    async with twilio() as caller:
        given = parameters(twiml(await caller.post()))["token"]

    token.verify([NEW], given, SID, ACCOUNT, time.time())
    token.verify([OLD, NEW], given, SID, ACCOUNT, time.time())
    for keys, call, account, now in (
        ([OLD], SID, ACCOUNT, time.time()),
        ([NEW], "CA1", ACCOUNT, time.time()),
        ([NEW], SID, "AC1", time.time()),
        ([NEW], SID, ACCOUNT, time.time() + 62),
    ):
        with pytest.raises(token.TokenError):
            token.verify(keys, given, call, account, now)


async def test_the_call_has_a_place_when_it_is_answered() -> None:
    async with twilio(limit=1) as caller:
        twiml(await caller.post())

        assert not caller.calls.reserve("CA-another")


@pytest.mark.parametrize(
    "given",
    [
        {"From": "sip:" + "x" * 600 + "@example.com"},
        {"To": "bad\x00number"},
        {"From": "<&\"'>"},
        {"From": "שלום"},
        {"Direction": ""},
    ],
)
async def test_a_caller_with_a_strange_number_is_still_answered(given: dict[str, str]) -> None:
    """What cannot be a `<Parameter>` is left out; losing the call would be worse."""
    form = {**FORM, **given}
    async with twilio() as caller:
        root = twiml(await caller.post(form=form))

        assert root.find("Connect/Stream") is not None
        assert "token" in parameters(root)


# -- overflow ----------------------------------------------------------------------------------------------------


async def test_the_call_over_the_limit_hears_an_apology_in_hebrew() -> None:
    async with twilio(limit=1) as caller:
        await caller.post()
        with capture_logs() as logs:
            root = twiml(await caller.post(form={**FORM, "CallSid": "CA1"}))

        say = root.find("Say")
        assert say is not None
        assert (say.text, say.attrib["language"]) == (APOLOGIES["he"], "he-IL")
        assert root.find("Connect") is None
        assert root.find("Hangup") is not None
        assert [line["log_level"] for line in logs] == ["warning"]
        assert "+972" not in repr(logs)


async def test_or_in_english_for_others() -> None:
    async with twilio(limit=1, language="en-US") as caller:
        await caller.post()
        say = twiml(await caller.post(form={**FORM, "CallSid": "CA1"})).find("Say")

        assert say is not None
        assert (say.text, say.attrib["language"]) == (APOLOGIES[""], "en-US")


async def test_or_is_sent_elsewhere() -> None:
    url = "https://other.example.com/voice?a=1&b=2"
    async with twilio(limit=1, overflow_url=url) as caller:
        await caller.post()
        redirect = twiml(await caller.post(form={**FORM, "CallSid": "CA1"})).find("Redirect")

        assert redirect is not None
        assert redirect.text == url


# -- a draining pod ----------------------------------------------------------------------------------------------


def redirected(root: ET.Element) -> str:
    """The URL that the TwiML goes on with, less the public base; "" where it does not."""
    redirect = root.find("Redirect")
    if redirect is None:
        return ""
    assert redirect.attrib == {"method": "POST"}
    assert redirect.text is not None
    return redirect.text.removeprefix(BASE)


async def test_a_draining_pod_has_new_calls_ask_again_and_the_line_ring_meanwhile() -> None:
    """A `<Pause>` that comes first delays the picking up."""
    async with twilio() as caller:
        await caller.calls.drain()
        answer = await caller.post()
        root = twiml(answer)

        assert [verb.tag for verb in root] == ["Pause", "Redirect"]
        assert redirected(root).startswith("/twilio/voice?again=1&since=")
        assert answer.headers["connection"] == "close"  # else a proxy would bring the next request here again
        assert b'reason="draining"' in caller.services.metrics.render()


async def test_the_redirect_is_signed_with_its_query_and_counts_up_to_the_apology() -> None:
    async with twilio() as caller:
        await caller.calls.drain()
        url, pauses = "/twilio/voice?tenant=a%20b&x=", list[str]()
        for _ in range(MAX_ATTEMPTS):
            root = twiml(await caller.post(query=url.removeprefix("/twilio/voice")))
            url = redirected(root)
            pauses.append(root[0].attrib["length"])
            assert url.startswith("/twilio/voice?tenant=a%20b&x=&again=")
        last = twiml(await caller.post(query=url.removeprefix("/twilio/voice")))

        assert pauses == ["1", "2", "3"]
        assert [verb.tag for verb in last] == ["Say", "Hangup"]
        forged = url.replace("again=3", "again=0").removeprefix("/twilio/voice")
        signed = f"{BASE}{url}"
        assert (await caller.post(query=forged, signed_url=signed)).status_code == 403


async def test_the_next_stream_of_a_call_has_the_greeted_mark_and_a_forged_one_is_not_passed_on() -> None:
    """The redirect has it from the first stream on, and the pod that it reaches passes it to the stream."""
    async with twilio() as first, twilio() as second:
        root = twiml(await first.post())
        url = redirected(root)
        mark = url.partition("&greeted=")[2]
        moved = twiml(await second.post(query=url.removeprefix("/twilio/voice")))
        forged = twiml(await second.post(query=f"?streams=1&greeted={'0' * len(mark)}"))

        assert "greeted" not in parameters(root)
        assert handover.is_greeted_mark((NEW,), SID, mark)
        assert parameters(moved)["greeted"] == mark
        assert redirected(moved).count("greeted=") == 1
        assert "greeted" not in parameters(forged)


async def test_each_stream_of_a_call_has_the_next_number_and_a_webhook_without_a_stream_takes_none() -> None:
    """The count is in the redirect's URL, which Twilio signs: so any pod goes on counting."""
    async with twilio() as first, twilio() as second, twilio() as leaving:
        answers = [twiml(await first.post())]
        answers.append(twiml(await second.post(query=redirected(answers[-1]).removeprefix("/twilio/voice"))))
        await leaving.calls.drain()
        answers.append(twiml(await leaving.post(query=redirected(answers[-1]).removeprefix("/twilio/voice"))))
        url = redirected(answers[-1])
        answers.append(twiml(await second.post(query=url.removeprefix("/twilio/voice"))))

        assert [parameters(answer).get("stream") for answer in answers] == ["1", "2", None, "3"]
        forged = url.replace("streams=2", "streams=0").removeprefix("/twilio/voice")
        assert (await second.post(query=forged, signed_url=f"{BASE}{url}")).status_code == 403


async def test_a_stream_that_carried_audio_here_is_no_refusal_and_one_without_audio_is() -> None:
    async with twilio() as caller:
        query = redirected(twiml(await caller.post())).removeprefix("/twilio/voice")
        call = new_call(caller.services, SID)
        assert caller.calls.admit(call)
        call.end("drained")
        caller.calls.release(call)
        silent = redirected(twiml(await caller.post(query=query)))
        talking = new_call(caller.services, SID)
        talking._stream.counters.frames = 50
        assert caller.calls.admit(talking)
        while_it_lives = redirected(twiml(await caller.post(query=query)))
        talking.end("drained")
        caller.calls.release(talking)
        afterwards = redirected(twiml(await caller.post(query=query)))
        for made in (call, talking):
            made.discard()

        counts = [url.partition("?again=")[2][0] for url in (query, silent, while_it_lives, afterwards)]
        assert counts == ["1", "2", "1", "1"]


async def test_a_call_that_the_agent_ended_is_hung_up_and_not_connected_again() -> None:
    async with twilio() as caller:
        call = new_call(caller.services, SID)
        assert caller.calls.admit(call)
        call.end("hung_up")
        caller.calls.release(call)
        call.discard()

        verbs = [verb.tag for verb in twiml(await caller.post())]

        assert verbs == ["Hangup"]
        assert caller.calls._occupied() == 0


async def test_a_call_that_another_pod_ended_is_hung_up_and_no_other_pod_is_asked_about_a_new_call() -> None:
    asked: list[str] = []

    async def elsewhere(call_sid: str) -> bool:
        asked.append(call_sid)
        return True

    async with twilio(hung_up_elsewhere=elsewhere) as caller:
        connected = twiml(await caller.post())
        caller.calls.forget(FORM["CallSid"])
        again = connected.findtext("Redirect") or ""
        hung_up = twiml(await caller.post(query=f"?{again.partition('?')[2]}"))

    assert connected.find("Connect") is not None
    assert [verb.tag for verb in hung_up] == ["Hangup"]
    assert asked == [FORM["CallSid"]]


@pytest.mark.parametrize("draining", [True, False])
async def test_who_is_turned_away_is_told_of_in_the_log_by_the_true_reason(draining: bool) -> None:
    async with twilio(limit=0) as caller:
        if draining:
            caller.calls.refuse()
        with capture_logs() as logs:
            await caller.post()

        (line,) = [line["event"] for line in logs if line["event"].startswith("[CALL]")]
        assert ("this pod is draining" in line, "every place is taken" in line) == (draining, not draining)


async def test_another_pod_takes_the_call_that_was_sent_round() -> None:
    async with twilio() as draining, twilio() as other:
        await draining.calls.drain()
        query = redirected(twiml(await draining.post())).removeprefix("/twilio/voice")
        root = twiml(await other.post(query=query))

        assert root.find("Connect/Stream") is not None


async def test_a_draining_pod_uses_the_overflow_where_there_is_one() -> None:
    async with twilio(overflow_url="https://other.example.com/voice") as caller:
        await caller.calls.drain()
        root = twiml(await caller.post())

        assert [verb.tag for verb in root] == ["Redirect"]
        assert root[0].text == "https://other.example.com/voice"


async def test_a_full_pod_sends_nobody_round() -> None:
    async with twilio(limit=1) as caller:
        await caller.post()
        answer = await caller.post(form={**FORM, "CallSid": "CA1"})

        assert redirected(twiml(answer)) == ""


async def test_after_a_stream_that_we_close_the_call_asks_again_at_once_and_then_more_slowly() -> None:
    """A stream may reach a draining pod, and a drain's time may be up: neither ends the call."""
    async with twilio() as caller:
        query, shapes = "", list[list[str]]()
        for _ in range(MAX_ATTEMPTS + 1):
            root = twiml(await caller.post(query=query))
            shapes.append([verb.tag + verb.attrib.get("length", "") for verb in root])
            query = redirected(root).removeprefix("/twilio/voice")

        assert shapes == [
            ["Connect", "Redirect"],
            ["Connect", "Pause1", "Redirect"],
            ["Connect", "Pause2", "Redirect"],
            ["Connect", "Say", "Hangup"],
        ]


async def test_the_host_header_has_no_part_in_what_is_signed() -> None:
    async with twilio() as caller:
        headers = {
            "Host": "elsewhere/x?y=",
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signature(NEW, f"{BASE}/twilio/voice", list(FORM.items())),
        }
        answer = await caller.http.post("/twilio/voice", content=urlencode(FORM), headers=headers)

        assert answer.status_code == 200


async def test_a_call_that_ended_before_its_stream_frees_its_place() -> None:
    async with twilio(limit=1) as caller:
        await caller.post()
        answer = await caller.post("/twilio/status", {**FORM, "CallStatus": "completed"})
        assert (answer.status_code, answer.content) == (204, b"")
        assert caller.calls.reserve("CA-another")


async def test_a_call_that_only_rings_keeps_it() -> None:
    async with twilio(limit=1) as caller:
        await caller.post()
        await caller.post("/twilio/status", {**FORM, "CallStatus": "ringing"})
        assert not caller.calls.reserve("CA-another")
        assert caller.recorder.kept == []


async def test_the_end_of_a_call_that_was_never_here_is_kept() -> None:
    """Its own pod may be dead, and Twilio tells it once."""
    told = {**FORM, "CallStatus": "completed", "CallDuration": "90", "Timestamp": "Sat, 31 Jan 2026 12:01:30 +0000"}
    before = time.time()
    async with twilio() as caller:
        assert (await caller.post("/twilio/status", told)).status_code == 204
        ((ended, at),) = caller.recorder.kept

    assert ended == FinalStatus(
        call_sid=SID, account_sid=ACCOUNT, status="completed", ended_at=1_769_860_890.0, duration_s=90
    )
    assert before <= at <= time.time()


async def test_of_an_end_that_twilio_did_not_sign_nothing_is_kept() -> None:
    async with twilio() as caller:
        answer = await caller.post("/twilio/status", {**FORM, "CallStatus": "completed"}, key="another-token")

        assert answer.status_code == 403
        assert caller.recorder.kept == []


async def test_the_end_of_a_rehearsal_s_call_frees_its_place_and_is_not_kept() -> None:
    async with twilio(limit=1) as caller:
        rehearsed = {**FORM, "Direction": "rehearsal"}
        await caller.post(form=rehearsed)
        answer = await caller.post("/twilio/status", {**rehearsed, "CallStatus": "completed"})

        assert answer.status_code == 204
        assert caller.recorder.kept == []
        assert caller.calls.reserve("CA" + "1" * 32, "next")


@pytest.mark.parametrize("status", sorted(FINAL))
async def test_every_status_that_ends_a_call_is_kept(status: str) -> None:
    async with twilio() as caller:
        await caller.post("/twilio/status", {**FORM, "CallStatus": status, "Timestamp": "?", "CallDuration": "?"})

        assert [(told.status, told.ended_at, told.duration_s) for told, _ in caller.recorder.kept] == [
            (status, None, None)
        ]


def stream_name(answer: httpx.Response) -> str:
    stream = twiml(answer).find("Connect/Stream")
    assert stream is not None
    return stream.attrib["name"]


async def test_late_news_of_a_refused_stream_leaves_the_next_ones_place() -> None:
    async with twilio(limit=1) as caller:
        refused, coming = stream_name(await caller.post()), stream_name(await caller.post())
        form = {**FORM, "StreamSid": "MZ1", "StreamEvent": "stream-error", "StreamError": "31920"}
        await caller.post("/twilio/stream-status", {**form, "StreamName": refused})
        assert refused != coming
        assert not caller.calls.reserve("CA-another"), "the call is about to open its next stream"
        await caller.post("/twilio/stream-status", {**form, "StreamName": coming})
        assert caller.calls.reserve("CA-another")


async def test_a_stream_that_failed_is_said_and_frees_its_place() -> None:
    async with twilio(limit=1) as caller:
        name = stream_name(await caller.post())
        form = {**FORM, "StreamName": name, "StreamEvent": "stream-error", "StreamError": "31920"}
        with capture_logs() as logs:
            assert (await caller.post("/twilio/stream-status", form)).status_code == 204
        assert [(line["log_level"], line["err"]) for line in logs] == [("error", "31920")]
        assert caller.calls.reserve("CA-another")


# -- a proxy in front --------------------------------------------------------------------------------------------

CLOSES_AT_S = 0.02


async def _through_a_proxy(port: int, requests: int, pause_s: float) -> list[int]:
    """As nginx has it: a connection is used again until an answer says `close`; a POST is never sent twice. 0: lost."""
    statuses: list[int] = []
    async with AsyncExitStack() as open_ones:
        kept: RawHttp | None = None
        for _ in range(requests):
            connection = await open_ones.enter_async_context(speaking(port)) if kept is None else kept
            try:
                await connection.send(signed_webhook())
                answer = await connection.answer()
            except (OSError, asyncio.IncompleteReadError):
                statuses.append(0)
                kept = None
                continue
            statuses.append(answer.status)
            kept = None if answer.headers.get("connection") == "close" else connection
            await asyncio.sleep(pause_s)
    return statuses


def signed_webhook() -> bytes:
    signed = signature(NEW, f"{BASE}/twilio/status", list(FORM.items()))
    fields = (f"Content-Type: {FORM_TYPE}", f"X-Twilio-Signature: {signed}")
    return post(urlencode(FORM).encode(), "/twilio/status", *fields)


async def test_every_webhook_around_the_end_of_an_idle_connection_is_answered() -> None:
    """Of 300 that a proxy sent about 5 s after the last one on the same connection, 47 got no answer."""
    async with twilio(keep_alive_s=CLOSES_AT_S) as caller:
        port = caller.http.base_url.port
        assert port is not None
        pauses = (CLOSES_AT_S * (0.7 + 0.05 * number) for number in range(12))
        answers = await asyncio.gather(*(_through_a_proxy(port, 15, pause_s) for pause_s in pauses))

    assert {status for statuses in answers for status in statuses} == {204}


async def test_every_answer_closes_its_connection() -> None:
    async with twilio(limit=1) as caller:
        answers = [
            await caller.post(),
            await caller.post(form={**FORM, "CallSid": "CA1"}),
            await caller.post("/twilio/status"),
            await caller.post(key=None),
            await caller.post(body=b"x" * (LONGEST_FORM + 1)),
            await caller.post(body=b"x" * (64 << 10) + b"x"),
            await caller.http.get("/twilio/voice"),
            await caller.http.get("/nothing"),
            await caller.http.post("/twilio/voice"),
            await caller.http.request("TRACE", "/twilio/voice"),
            await caller.http.head("/healthz"),
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 204, 403, 413, 413, 405, 404, 403, 405, 404]
    assert {answer.headers.get("connection") for answer in answers} == {"close"}


# -- signatures --------------------------------------------------------------------------------------------------

PATHS = ["/twilio/voice", "/twilio/status", "/twilio/stream-status"]


@pytest.mark.parametrize("key", ["wrong", None])
async def test_a_wrong_signature_or_none_is_refused(key: str | None) -> None:
    async with twilio() as caller:
        for path in PATHS:
            with capture_logs() as logs:
                answer = await caller.post(path, key=key)

            assert answer.status_code == 403
            assert "check PUBLIC_BASE_URL and the auth token" in answer.text
            assert ("has no X-Twilio-Signature" in answer.text) is (key is None)
            assert "TWILIO_AUTH_TOKEN" in answer.text
            assert caller.calls._occupied() == 0
            assert NEW not in answer.text + repr(logs)
            assert "+972" not in repr(logs)
        assert b'reason="signature"' in caller.services.metrics.render()


async def test_during_rotation_both_tokens_sign() -> None:
    async with twilio() as caller:
        for path in PATHS:
            for key in (NEW, OLD):
                assert (await caller.post(path, key=key)).status_code in {200, 204}


async def test_blank_fields_are_signed_too() -> None:
    async with twilio() as caller:
        form = {**FORM, "CallerName": "", "FromCity": "", "Digits": " 1 "}
        assert (await caller.post(form=form)).status_code == 200

        filled = urlencode([(name, value) for name, value in form.items() if value]).encode()
        assert (await caller.post(form=form, body=filled)).status_code == 403


async def test_a_field_that_was_taken_out_on_the_way_breaks_the_signature() -> None:
    async with twilio() as caller:
        body = urlencode({name: value for name, value in FORM.items() if name != "To"}).encode()
        assert (await caller.post(body=body)).status_code == 403


async def test_a_query_string_is_signed_too() -> None:
    async with twilio() as caller:
        twiml(await caller.post(query="?tenant=a%20b&x="))
        answer = await caller.post(query="?tenant=1", signed_url=f"{BASE}/twilio/voice?tenant=2")
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        (b"?n=%27%40%3A", "?n='@:"),
        (b"?n='@:", "?n=%27%40%3A"),
        (b"?n=%D7%93", "?n=%d7%93"),
        (b"?n=%D7%93", "?n=ד"),
        (b"?n=a+b&m&o=", "?n=a%20b&m&o="),
        (b"?a=1&b=2&a=3", "?a=1&b=2&a=3"),
        (b"?", "?"),
        (b"?", ""),
        (b"", "?"),
    ],
)
async def test_a_query_counts_as_sent_and_in_the_other_spellings_of_the_same(sent: bytes, signed: str) -> None:
    async with twilio() as caller:
        answer = await asked_with(caller, sent, signed)

    assert answer.status == 200, answer
    again = redirected(ET.fromstring(answer.body)).partition("again=")[0].rstrip("?&")
    assert again == "/twilio/voice" + sent.decode().rstrip("?")


async def test_a_query_of_bytes_that_no_url_has_is_refused_before_its_signature_is_read() -> None:
    """Hebrew stands in a URL as `%D7…` (RFC 3986); the parser takes nothing else."""
    async with twilio() as caller:
        assert (await asked_with(caller, "?n=ד".encode(), "?n=ד")).status == 400


async def asked_with(caller: Twilio, sent: bytes, signed: str) -> Answer:
    """Ask with these bytes behind the path, and a signature over another spelling of them."""
    port = caller.http.base_url.port
    assert port is not None
    given = signature(NEW, f"{BASE}/twilio/voice{signed}", list(FORM.items()))
    fields = (f"Content-Type: {FORM_TYPE}", f"X-Twilio-Signature: {given}")
    request = post(urlencode(FORM).encode(), "/twilio/voice", *fields)
    async with speaking(port) as raw:
        await raw.send(request.replace(b"/twilio/voice", b"/twilio/voice" + sent, 1))
        return await raw.answer()


@pytest.mark.parametrize("path", PATHS)
async def test_a_slash_at_the_end_changes_nothing_but_what_is_signed(path: str) -> None:
    """Twilio signs the URL as it was given; a redirect would lose the form, and name `http://`."""
    async with twilio() as caller:
        answer = await caller.post(f"{path}/")
        assert answer.status_code in {200, 204}
        if answer.content:
            assert redirected(twiml(answer)).startswith("/twilio/voice/?again=1")
        assert (await caller.post(f"{path}/", signed_url=f"{BASE}{path}")).status_code == 403


async def test_the_url_is_the_configured_one_and_not_the_proxys() -> None:
    async with twilio() as caller:
        local = str(caller.http.base_url).rstrip("/")
        assert (await caller.post(signed_url=f"{local}/twilio/voice")).status_code == 403


async def test_without_signatures_anybody_is_answered() -> None:
    async with twilio(auth_tokens=(), public_base_url="") as caller:
        root = twiml(await caller.post(key=None))

        stream = root.find("Connect/Stream")
        assert stream is not None
        assert stream.attrib["url"] == f"ws://127.0.0.1:{caller.http.base_url.port}/twilio/media"


# -- what is not a form of Twilio's ------------------------------------------------------------------------------


async def test_a_webhook_without_a_call_is_refused() -> None:
    async with twilio() as caller:
        answer = await caller.post(form={"AccountSid": ACCOUNT})

        assert answer.status_code == 400
        assert "CallSid" in answer.text


async def test_a_form_with_too_many_fields_is_refused() -> None:
    async with twilio() as caller:
        body = "&".join(f"a{n}=1" for n in range(MOST_FIELDS + 1)).encode()
        assert (await caller.post(body=body)).status_code == 400


async def test_a_form_that_is_too_long_is_refused_before_it_is_all_read() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * LONGEST_FORM

    async with twilio() as caller:
        try:
            answer = await caller.http.post("/twilio/voice", content=endless())
        except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
            return  # refused so early that the rest could not be sent
        assert answer.status_code == 413


async def test_a_form_just_over_the_limit_is_refused_with_a_sentence() -> None:
    async with twilio() as caller:
        answer = await caller.post(body=b"x" * (LONGEST_FORM + 1))

        assert answer.status_code == 413


async def test_what_is_no_form_by_its_own_word_is_not_read() -> None:
    async with twilio() as caller:
        signed = {"X-Twilio-Signature": signature(NEW, f"{BASE}/twilio/voice", list(FORM.items()))}
        for kind in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
            headers = {**signed, "Content-Type": kind}
            answer = await caller.http.post("/twilio/voice", content=urlencode(FORM), headers=headers)
            assert (kind, answer.status_code) == (kind, 415)
        for kind in ("application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-Urlencoded"):
            headers = {**signed, "Content-Type": kind}
            twiml(await caller.http.post("/twilio/voice", content=urlencode(FORM), headers=headers))


@pytest.mark.parametrize("given", ["", "x", "A" * 28, "A" * 27 + "é", "A" * 5000 + "=", "=" + "A" * 27])
async def test_a_form_whose_signature_can_be_none_is_refused_unread(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def watched(body: bytes) -> list[tuple[str, str]]:
        read.append(body)
        return parse_form(body)

    monkeypatch.setattr(voice, "parse_form", watched)
    async with twilio() as caller:
        content = {"Content-Type": "application/x-www-form-urlencoded"}
        headers = {**content, "X-Twilio-Signature": given.encode("latin-1")}
        answer = await caller.http.post("/twilio/voice", content=b"%41" * 5000, headers=headers)  # type: ignore[arg-type]  # bytes are taken
        assert (answer.status_code, read) == (403, [])
        assert (await caller.post(key="wrong")).status_code == 403
        assert len(read) == 1  # what may be a signature has to be computed


async def test_a_flood_of_unsigned_requests_is_counted_whole_and_logged_once_a_second() -> None:
    async with twilio() as caller:
        with capture_logs() as logs:
            for _ in range(50):
                assert (await caller.post(key=None)).status_code == 403
        refused = [line for line in logs if "does not match" in line["event"]]

        assert b'reason="signature"} 50.0' in caller.services.metrics.render()
        assert len(refused) < 25
        assert refused[0]["lines_left_out"] == 0


async def test_a_caller_that_leaves_with_half_a_form_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async with twilio() as caller:
        port = caller.http.base_url.port
        assert port is not None
        for size in (0, 1, 100):
            async with speaking(port) as raw:
                await raw.send(post(b"x" * 200, "/twilio/voice")[: size - 200])
        await caller.post()

        assert caller.left == {"left": 3}
    assert not caplog.records


NO_FORMS = [b"", b"\xff\xfe=\xff", b"%%%%", b"a=%zz&=&&&", b"{}", bytes(range(256)) * 10]


@pytest.mark.parametrize(("signed", "status"), [((NEW,), 403), ((), 400)])
async def test_bytes_that_are_no_form_are_refused(signed: tuple[str, ...], status: int) -> None:
    async with twilio(auth_tokens=signed) as caller:
        for body in NO_FORMS:
            assert (await caller.post(body=body)).status_code == status


async def test_a_webhook_is_posted() -> None:
    async with twilio() as caller:
        for path in PATHS:
            assert (await caller.http.get(path)).status_code == 405
