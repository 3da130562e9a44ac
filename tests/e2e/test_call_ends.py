"""The service ends calls on the real wires: the last word is heard, Twilio is asked once, and nobody is called back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from structlog.testing import capture_logs

from batkol.app.patience import Patience
from batkol.calls.telephone import LinePatience
from batkol.events.events import FinalText, KeyPressed, ReplyEnded, ReplyStarted
from batkol.simulators.twilio.caller import Caller, CallReport
from batkol.simulators.twilio.plan import new_sid
from batkol.simulators.twilio_rest.faults import TwilioFault, TwilioFaultKind
from support.service.stack import write_tuning
from support.time.waiting import until
from support.twilio.ended_calls import EndedCalls, ended_calls

IMPATIENT: Final = Patience(pause=2.0, line=LinePatience(hang_up=2.0, transfer=2.0, stop=1.5, echo=2.0))
PHRASES: Final = {"goodbye": "תודה שלום", "apology": "שלום", "limit": "מחר שלום", "filler": ""}
"""No filler: on a busy machine one may be said while Twilio is asked, and the end of the call cuts it."""
NUMBER: Final = "+972501234567"
WORDS: Final = "שלום תודה מחר"
MANY_WORDS: Final = " ".join([WORDS] * 20)
"""More than half a minute of them."""
FOREVER: Final = 3600.0


def heard_all(line: EndedCalls, report: CallReport, *replies: str) -> None:
    """See that the caller heard these replies, each to its last sample."""
    assert len(report.heard) == len(report.received)
    assert [reply.heard for reply in line.up.heard.of(report.call_sid, ReplyEnded)] == [*replies]
    assert [*report.ear.texts()] == " ".join(replies).split()


async def said_and_hung_up(line: EndedCalls, sid: str, text: str = WORDS) -> None:
    """Say some words, and hang up behind them. Nothing more is taken then."""
    await line.post(sid, "say", 202, json={"text": text})
    await line.up.heard.until(lambda: line.up.heard.of(sid, ReplyStarted))
    assert await line.post(sid, "hangup", 202) == {"action": "hangup"}
    await line.post(sid, "hangup", 409)
    await line.post(sid, "say", 409, json={"text": "עוד"})


async def hang_up(line: EndedCalls, *faults: TwilioFaultKind, **plan: Any) -> CallReport:
    """Hold a call that the program ends, with faults of Twilio's that last; see that it is over on the first stream."""
    sid = new_sid("CA")
    line.rest.inject(*(TwilioFault(kind=kind, contains=sid) for kind in faults))

    async def talk(caller: Caller) -> None:
        await said_and_hung_up(line, caller.plan.call_sid)
        await asyncio.sleep(FOREVER)

    report = await line.call(talk, call_sid=sid, **plan)
    heard_all(line, report, WORDS, PHRASES["goodbye"])
    assert report.streams == 1, "nobody is called back"
    assert line.up.ended(sid).reason == "hung_up"
    return report


async def by_rest(line: EndedCalls) -> None:
    report = await hang_up(line, delay_ms=60, buffer_ms=80, update_ms=200)

    assert report.ended_by_rest
    assert report.closed_by == "caller"
    assert report.clean, report.violations
    assert [record.fields for record in line.updates(report.call_sid)] == [{"Status": "completed"}]
    await line.post(report.call_sid, "hangup", 404)


async def by_rest_that_stops_the_stream_later(line: EndedCalls) -> None:
    report = await hang_up(line, update_ms=5000)

    assert report.ended_by_rest
    assert report.closed_by == "server", "patience ends before"
    assert report.clean, report.violations
    assert len(line.updates(report.call_sid)) == 1


async def by_rest_that_refuses(line: EndedCalls) -> None:
    report = await hang_up(line, TwilioFaultKind.REFUSE)

    assert report.closed_by == "server"
    assert len(line.updates(report.call_sid)) > 1
    assert {record.status for record in line.updates(report.call_sid)} == {500}


async def by_rest_that_hangs(line: EndedCalls) -> None:
    report = await hang_up(line, TwilioFaultKind.HANG)

    assert report.closed_by == "server"
    assert {record.status for record in line.updates(report.call_sid)} == {0}


async def by_the_caller(line: EndedCalls) -> None:
    async def talk(caller: Caller) -> None:
        await said_and_hung_up(line, caller.plan.call_sid, MANY_WORDS)
        caller.hang_up()  # before the service asks Twilio, however busy this machine is

    report = await line.call(talk)

    assert line.updates(report.call_sid) == []
    assert line.up.ended(report.call_sid).reason == "stop"


async def by_transfer(line: EndedCalls) -> None:
    async def talk(caller: Caller) -> None:
        sid = caller.plan.call_sid
        refused = await line.post(sid, "transfer", 422, json={"label": "the moon"})
        assert "sales" in refused["detail"]
        await line.post(sid, "say", 202, json={"text": "מחר"})
        await line.up.heard.until(lambda: line.up.heard.of(sid, ReplyStarted))
        assert await line.post(sid, "transfer", 202, json={"label": "sales"}) == {"action": "transfer"}
        await asyncio.sleep(FOREVER)

    report = await line.call(talk)

    assert report.dialled == [NUMBER]
    heard_all(line, report, "מחר")
    assert report.streams == 1
    assert report.clean, report.violations
    assert line.up.ended(report.call_sid).reason == "transferred"
    assert len(line.updates(report.call_sid)) == 1


