"""The end of a call from within, in virtual time: what Twilio is asked, when, and what the end is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest
import structlog

from batkol.answers import Answer
from batkol.calls.line_end import LineEnd
from batkol.calls.telephone import OUTCOMES, LinePatience, NoTelephoneError, Telephone
from batkol.events.identity import BROWSER, Identity
from batkol.twilio_api.control import CallControl, TwilioCall

pytestmark = pytest.mark.virtual_time

SIDS = TwilioCall("AC" + "0" * 32, "CA" + "1" * 32)
IDENTITY = Identity(call_sid=SIDS.call_sid, stream_sid="MZ1", account_sid=SIDS.account_sid)
NUMBER = "+972501234567"
SPOKEN_S = 3.0

Answering = Callable[[], Awaitable[Answer]]


@dataclass
class Party:
    """The call, its line, and Twilio. The caller still hears three seconds of sound as the end is asked for."""

    answering: Answering
    asked: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    ended: list[tuple[float, str]] = field(default_factory=list)
    stayed: int = 0
    counted: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begun = asyncio.get_running_loop().time()

    @property
    def now(self) -> float:
        return round(asyncio.get_running_loop().time() - self.begun, 1)

    async def wait_echo(self, within_s: float) -> bool:
        assert within_s > 0
        await asyncio.sleep(SPOKEN_S)
        return True

    async def send(self, call: TwilioCall, form: Mapping[str, str]) -> Answer:
        assert call == SIDS
        self.asked.append((self.now, dict(form)))
        return await self.answering()

    def end(self, reason: str) -> None:
        self.ended.append((self.now, reason))

    def stay(self) -> None:
        self.stayed += 1


@asynccontextmanager
async def line_end(answering: Answering | None, **transfers: str) -> AsyncIterator[tuple[LineEnd, Party]]:
    """Yield the end of a call; at the end of the block the stream is over, and nothing more may happen."""
    party = Party(answering or done)
    control = CallControl(party.send, "Twilio") if answering else None
    telephone = Telephone(
        control, LinePatience(), lambda *counted: party.counted.append(counted), lambda: transfers or {"x": NUMBER}
    )
    end = LineEnd(IDENTITY, party, party, telephone, structlog.get_logger())
    async with asyncio.TaskGroup() as tasks:
        end.begin(tasks)
        yield end, party
        end.cancel()
    assert all(outcome in OUTCOMES[action] for action, outcome in party.counted)


async def done() -> Answer:
    return Answer(200, {}, b'{"sid": "%s"}' % SIDS.call_sid.encode())


async def over() -> Answer:
    return Answer(404, {}, b'{"code": 20404}')


async def refused() -> Answer:
    return Answer(503, {}, b'{"code": 20503}')


async def refused_for_good() -> Answer:
    return Answer(400, {}, b'{"code": 21205}')


async def hangs() -> Answer:
    await asyncio.sleep(3600)
    raise AssertionError


async def test_twilio_is_asked_once_and_not_before_the_last_word_was_heard() -> None:
    async with line_end(done) as (end, party):
        end.hang_up()
        await asyncio.sleep(SPOKEN_S + 1)
        reason = end.reason_for("stop", decided=True)

    assert party.asked == [(SPOKEN_S, {"Status": "completed"})]
    assert reason == "hung_up"
    assert party.ended == [], "Twilio stops the stream"
    assert party.counted == [("hang_up", "done")]


@pytest.mark.parametrize(("answering", "outcome"), [(done, "done"), (over, "over")])
async def test_a_stream_that_is_not_stopped_is_closed(answering: Answering, outcome: str) -> None:
    async with line_end(answering) as (end, party):
        end.hang_up("longest_call")
        await asyncio.sleep(60)

    assert party.ended == [(SPOKEN_S + 5, "longest_call")]
    assert len(party.asked) == 1
    assert party.counted == [("hang_up", outcome)]


@pytest.mark.parametrize("answering", [refused, hangs])
async def test_while_twilio_refuses_the_stream_stays_open_for_half_a_minute(answering: Answering) -> None:
    async with line_end(answering) as (end, party):
        end.hang_up()
        await asyncio.sleep(SPOKEN_S + 24)
        assert party.ended == []
        await asyncio.sleep(10)

    [(at, reason)] = party.ended
    assert at <= SPOKEN_S + 30
    assert reason == "hung_up"
    assert party.counted == [("hang_up", "unavailable")]


async def test_without_credentials_the_stream_is_closed_when_the_last_word_was_heard() -> None:
    async with line_end(None) as (end, party):
        end.hang_up()
        await asyncio.sleep(60)

    assert party.ended == [(SPOKEN_S, "hung_up")]
    assert party.counted == [("hang_up", "closed")]


async def test_a_caller_who_hangs_up_first_has_hung_up() -> None:
    async with line_end(done) as (end, party):
        end.hang_up()
        await asyncio.sleep(1)
        assert end.reason_for("stop", decided=True) == "stop"

    assert (party.asked, party.ended, party.counted) == ([], [], [])


async def test_a_stop_that_overtakes_the_answer_is_the_good_end() -> None:
    async with line_end(hangs) as (end, party):
        end.hang_up()
        await asyncio.sleep(SPOKEN_S + 1)
        assert end.reason_for("stop", decided=True) == "hung_up"

    assert party.counted == [("hang_up", "stopped")]


async def test_a_pod_that_leaves_ends_what_it_had_decided_to_end() -> None:
    async with line_end(hangs) as (end, _):
        assert end.reason_for("drained", decided=False) == "drained"
        assert end.reason_for("drained", decided=True) == "hung_up"
        end.hang_up("tokens_spent")
        assert end.under_way
        assert end.reason_for("drained", decided=True) == "tokens_spent"
        assert end.reason_for("replaced", decided=True) == "replaced"


async def test_a_transfer_is_asked_for_with_the_number_behind_the_label() -> None:
    async with line_end(done, sales=NUMBER) as (end, party):
        end.transfer("sales", party.stay)
        await asyncio.sleep(SPOKEN_S + 1)
        assert end.reason_for("stop", decided=False) == "transferred"
        assert end.reason_for("drained", decided=False) == "drained"

    [(at, form)] = party.asked
    assert at == SPOKEN_S
    assert f"<Dial><Number>{NUMBER}</Number></Dial><Hangup/>" in form["Twiml"]
    assert (party.stayed, party.counted) == (0, [("transfer", "done")])


@pytest.mark.parametrize(
    ("answering", "label", "asked", "outcome"),
    [
        (refused_for_good, "x", 1, "refused"),
        (done, "moon", 0, "unknown_label"),
        (None, "x", 0, "no_credentials"),
    ],
)
async def test_a_transfer_that_cannot_be_leaves_the_call_here(
    answering: Answering | None, label: str, asked: int, outcome: str
) -> None:
    async with line_end(answering) as (end, party):
        end.transfer(label, party.stay)
        await asyncio.sleep(60)
        assert not end.under_way

    assert (len(party.asked), party.stayed, party.ended) == (asked, 1, [])
    assert party.counted == [("transfer", outcome)]


async def test_twilio_is_never_asked_about_a_call_from_the_consoles_phone() -> None:
    identity = msgspec.structs.replace(IDENTITY, direction=BROWSER)
    party = Party(done)
    shared = Telephone(CallControl(party.send, "Twilio"), transfers=lambda: {"x": NUMBER})
    end = LineEnd(identity, party, party, shared.of(identity), structlog.get_logger())
    async with asyncio.TaskGroup() as tasks:
        end.begin(tasks)
        end.transfer("x", party.stay)
        await asyncio.sleep(1)
        end.hang_up()

    assert (party.asked, party.stayed) == ([], 1)
    assert [reason for _, reason in party.ended] == ["hung_up"]
    with pytest.raises(NoTelephoneError, match="phone in the console"):
        shared.of(identity).check("x")
    shared.of(IDENTITY).check("x")


async def test_a_transfer_is_tried_for_as_long_as_a_caller_waits() -> None:
    async with line_end(refused) as (end, party):
        end.transfer("x", party.stay)
        await asyncio.sleep(SPOKEN_S + 10)

    assert party.stayed == 1


async def test_a_defect_closes_the_stream_and_no_other_task_of_the_call() -> None:
    class Broken(Party):
        async def wait_echo(self, within_s: float) -> bool:
            raise RuntimeError("a defect")

    party = Broken(done)
    async with asyncio.TaskGroup() as tasks:
        end = LineEnd(IDENTITY, party, party, Telephone(), structlog.get_logger())
        end.begin(tasks)
        end.hang_up()

    assert party.ended == [(0.0, "hung_up")]
