"""Asking pods, over real HTTP."""

from __future__ import annotations

import asyncio
import gzip

import msgspec
import pytest

from batkol.status import (
    BreakerStatus,
    CheckStatus,
    DrainStatus,
    FlagsStatus,
    LiveStatus,
    RecognizerStatus,
    RefusedDefinition,
    ServiceStatus,
    SourceStatus,
    StreamingRecognizerStatus,
    TaskStatus,
    TuningStatus,
    UnownedStatus,
)
from batkol.store_status import NoStoreStatus, SinkStatus
from batkol_operator.pods.client import LARGEST, NoReport, PodClient, PodReport, SinkReport, read_report
from batkol_operator.watch.object_state import PodState
from support.http.hostile_server import WAYS, hostile_http
from support.operators.pod_state import ready_pod
from support.operators.pods import AnsweringPod, answering

NO_STATUS = (
    b"[]",
    b"{}",
    b"hello",
    b'{"live": 1}',
    b" " * (LARGEST + 1),
    b"[" * 100_000,
    b'{"live": {}, "tuning": {"revision": "a"}, "active_calls": 1e999}',
    b'{"live": {}, "tuning": {"revision": "a"}, "active_calls": NaN}',
    b'{"live": {"refusals": [1]}, "tuning": {"revision": "a"}, "active_calls": 1}',
    b'{"live": {}, "tuning": {"revision": "a"}, "active_calls": 1, "sinks": {"crm": 1}}',
    b'{"live": {}, "tuning": {"revision": "a"}, "active_calls": 1, "recognizer": {"streaming": {"a": 1}}}',
    b'{"live": {"refusals": 1}, "tuning": {"revision": "a"}, "active_calls": 1}',
    gzip.compress(b'{"live": {}, "tuning": {"revision": "a"}, "active_calls": 1}'),
)
"""What is no status: of another kind, too long, too deep, with numbers that are none, compressed."""

ACCEPTED = CheckStatus(state="accepted")
NO_KEY = CheckStatus(state="refused", said="401", remedy="Renew it.")
NO_BILLING = CheckStatus(state="refused", said="403", remedy="Pay.")


def pod(name: str, ip: str) -> PodState:
    return ready_pod(name, f"uid-{name}", ip)


async def test_all_pods_are_asked_with_the_token_and_answer() -> None:
    one, two = (AnsweringPod(ip, token="t", tuning="abc", flags="def", calls=3) for ip in ("127.0.0.2", "127.0.0.3"))
    async with answering(one, two) as port, PodClient(port) as questions:
        reports = await questions.fetch_reports([pod("a", one.ip), pod("b", two.ip)], "t")

    expected = PodReport("abc", "def", 3, (), reply_revision="defaults", reply_calls=3)
    assert reports == {"a": expected, "b": expected}


async def test_a_refusal_comes_with_its_sentence() -> None:
    it = AnsweringPod("127.0.0.2", refusals=["tuning.json: batch_ms must be 20 to 1000."])
    async with answering(it) as port, PodClient(port) as questions:
        reports = await questions.fetch_reports([pod("a", it.ip)], "t")

    assert isinstance(reports["a"], PodReport)
    assert reports["a"].refusals == ("tuning.json: batch_ms must be 20 to 1000.",)


async def test_a_refusal_of_the_reply_settings_is_kept_apart() -> None:
    it = AnsweringPod("127.0.0.2", refusals=["of flags"], reply_refusals=["of reply.json"], reply="7", calls=2)
    async with answering(it) as port, PodClient(port) as questions:
        reports = await questions.fetch_reports([pod("a", it.ip)], "t")

    assert reports["a"] == PodReport("000000000000", "000000000000", 2, ("of flags",), "7", 2, ("of reply.json",))


def test_what_the_service_itself_would_send_is_read() -> None:
    sent = ServiceStatus(
        version="0.1.0",
        voice_agent="front-desk",
        draining=True,
        drain=DrainStatus(since="2026-11-28T10:00:00.000+00:00", timeout_s=600, calls_left=2),
        active_calls=2,
        max_calls=100,
        tuning=TuningStatus(batch_ms=150, revision="7"),
        live=LiveStatus(
            source="kubernetes:calls/front-desk-live",
            connection=SourceStatus(state="watching"),
            revision="7",
            flags_revision="4f1c00000000",
            refusals=(RefusedDefinition("flags.json", "streaming-stt", "streaming-stt: it has no variants."),),
        ),
        flags=FlagsStatus(provider="live", state="READY"),
        recognizer=RecognizerStatus(endpoint="google", health={"streaming": BreakerStatus(state="closed")}),
        store=NoStoreStatus(kind="none"),
        sinks={
            "crm": SinkStatus(kind="webhook", state="delivering", fault="It answered HTTP 503", pending=3),
            "bus": SinkStatus(kind="nats", state="standby", holder="another-pod"),
        },
        tasks={"live": TaskStatus(state="running"), "unowned": UnownedStatus(deaths=0, last_fault=None)},
    )

    assert read_report(msgspec.json.encode(sent)) == PodReport(
        tuning_revision="7",
        flags_revision="4f1c00000000",
        active_calls=2,
        refusals=("streaming-stt: it has no variants.",),
        sinks={"crm": SinkReport("delivering", "It answered HTTP 503"), "bus": SinkReport("standby")},
    )


