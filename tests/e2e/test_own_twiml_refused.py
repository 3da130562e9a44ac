"""Streams from TwiML of the user's own that are refused, and what strangers can do with a call SID."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from structlog.testing import capture_logs

from batkol.app.patience import Patience
from batkol.events.events import CallEnded, CallStarted
from batkol.simulators.twilio.own_twiml import own_twiml
from batkol.simulators.twilio.plan import new_sid
from batkol.simulators.twilio_rest.faults import TwilioFault, TwilioFaultKind
from batkol.twilio import token
from batkol.voices.marked.voice import script
from support.service.stack import PUBLIC, TOKEN, words_of
from support.time.waiting import until
from support.twilio.dialing import ACCOUNT, socket, stop
from support.twilio.own_twiml import SECRET, OwnTwiml, begin, close_code, own_twiml_stack

TALK = script([["שלום", "אני", "רוצה"], ["כן", "תודה"]], gap_ms=900, lead_ms=100, tail_ms=1200)
REFUSE = TwilioFaultKind.REFUSE
PATIENT = Patience(twilio_api=4.0)
FOR_EVER = Patience(twilio_api=60.0)


def fault(kind: TwilioFaultKind, code: int = 20500) -> TwilioFault:
    return TwilioFault(kind=kind, code=code)


class Refusal(NamedTuple):
    """A stream that is refused: what comes, and what the service does about it."""

    name: str
    reason: str
    sentence: str
    parameters: Callable[[str], dict[str, str]] = lambda _: {}
    status: str | None = "in-progress"  # None: Twilio does not know the call
    fault: TwilioFault | None = None
    account: str = ACCOUNT


class Told(NamedTuple):
    """The refusal as it came: the close code, the log line, and how often Twilio was asked."""

    code: int | None
    sentence: bool
    asked: bool


def issued(key: str = TOKEN, *, late_s: float = 0.0, other: str = "") -> Callable[[str], dict[str, str]]:
    """Return what gives a call the token of that key, or of another call."""

    def parameters(sid: str) -> dict[str, str]:
        return {"token": token.issue((key,), other or sid, ACCOUNT, time.time() - late_s), "secret": SECRET}

    return parameters


SECRETS: Final[dict[str, object]] = {"stream_secret": (SECRET,)}
BY_TWILIO: Final = (
    Refusal("a call SID that Twilio does not know", "not_in_progress", "there is no such call", status=None),
    Refusal("a call that is over", "not_in_progress", "the call is completed", status="completed"),
    Refusal("a call that nobody answers", "not_in_progress", "the call is ringing", status="ringing"),
    Refusal("our credentials are wrong", "twilio_api", "Check TWILIO_ACCOUNT_SID", fault=fault(REFUSE, 20003)),
    Refusal("too many requests", "twilio_api", "Set STREAM_SECRET", fault=fault(REFUSE, 20429)),
    Refusal("Twilio fails", "twilio_api", "See Twilio's status page", fault=fault(REFUSE, 20500)),
    Refusal("Twilio hangs", "twilio_api", "gave no answer", fault=fault(TwilioFaultKind.HANG)),
    Refusal("Twilio hangs up", "twilio_api", "gave no answer", fault=fault(TwilioFaultKind.DROP)),
    Refusal("another server answers", "twilio_api", "Check TWILIO_API_URL", fault=fault(TwilioFaultKind.NONSENSE)),
    Refusal("it sends us elsewhere", "twilio_api", "it answered 307", fault=fault(TwilioFaultKind.REDIRECT)),
    Refusal("it answers about another call", "twilio_api", "with another call", fault=fault(TwilioFaultKind.OTHER)),
)
AT_ONCE: Final = (
    Refusal("another account", "not_in_progress", "another Twilio account", account="AC" + "1" * 32),
    Refusal("a wrong secret", "secret", "is not in STREAM_SECRET", lambda _: {"secret": SECRET[:-1] + "0"}),
    Refusal("a forged token", "token", "forged", lambda _: {"token": "made up", "secret": SECRET}),
    Refusal("another deployment's token", "token", "forged", issued("other key")),
    Refusal("an expired token", "token", "expired", issued(late_s=3600)),
    Refusal("another call's token", "token", "other_call", issued(other="CA" + "9" * 32)),
)
WITHOUT_REST: Final = (Refusal("no secret", "secret", "set TWILIO_ACCOUNT_SID"),)
REQUIRED: Final = (
    Refusal("no token", "token", "set STREAM_TOKEN=optional"),
    Refusal("a secret for a token", "token", "The stream has no token", lambda _: {"secret": SECRET}),
)


async def refusal(own: OwnTwiml, row: Refusal, logs: Sequence[Mapping[str, object]]) -> Told:
    sid = own.call(status=row.status) if row.status is not None else new_sid("CA")
    if row.fault is not None:
        own.rest.inject(msgspec.structs.replace(row.fault, contains=sid))
    async with socket(own.up) as ws:
        await begin(ws, sid, row.parameters(sid), accountSid=row.account, stream_sid=f"MZ-{sid}")
        code = await close_code(ws)
    lines = [line for line in logs if line["event"] == "[TWILIO] stream closed" and line.get("call_sid") == sid]
    asked = any(sid in record.path for record in own.rest.records)
    return Told(code, len(lines) == 1 and row.sentence in str(lines[0]["err"]), asked)


@pytest.mark.parametrize(
    ("rows", "settings", "asked"),
    [
        pytest.param(BY_TWILIO, {}, True, id="Twilio is asked"),
        pytest.param(AT_ONCE, SECRETS, False, id="nobody is asked"),
        pytest.param(
            WITHOUT_REST,
            {**SECRETS, "twilio_account_sid": ""},
            False,
            id="nobody can be asked",
            marks=pytest.mark.nightly,
        ),
        pytest.param(REQUIRED, {"stream_token": "required"}, False, id="the token is required"),
    ],
)
async def test_a_stream_without_a_proof_is_refused_with_a_sentence(
    tmp_path: Path, rows: Sequence[Refusal], settings: dict[str, Any], asked: bool
) -> None:
    async with own_twiml_stack(tmp_path, **settings) as own:
        with capture_logs() as logs:
            told = await asyncio.gather(*(refusal(own, row, logs) for row in rows))

        wanted = {row.name: Told(1013 if row.reason == "twilio_api" else 1008, True, asked) for row in rows}
        assert dict(zip((row.name for row in rows), told, strict=True)) == wanted
        assert await own.refused() == Counter(row.reason for row in rows)
        assert SECRET not in repr(logs)
        assert own.up.heard.events == {}
        assert len(own.up.service.calls) == 0
        assert own.up.double.stats()["streams_opened"] == own.up.double.stats()["unary_calls"] == 0


async def test_what_is_no_call_sid_reaches_no_url_and_no_log(tmp_path: Path) -> None:
    async with own_twiml_stack(tmp_path) as own:
        with capture_logs() as logs:
            for sid in ("../../Accounts", "CA" + "0" * 31 + "/", "CA" + "G" * 32, "CA%2e%2e", "C" * 34):
                async with socket(own.up) as ws:
                    await begin(ws, sid)
                    assert await close_code(ws) == 1008

        assert own.rest.records == []
        assert [line for line in logs if "call_sid" in line] == []


async def test_a_full_pod_and_a_draining_one_refuse_before_they_ask(tmp_path: Path) -> None:
    async with own_twiml_stack(tmp_path, max_calls=1) as own:
        first, second, third = own.call(), own.call(), own.call()
        async with socket(own.up) as ws, socket(own.up) as too_many, socket(own.up) as too_late:
            await begin(ws, first)
            await own.up.heard.until(lambda: own.up.heard.of(first, CallStarted))
            await begin(too_many, second, stream_sid="MZ2")
            assert await close_code(too_many) == 1013
            own.up.service.calls.refuse()
            await begin(too_late, third, stream_sid="MZ3")
            assert await close_code(too_late) == 1013

        assert await own.refused() == {"full": 1.0, "draining": 1.0}
        assert len(own.rest.records) == 1


async def test_the_same_stream_sid_twice_is_a_replay(tmp_path: Path) -> None:
    async with own_twiml_stack(tmp_path) as own, socket(own.up) as ws, socket(own.up) as again:
        sid = own.call()
        await begin(ws, sid)
        await own.up.heard.until(lambda: own.up.heard.of(sid, CallStarted))
        await begin(again, sid)

        assert await close_code(again) == 1008
        assert await own.refused() == {"duplicate": 1.0}
        assert len(own.rest.records) == 1
        assert own.up.heard.of(sid, CallEnded) == []


async def test_a_stranger_who_knows_a_call_sid_takes_over_no_call(tmp_path: Path) -> None:
    """Twilio says that the call is in progress, and it is: but the stream of it that is open hears the caller."""
    async with own_twiml_stack(tmp_path, speed=1.0) as own:
        sid = own.call()

        async def talk(caller: object) -> None:
            await own.up.heard.until(lambda: own.up.heard.of(sid, CallStarted))
            async with socket(own.up) as stranger:
                await begin(stranger, sid, stream_sid="MZ-of-the-stranger")
                assert await close_code(stranger) == 1008

        report = await own.up.call(TALK.mulaw, talk, call_sid=sid, own_twiml=own_twiml(PUBLIC, {}))

        assert await own.refused() == {"occupied": 1.0}
        assert own.up.heard.texts(sid) == words_of(TALK)
        assert [event.reason for event in own.up.heard.of(sid, CallEnded)] == ["stop"]
        assert report.clean


@pytest.mark.parametrize(
    "stopped", [True, pytest.param(False, marks=pytest.mark.nightly)], ids=["stopped", "gone silent"]
)
async def test_the_next_stream_of_a_call_is_taken_when_the_first_one_is_done(tmp_path: Path, stopped: bool) -> None:
    async with own_twiml_stack(tmp_path) as own, socket(own.up) as first, socket(own.up) as second:
        sid = own.call()
        await begin(first, sid)
        await own.up.heard.until(lambda: own.up.heard.of(sid, CallStarted))
        await begin(second, sid, stream_sid="MZ2")
        await until(lambda: len(own.rest.records) >= 2)
        if stopped:
            await first.send(stop(sid))
        await own.up.heard.until(lambda: len(own.up.heard.of(sid, CallStarted)) == 2)

        await own.up.heard.until(lambda: own.up.heard.of(sid, CallEnded))
        # On a busy machine the first stream is silent for so long that it is replaced before its `stop` is read.
        assert own.up.ended(sid).reason in ({"stop", "replaced"} if stopped else {"replaced"})
        assert await own.refused() == {}
