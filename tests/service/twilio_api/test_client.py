"""The client of Twilio's REST API: what it asks, what it believes, and what a hostile server costs it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from batkol.simulators.twilio.plan import new_sid
from batkol.simulators.twilio_rest.calls import RestCall
from batkol.simulators.twilio_rest.faults import TwilioFault, TwilioFaultKind
from batkol.simulators.twilio_rest.server import TwilioDouble
from batkol.simulators.twilio_rest.settings import TwilioDoubleSettings
from batkol.twilio.call_resource import CallProgress
from batkol.twilio_api.client import TwilioAccount, TwilioApi
from batkol.twilio_api.errors import TwilioApiError
from support.http.hostile_server import BODIES, WAYS, answering_with, hostile_http
from support.http.one_answer import answering, http

ACCOUNT = "AC" + "0" * 32
SID = "CA" + "1" * 32
LOGIN = (ACCOUNT, "a-made-up-auth-token")
AT_ONCE = {"flood", "bomb", "redirects"}
"""Ways that are an answer, and not Twilio's: nothing is asked again. After the others it is, until the time is over."""


@asynccontextmanager
async def api_at(url: str, *logins: tuple[str, str], within_s: float = 20.0) -> AsyncIterator[TwilioApi]:
    account = TwilioAccount(url=url, sid=ACCOUNT, logins=logins or (LOGIN,))
    api = TwilioApi(account, within_s=within_s)
    try:
        yield api
    finally:
        await api.aclose()


@asynccontextmanager
async def asked(
    *logins: tuple[str, str], within_s: float = 4.0, **settings: Any
) -> AsyncIterator[tuple[TwilioApi, TwilioDouble]]:
    async with (
        TwilioDouble(TwilioDoubleSettings(**settings)) as double,
        api_at(await double.start(), *logins, within_s=within_s) as api,
    ):
        yield api, double


async def test_a_call_is_what_twilio_says_of_it() -> None:
    async with asked() as (api, double):
        double.put(RestCall(sid=SID, from_="sip:a@b.example", to="client:anna", direction="outbound-dial"))
        call = await api.call(SID)

    assert call is not None
    assert (call.sid, call.account_sid, call.status) == (SID, ACCOUNT, CallProgress.IN_PROGRESS)
    assert (call.from_, call.to, call.direction) == ("sip:a@b.example", "client:anna", "outbound-dial")


async def test_a_call_of_nobody_and_one_of_another_account_are_no_calls() -> None:
    async with asked() as (api, double):
        double.put(RestCall(sid=SID, account_sid="AC" + "9" * 32))

        assert await api.call(SID) is None
        assert await api.call(new_sid("CA")) is None
        assert [record.code for record in double.records] == [20404, 20404]


async def test_one_connection_serves_calls_that_come_one_after_another() -> None:
    async with asked() as (api, double):
        for _ in range(3):
            await api.call(SID)

        assert {record.connection for record in double.records} == {1}


async def test_of_several_tokens_the_valid_one_is_found_and_remembered_whoever_asks_at_once() -> None:
    logins = ((ACCOUNT, "of yesterday"), (ACCOUNT, "of last year"), LOGIN)
    async with asked(*logins) as (api, double):
        double.put(RestCall(sid=SID))
        found = await asyncio.gather(*(api.call(SID) for _ in range(8)))
        before = len(double.records)
        await api.call(SID)

        assert [call is not None for call in found] == [True] * 8
        assert [record.status for record in double.records[before:]] == [200]


async def test_more_requests_than_twilio_takes_wait_and_ask_again() -> None:
    async with asked(at_once=2, latency_ms=20) as (api, double):
        double.put(RestCall(sid=SID))
        found = await asyncio.gather(*(api.call(SID) for _ in range(6)))

        assert [call is not None for call in found] == [True] * 6
        assert 429 in {record.status for record in double.records}


async def test_a_connection_that_twilio_closed_meanwhile_costs_no_call() -> None:
    async with asked() as (api, double):
        double.put(RestCall(sid=SID))
        await api.call(SID)
        double.inject(TwilioFault(kind=TwilioFaultKind.DROP, times=1))

        assert await api.call(SID) is not None


async def test_what_twilio_said_is_told_though_the_last_attempt_had_no_time_for_an_answer() -> None:
    async with asked(within_s=1.5) as (api, double):
        double.put(RestCall(sid=SID))
        double.inject(TwilioFault(kind=TwilioFaultKind.REFUSE, code=20500, times=1))
        double.inject(TwilioFault(kind=TwilioFaultKind.HANG))
        with pytest.raises(TwilioApiError, match="failed \\(500, Twilio's code 20500\\)"):
            await api.call(SID)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "flood of an error"])
async def test_a_hostile_server_costs_one_error_and_little_else(way: str) -> None:
    async with hostile_http(way) as server, api_at(server.url, within_s=20.0 if way in AT_ONCE else 0.3) as api:
        with pytest.raises(TwilioApiError) as caught:
            await api.call(SID)
        await server.check(largest=1 << 20)

    assert caught.value.reason in {"malformed", "unavailable"}
    assert SID not in str(caught.value)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
async def test_a_body_that_is_no_call_is_named_without_being_quoted(body: bytes) -> None:
    async with answering_with(body) as url, api_at(url, within_s=20.0) as api:
        with pytest.raises(TwilioApiError, match="does not answer as Twilio does") as caught:
            await api.call(SID)

    assert (caught.value.reason, caught.value.retryable) == ("malformed", False)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("field", "value"), [("sid", "CA" + "2" * 32), ("account_sid", "AC" + "2" * 32), ("status", None), ("from", 7)]
)
async def test_an_answer_about_anything_else_opens_nothing(field: str, value: object) -> None:
    body = {"sid": SID, "account_sid": ACCOUNT, "status": "in-progress", "from": "+1", "to": "+2"} | {field: value}
    async with answering_with(json.dumps(body).encode()) as url, api_at(url) as api:
        with pytest.raises(TwilioApiError, match="does not answer as Twilio does"):
            await api.call(SID)


async def test_a_404_that_is_not_twilio_s_is_no_word_of_twilio_s() -> None:
    """A wrong TWILIO_API_URL must not look like a call that there is not."""
    async with answering(http("404 Not Found", b"<html>")) as (url, _), api_at(url) as api:
        with pytest.raises(TwilioApiError, match="Check TWILIO_API_URL"):
            await api.call(SID)


async def test_no_error_has_a_password_of_the_account() -> None:
    async with asked((ACCOUNT, "Zq7-password"), within_s=1.0) as (api, _):
        with pytest.raises(TwilioApiError) as caught:
            await api.call(SID)

    assert "Zq7" not in repr(caught.value) + str(caught.value)
