"""Updates of calls over Twilio's REST API: what is sent, what counts as done, and for how long it is tried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise

import httpx
import pytest

from batkol.answers import Answer
from batkol.simulators.twilio_rest.calls import RestCall
from batkol.simulators.twilio_rest.faults import TwilioFault, TwilioFaultKind
from batkol.simulators.twilio_rest.server import TwilioDouble
from batkol.simulators.twilio_rest.settings import TwilioDoubleSettings
from batkol.twilio import twiml
from batkol.twilio_api.control import ATTEMPT_S, CallControl, HttpUpdates, TwilioCall, Updated
from batkol.twilio_api.errors import TwilioApiError
from batkol.twilio_api.logins import Login

ACCOUNT = "AC" + "0" * 32
SUB_ACCOUNT = "AC" + "5" * 32
SID = "CA" + "1" * 32
LOGIN = (ACCOUNT, "a-made-up-auth-token")
CALL = TwilioCall(ACCOUNT, SID)
TRANSFER = twiml.dial("+972501234567")


@asynccontextmanager
async def control(
    *logins: Login, account_sid: str = ACCOUNT, attempt_s: float = 0.3
) -> AsyncIterator[tuple[CallControl, TwilioDouble]]:
    async with TwilioDouble(TwilioDoubleSettings(account_sid=account_sid)) as double:
        updates = HttpUpdates(await double.start(), lambda _: logins or (LOGIN,))
        double.put(RestCall(sid=SID))
        yield CallControl(updates.send, updates.who, attempt_s=attempt_s), double
        await updates.aclose()


async def test_a_call_is_ended_and_given_other_twiml() -> None:
    async with control() as (calls, double):
        moved = await calls.redirect(CALL, TRANSFER, within_s=4)
        ended = await calls.complete(CALL, within_s=4)
        again = await calls.complete(CALL, within_s=4)
        too_late = await calls.redirect(CALL, TRANSFER, within_s=4)

        assert (moved, ended, again, too_late) == (Updated.DONE, Updated.DONE, Updated.OVER, Updated.OVER)
        assert [record.fields for record in double.records] == [
            {"Twiml": TRANSFER}, {"Status": "completed"}, {"Status": "completed"}, {"Twiml": TRANSFER},
        ]  # fmt: skip
        assert {record.connection for record in double.records} == {1}


async def test_of_several_tokens_the_valid_one_is_found_and_remembered_for_each_account() -> None:
    logins = ((ACCOUNT, "of yesterday"), (SUB_ACCOUNT, "a-made-up-auth-token"))
    async with control(*logins, account_sid=SUB_ACCOUNT) as (calls, double):
        call = TwilioCall(SUB_ACCOUNT, SID)
        await calls.redirect(call, TRANSFER, within_s=4)
        await calls.complete(call, within_s=4)

        assert [record.status for record in double.records] == [401, 200, 200]
        assert [record.user for record in double.records] == [ACCOUNT, SUB_ACCOUNT, SUB_ACCOUNT]


@pytest.mark.parametrize("code", [20003, 20429, 20500, 20503])
async def test_what_may_pass_is_asked_again(code: int) -> None:
    async with control() as (calls, double):
        double.inject(TwilioFault(kind=TwilioFaultKind.REFUSE, code=code, times=1))

        assert await calls.complete(CALL, within_s=4) is Updated.DONE
        assert [record.status for record in double.records][1:] == [200]


@pytest.mark.parametrize("kind", [TwilioFaultKind.DROP, TwilioFaultKind.HANG])
async def test_a_connection_that_breaks_or_hangs_is_given_up_for_another_one(kind: TwilioFaultKind) -> None:
    async with control() as (calls, double):
        double.inject(TwilioFault(kind=kind, times=1))

        assert await calls.complete(CALL, within_s=4) is Updated.DONE


@pytest.mark.parametrize(
    ("code", "reason", "remedy"),
    [(20008, "credentials", "the right to update calls"), (21205, "refused", "TRANSFER_ALLOWED")],
)
async def test_what_is_refused_for_good_is_asked_once_and_says_whose_fault_it_is(
    code: int, reason: str, remedy: str
) -> None:
    async with control() as (calls, double):
        double.inject(TwilioFault(kind=TwilioFaultKind.REFUSE, code=code))
        with pytest.raises(TwilioApiError, match=remedy) as caught:
            await calls.redirect(CALL, TRANSFER, within_s=4)

        assert (caught.value.reason, len(double.records)) == (reason, 1)
        assert "972" not in str(caught.value)


@pytest.mark.parametrize("kind", [TwilioFaultKind.NONSENSE, TwilioFaultKind.OTHER, TwilioFaultKind.REDIRECT])
async def test_an_answer_that_is_not_twilio_s_ends_nothing(kind: TwilioFaultKind) -> None:
    async with control() as (calls, double):
        double.inject(TwilioFault(kind=kind))
        with pytest.raises(TwilioApiError, match="TWILIO_API_URL") as caught:
            await calls.complete(CALL, within_s=4)

    assert caught.value.reason == "malformed"


async def test_a_sid_from_the_network_gets_into_no_url() -> None:
    async with control() as (calls, double):
        for call in (TwilioCall(ACCOUNT, "CA/../x"), TwilioCall("AC?", SID)):
            with pytest.raises(TwilioApiError, match="does not come from Twilio"):
                await calls.complete(call, within_s=4)

        assert double.records == []


async def tried(answer: Callable[[], Answer], within_s: float) -> tuple[list[float], TwilioApiError]:
    """Return when it was asked, and the error at the end."""
    loop = asyncio.get_running_loop()
    begun, asked = loop.time(), list[float]()

    async def send(_: TwilioCall, __: Mapping[str, str]) -> Answer:
        asked.append(loop.time() - begun)
        return answer()

    with pytest.raises(TwilioApiError) as caught:
        await CallControl(send, "Twilio").complete(CALL, within_s=within_s)
    return asked, caught.value


def unavailable() -> Answer:
    return Answer(503, {}, b'{"code": 20503}')


def nobody() -> Answer:
    raise httpx.ConnectError("no route")


@pytest.mark.virtual_time
@pytest.mark.parametrize("answer", [unavailable, nobody])
async def test_it_is_tried_for_half_a_minute_with_longer_and_longer_pauses(answer: Callable[[], Answer]) -> None:
    asked, error = await tried(answer, 30.0)

    pauses = [after - before for before, after in pairwise(asked)]
    assert error.reason == "unavailable"
    assert 24 < asked[-1] <= 30
    assert pauses[0] <= 0.25
    assert all(2.0 <= pause <= 4.0 for pause in pauses[6:])


@pytest.mark.virtual_time
async def test_a_server_that_hangs_is_asked_as_long() -> None:
    asked: list[float] = []
    loop = asyncio.get_running_loop()

    async def send(_: TwilioCall, __: Mapping[str, str]) -> Answer:
        asked.append(loop.time())
        await asyncio.sleep(3600)
        raise AssertionError

    begun = loop.time()
    with pytest.raises(TwilioApiError, match="gave no answer"):
        await CallControl(send, "Twilio").complete(CALL, within_s=30.0)

    assert 26 <= loop.time() - begun <= 30
    assert asked[1] - asked[0] <= ATTEMPT_S + 0.25


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("+972501234567", "<Dial><Number>+972501234567</Number></Dial><Hangup/>"),
        ("sip:a&b@pbx.example", "<Dial><Sip>sip:a&amp;b@pbx.example</Sip></Dial><Hangup/>"),
    ],
)
def test_a_transfer_keeps_the_caller_s_number_and_ends_with_the_other_call(target: str, expected: str) -> None:
    assert twiml.dial(target) == f'<?xml version="1.0" encoding="UTF-8"?><Response>{expected}</Response>'
