"""Streams from TwiML of the user's own: each way in, and what happens while Twilio is asked."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from structlog.testing import capture_logs

from batkol.app.patience import PRODUCTION, Patience
from batkol.events.events import CallEnded, CallStarted
from batkol.simulators.call_cli import CallOptions, carry_out
from batkol.simulators.double_cli import bound
from batkol.simulators.twilio.caller import place_call
from batkol.simulators.twilio.own_twiml import own_twiml
from batkol.simulators.twilio_rest.control import serve_twilio_control
from batkol.simulators.twilio_rest.faults import TwilioFault, TwilioFaultKind
from batkol.simulators.twilio_rest.settings import TwilioDoubleSettings
from batkol.voices.marked.voice import script
from support.network.balancer import balancing
from support.service.stack import PUBLIC, QUICK, TOKEN, stack, words_of
from support.time.waiting import until
from support.twilio.dialing import ACCOUNT, media, socket
from support.twilio.own_twiml import SECRET, OwnTwiml, begin, close_code, own_twiml_stack

TALK = script([["שלום", "אני", "רוצה"], ["כן", "תודה"]], gap_ms=900, lead_ms=100, tail_ms=1200)
SHORT = script([["שלום", "תודה"]], lead_ms=100, tail_ms=600)
REFUSE = TwilioFaultKind.REFUSE
PATIENT = Patience(twilio_api=4.0)
FOR_EVER = Patience(twilio_api=60.0)


def fault(kind: TwilioFaultKind, code: int = 20500) -> TwilioFault:
    return TwilioFault(kind=kind, code=code)


async def test_twilio_vouches_for_a_call_and_says_who_calls_whom(tmp_path: Path) -> None:
    """What the TwiML says of the ends counts for nothing: Twilio knows better."""
    async with own_twiml_stack(tmp_path, speed=QUICK) as own:
        sid = own.call(from_="+972501111111", to="+972302222222", direction="outbound-api")
        twiml = own_twiml(PUBLIC, {"order": "17", "from": "+1", "agent": "other"})
        report = await own.up.call(TALK.mulaw, call_sid=sid, own_twiml=twiml, caller="+972509999999")

        (begun,) = own.up.heard.of(sid, CallStarted)
        assert (begun.from_, begun.to, begun.direction) == ("+972501111111", "+972302222222", "outbound-api")
        assert (begun.agent, begun.parameters) == ("test", {"order": "17"})
        assert own.up.heard.texts(sid) == words_of(TALK)
        assert report.clean
        (record,) = own.rest.records
        assert (record.method, record.path) == ("GET", f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{sid}.json")


async def test_the_secret_opens_a_stream_without_a_request_and_is_shown_to_nobody(tmp_path: Path) -> None:
    async with own_twiml_stack(tmp_path, speed=QUICK, stream_secret=("another-secret-of-old", SECRET)) as own:
        ends = {"from": "{{From}}", "to": "{{To}}", "direction": "rehearsal"}
        twiml = own_twiml(PUBLIC, {"secret": SECRET, **ends, "order": "17"})
        with capture_logs() as logs:
            report = await own.up.call(TALK.mulaw, own_twiml=twiml)

        (begun,) = own.up.heard.of(report.call_sid, CallStarted)
        assert (begun.from_, begun.to, begun.parameters) == ("+972500000001", "+972300000001", {"order": "17"})
        assert begun.direction == "inbound", "TwiML of the user's own cannot hide a call from the store"
        assert own.up.heard.texts(report.call_sid) == words_of(TALK)
        assert own.rest.records == []
        assert SECRET not in repr(logs) + repr(own.up.heard.events)


async def test_the_service_s_own_twiml_works_beside_it(tmp_path: Path) -> None:
    async with own_twiml_stack(tmp_path, speed=QUICK) as own:
        report = await own.up.call(TALK.mulaw)

        assert own.up.heard.texts(report.call_sid) == words_of(TALK)
        assert own.rest.records == []


async def test_what_is_said_while_twilio_is_asked_is_heard_and_only_afterwards(tmp_path: Path) -> None:
    """The first utterance is over before Twilio answers: every word of it comes, and nothing before the answer."""
    slow = TwilioFault(kind=TwilioFaultKind.SLOW, latency_s=1.6, times=1)
    async with own_twiml_stack(tmp_path, speed=QUICK, patience=PATIENT) as own:
        sid = own.call()
        own.rest.inject(slow)
        report = await own.up.call(TALK.mulaw, call_sid=sid, own_twiml=own_twiml(PUBLIC, {}))

        (record,) = own.rest.records
        assert record.ended_at is not None
        assert record.ended_at - report.media_start > 1.4, "seconds of speech that were held"
        streams = own.up.double.stats()["streams"]
        assert streams
        assert min(each["opened_at"] for each in streams) >= record.ended_at
        assert own.up.heard.texts(sid) == words_of(TALK)
        assert report.clean


FAULTS_THAT_PASS: Final = (
    fault(TwilioFaultKind.RINGING), fault(REFUSE, 20429), fault(REFUSE, 20503), fault(TwilioFaultKind.DROP),
    fault(TwilioFaultKind.HANG),
)  # fmt: skip


async def test_a_fault_that_passes_costs_no_call(tmp_path: Path) -> None:
    async def requests_after(own: OwnTwiml, once: TwilioFault) -> int:
        sid = own.call()
        own.rest.inject(msgspec.structs.replace(once, times=1, contains=sid))
        async with socket(own.up) as ws:
            await begin(ws, sid, stream_sid=f"MZ-{sid}")
            await own.up.heard.until(lambda: own.up.heard.of(sid, CallStarted))
            await ws.close()
        return len([record for record in own.rest.records if sid in record.path])

    async with own_twiml_stack(tmp_path, patience=PATIENT) as own:
        requests = await asyncio.gather(*(requests_after(own, once) for once in FAULTS_THAT_PASS))

        assert requests == [2] * len(FAULTS_THAT_PASS)
        assert await own.refused() == {}


async def test_an_api_key_asks_in_the_place_of_the_auth_token(tmp_path: Path) -> None:
    key = "SK" + "1" * 32
    rest = TwilioDoubleSettings(auth_token="of the account", api_keys=(f"{key}:key-secret",))
    async with own_twiml_stack(tmp_path, rest=rest, twilio_api_key=key, twilio_api_secret="key-secret") as own:
        api = own.up.service.twilio_api
        assert api is not None
        assert await api.call(own.call()) is not None
        assert [(record.user, record.status) for record in own.rest.records] == [(key, 200)]


async def test_a_caller_who_leaves_while_twilio_is_asked_leaves_nothing_behind(tmp_path: Path) -> None:
    async with own_twiml_stack(tmp_path, patience=FOR_EVER) as own:
        own.rest.inject(TwilioFault(kind=TwilioFaultKind.HANG))
        async with socket(own.up) as ws:
            await begin(ws, own.call())
            await until(lambda: own.rest.records)
            assert len(own.up.service.calls) == 0, "no place is held"
        await until(lambda: own.rest.records[0].ended_at is not None)

        assert own.up.heard.events == {}
        assert await own.refused() == {}


async def test_more_than_a_phone_call_says_ends_the_waiting(tmp_path: Path) -> None:
    async with own_twiml_stack(tmp_path, patience=FOR_EVER) as own, socket(own.up) as ws:
        own.rest.inject(TwilioFault(kind=TwilioFaultKind.HANG))
        await begin(ws, own.call())
        for number in range(6, 14):
            await ws.send(media(number, b"\xff" * 60_000))

        assert await close_code(ws) == 1008
        assert await own.refused() == {"flooded": 1.0}
        assert own.up.heard.events == {}


async def test_a_stream_that_waits_for_twilio_takes_nobody_s_place(tmp_path: Path) -> None:
    async with own_twiml_stack(tmp_path, max_calls=1, patience=FOR_EVER) as own:
        first, second = own.call(), own.call()
        own.rest.inject(TwilioFault(kind=TwilioFaultKind.HANG, contains=first))
        async with socket(own.up) as waiting, socket(own.up) as ws:
            await begin(waiting, first)
            await until(lambda: own.rest.records)
            await begin(ws, second, stream_sid="MZ2")
            await own.up.heard.until(lambda: own.up.heard.of(second, CallStarted))

        assert await own.refused() == {}


async def test_after_a_drain_the_next_verb_brings_the_caller_to_another_pod(tmp_path: Path) -> None:
    """The TwiML's `<Redirect>` goes to the service's own webhook, which knows a call that comes back."""
    async with (
        own_twiml_stack(tmp_path / "old") as own,
        stack(tmp_path / "new") as new,
        balancing(own.up.service.port) as balancer,
    ):
        sid = own.call()
        plan = own.up.plan(TALK.mulaw, call_sid=sid, own_twiml=own_twiml(PUBLIC, {}), speed=QUICK)
        call = asyncio.create_task(place_call(replace(plan, base_url=balancer.url)))
        await own.up.heard.until(lambda: own.up.heard.of(sid, CallStarted))
        balancer.pod = new.service.port
        await own.up.service.calls.end_all("drained", within=2.0)
        report = await call
        await new.heard.until(lambda: new.heard.of(sid, CallEnded))

        assert (report.streams, report.said) == (2, [])
        assert [violation.text for violation in report.violations] == []
        assert [event.reason for event in own.up.heard.of(sid, CallEnded)] == ["drained"]
        assert new.heard.texts(sid), "the other pod hears the caller"


async def test_batkol_call_plays_a_caller_whom_the_double_knows(tmp_path: Path) -> None:
    async with (
        own_twiml_stack(tmp_path, speed=QUICK) as own,
        await serve_twilio_control(own.rest, "127.0.0.1", 0) as port,
    ):
        plan = own.up.plan(SHORT.mulaw, own_twiml=own_twiml(PUBLIC, {}))
        control = f"http://127.0.0.1:{bound(port)}"
        options = CallOptions(plan, 2, None, twilio_double=control)

        assert await carry_out(options, Console(file=io.StringIO())) == 0
        assert [call.status for call in own.rest.calls()] == ["completed"] * 2
        assert {record.status for record in own.rest.records} == {200}


async def test_wrong_credentials_show_in_the_log_at_the_start(tmp_path: Path) -> None:
    with capture_logs() as logs:
        rest = TwilioDoubleSettings(auth_token="another")
        async with own_twiml_stack(tmp_path, patience=PRODUCTION, rest=rest) as own:
            assert own.up.service.twilio_api is not None
            await until(
                lambda: any("cannot be asked" in line["event"] for line in logs)
            )  # it is asked beside the start

    (line,) = [line for line in logs if "cannot be asked" in line["event"]]
    assert (line["log_level"], "credentials (401, Twilio's code 20003)" in line["said"]) == ("error", True)
    assert "TWILIO_ACCOUNT_SID" in line["remedy"]
    assert TOKEN not in repr(line)