def test_what_google_says_that_refuses_a_pod_is_read_with_the_remedy() -> None:
    check = CheckStatus(
        state="refused", reason="permission_denied", said="PERMISSION_DENIED: no billing", remedy="Pay."
    )
    sent = ServiceStatus(
        version="0.1.0", draining=False, active_calls=0, max_calls=1, recognizer=RecognizerStatus(check=check)
    )
    away = ServiceStatus(
        version="0.1.0",
        draining=False,
        active_calls=0,
        max_calls=1,
        recognizer=RecognizerStatus(check=CheckStatus(state="no_answer", said="away", remedy="Wait.")),
    )

    refused, unanswered = (read_report(msgspec.json.encode(each)) for each in (sent, away))

    assert refused == PodReport(
        "", "", 0, (), recognizer_refusal="Google refuses it (PERMISSION_DENIED: no billing). Pay."
    )
    assert unanswered == PodReport("", "", 0, ())


@pytest.mark.parametrize(
    ("google", "soniox", "said"),
    [
        (ACCEPTED, ACCEPTED, ""),
        (ACCEPTED, NO_KEY, "soniox/stt-rt-v5 refuses it (401). Renew it. google-v1/default can hear the calls."),
        (NO_BILLING, ACCEPTED, "Google refuses it (403). Pay. soniox/stt-rt-v5 can hear the calls."),
        (NO_BILLING, NO_KEY, "Google refuses it (403). Pay."),
    ],
)
def test_who_refuses_a_pod_of_two_recognizers_is_said_and_who_hears_its_calls(
    google: CheckStatus, soniox: CheckStatus, said: str
) -> None:
    streaming = {
        "google-v1/default": StreamingRecognizerStatus(check=google),
        "soniox/stt-rt-v5": StreamingRecognizerStatus(check=soniox),
    }
    recognizer = RecognizerStatus(check=google, streaming=streaming)
    sent = ServiceStatus(version="0.1.0", draining=False, active_calls=0, max_calls=1, recognizer=recognizer)

    assert read_report(msgspec.json.encode(sent)) == PodReport("", "", 0, (), recognizer_refusal=said)


def test_a_pod_that_has_no_flags_yet_is_read() -> None:
    sent = ServiceStatus(version="0.1.0", draining=False, active_calls=0, max_calls=1)

    assert read_report(msgspec.json.encode(sent)) == PodReport("", "", 0, ())


async def test_a_wrong_token_is_named_as_such() -> None:
    it = AnsweringPod("127.0.0.2", token="another")
    async with answering(it) as port, PodClient(port) as questions:
        reports = await questions.fetch_reports([pod("a", it.ip)], "t")

    assert reports["a"] == NoReport("refused the operator's token: the pod started with another token, restart the pod")


async def test_a_pod_that_is_not_there_keeps_nobody_waiting() -> None:
    it = AnsweringPod("127.0.0.2")
    async with answering(it) as port, PodClient(port) as questions:
        reports = await questions.fetch_reports([pod("a", it.ip), pod("b", "127.0.0.9")], "t")

    assert isinstance(reports["a"], PodReport)
    assert reports["b"] == NoReport("cannot be reached")


async def test_a_pod_without_an_address_is_not_asked() -> None:
    async with PodClient(1) as questions:
        assert await questions.fetch_reports([pod("a", "")], "t") == {}


async def test_one_that_takes_the_connection_and_says_nothing_is_silent() -> None:
    gone = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.2", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, PodClient(port, answer_s=0.25) as questions:
        reports = await questions.fetch_reports([pod("a", "127.0.0.2")], "t")
        gone.set()

    assert reports["a"] == NoReport("did not answer in time")


async def test_whoever_answers_something_else_or_without_end_is_not_ours() -> None:
    body = {"/v1/status": b"[]"}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        text = body["/v1/status"]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(text) + text)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.2", 0)
    async with server, PodClient(server.sockets[0].getsockname()[1]) as questions:
        for body["/v1/status"] in NO_STATUS:
            reports = await questions.fetch_reports([pod("a", "127.0.0.2")], "t")
            assert reports["a"] == NoReport("sent an answer that is not a status")


@pytest.mark.parametrize("way", WAYS)
async def test_a_hostile_pod_is_silent_and_little_is_taken_from_it(way: str) -> None:
    slow = way in {"no answer", "drip", "dripping head", "preliminary answers"}
    async with (
        hostile_http(way) as server,
        PodClient(int(server.url.rpartition(":")[2]), answer_s=0.25 if slow else 20.0) as questions,
    ):
        async with asyncio.timeout(30):
            reports = await questions.fetch_reports([pod("a", "127.0.0.1")], "t")
        await server.check()

    assert isinstance(reports["a"], NoReport)