async def by_the_caller_whose_transfer_was_refused(line: EndedCalls) -> None:
    sid = new_sid("CA")
    line.rest.inject(TwilioFault(kind=TwilioFaultKind.REFUSE, code=21205, contains=sid))
    heard = line.up.heard

    async def talk(caller: Caller) -> None:
        await line.post(sid, "transfer", 202, json={"label": "sales"})
        await heard.until(lambda: heard.of(sid, ReplyEnded))
        await line.post(sid, "say", 202, json={"text": "מחר"})
        await heard.until(lambda: len(heard.of(sid, ReplyEnded)) == 2)
        await until(lambda: caller.report.ear.texts() == (PHRASES["apology"], "מחר"))  # the service only estimates it
        caller.hang_up()

    report = await line.call(talk, call_sid=sid)

    assert [reply.phrase for reply in heard.of(sid, ReplyStarted)] == ["apology", None]
    heard_all(line, report, PHRASES["apology"], "מחר")
    assert line.up.ended(sid).reason == "stop"
    assert len(line.updates(sid)) == 1, "what is refused for good is not asked again"


async def test_whatever_twilio_s_rest_does_the_last_word_is_heard_and_nobody_is_called_back(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with ended_calls(
            tmp_path, patience=IMPATIENT, agent_phrases=PHRASES, transfer_allowed={"sales": NUMBER}
        ) as line:
            await asyncio.gather(
                by_rest(line),
                by_rest_that_stops_the_stream_later(line),
                by_rest_that_refuses(line),
                by_rest_that_hangs(line),
                by_the_caller(line),
                by_transfer(line),
                by_the_caller_whose_transfer_was_refused(line),
            )
            actions = await line.actions()

    assert NUMBER not in repr(logs)
    assert {*actions} <= {
        ("hang_up", "done"), ("hang_up", "stopped"), ("hang_up", "unavailable"),
        ("transfer", "done"), ("transfer", "stopped"), ("transfer", "refused"),
    }  # fmt: skip
    assert actions["hang_up", "unavailable"] == 2
    assert actions["transfer", "refused"] == 1
    [fault] = [entry for entry in logs if entry["event"].startswith("[CALL] transfer failed")]
    assert "TRANSFER_ALLOWED" in fault["err"]
    assert fault["label"] == "sales"


async def leaves(line: EndedCalls) -> CallReport:
    """The pod is drained in the moment in which the call is being ended."""

    async def talk(caller: Caller) -> None:
        await said_and_hung_up(line, caller.plan.call_sid)
        await line.up.service.drain_calls()

    return await line.call(talk)


async def test_without_access_to_the_rest_api_nobody_is_called_back_either(tmp_path: Path) -> None:
    async with ended_calls(
        tmp_path, rest=False, patience=IMPATIENT, agent_phrases=PHRASES, drain_timeout_s=0.1
    ) as line:
        sid = new_sid("CA")

        async def talk(caller: Caller) -> None:
            refused = await line.post(sid, "transfer", 501, json={"label": "sales"})
            assert "TWILIO_ACCOUNT_SID" in refused["detail"]
            await said_and_hung_up(line, caller.plan.call_sid)
            await asyncio.sleep(FOREVER)

        report = await line.call(talk, call_sid=sid)
        assert report.closed_by == "server"
        assert report.streams == 1
        heard_all(line, report, WORDS, PHRASES["goodbye"])
        assert line.up.ended(sid).reason == "hung_up"
        assert await line.actions() == {("hang_up", "closed"): 1}

        drained = await leaves(line)
        assert drained.streams == 1
        assert drained.said == []
        assert line.up.ended(drained.call_sid).reason == "hung_up"


async def test_keys_are_a_turn_and_a_call_that_lasts_too_long_is_ended_with_a_word(tmp_path: Path) -> None:
    write_tuning(tmp_path, {"turns": {"keysPauseMilliseconds": 400}})
    async with ended_calls(tmp_path, agent_phrases=PHRASES, longest_call_s=8.0) as line:
        heard = line.up.heard

        async def talk(caller: Caller) -> None:
            sid = caller.plan.call_sid
            for key in "12#":
                caller.press(key)
            await heard.until(lambda: heard.of(sid, ReplyStarted))
            for key in "34":  # the answer is interrupted, and a pause ends the entry
                caller.press(key)
            await asyncio.sleep(FOREVER)

        report = await line.call(talk)

    sid = report.call_sid
    assert [event.digit for event in heard.of(sid, KeyPressed)] == ["1", "2", "#", "3", "4"]
    replies = heard.of(sid, ReplyEnded)
    assert [reply.intended for reply in replies] == ["הקיש/ה 1 2", "הקיש/ה 3 4", "מחר שלום"]
    assert [reply.interrupted for reply in replies][0::2] == [True, False]
    assert replies[-1].heard == PHRASES["limit"]
    assert heard.of(sid, FinalText) == []
    assert line.up.ended(sid).reason == "longest_call"
    assert report.ended_by_rest
    assert report.streams == 1
