"""Twilio's own client (a dependency of development) against the double: it reads what the double writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from twilio.rest.api.v2010.account.call import CallContext

from batkol.simulators.twilio_rest.calls import RestCall
from batkol.simulators.twilio_rest.faults import TwilioFault, TwilioFaultKind
from batkol.simulators.twilio_rest.server import TwilioDouble
from batkol.simulators.twilio_rest.settings import TwilioDoubleSettings

T = TypeVar("T")

ACCOUNT = "AC" + "0" * 32
SID = "CA" + "1" * 32
KEY = "SK" + "2" * 32
TOKEN = TwilioDoubleSettings().auth_token
NOW = 1_700_000_000.0


def twiml_of(length: int) -> str:
    return "<Response><Say></Say></Response>".replace("></Say", f">{'x' * (length - 32)}</Say")


class ToTheDouble(TwilioHttpClient):  # type: ignore[misc]  # a library without types
    """Sends every request to the double in the place of api.twilio.com."""

    def __init__(self, url: str) -> None:
        super().__init__(timeout=10.0)
        self._url = url

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._url), *args, **kwargs)


@asynccontextmanager
async def client(
    user: str = ACCOUNT, password: str = TOKEN, **settings: Any
) -> AsyncIterator[tuple[CallContext, TwilioDouble]]:
    """The official client's view of the call with that SID, and the double."""
    given = TwilioDoubleSettings(api_keys=(f"{KEY}:key-secret",), **settings)
    async with TwilioDouble(given, wall=lambda: NOW) as double:
        http = ToTheDouble(await double.start())
        yield Client(user, password, account_sid=ACCOUNT, http_client=http).calls(SID), double


async def done(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


@pytest.mark.parametrize(("user", "password"), [(ACCOUNT, TOKEN), (KEY, "key-secret")], ids=["token", "API key"])
async def test_fetches_a_call(user: str, password: str) -> None:
    async with client(user, password) as (call, double):
        double.put(RestCall(sid=SID, from_="+972501111111", to="+972302222222", direction="outbound-api"))
        found = await done(call.fetch)

    assert (found.sid, found.account_sid, found.status) == (SID, ACCOUNT, "in-progress")
    assert (found._from, found.to, found.direction) == ("+972501111111", "+972302222222", "outbound-api")
    assert found.start_time == datetime.fromtimestamp(NOW, UTC)
    assert (found.end_time, found.duration) == (None, None)
    assert found.uri == f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{SID}.json"


async def test_ends_a_call_and_gives_it_other_twiml() -> None:
    updates: list[tuple[str, dict[str, str]]] = []
    async with client() as (call, double):
        double.put(RestCall(sid=SID))
        double.on_update = lambda after, fields: updates.append((after.status, fields))
        moved = await done(lambda: call.update(twiml="<Response><Hangup/></Response>"))
        pointed = await done(lambda: call.update(url="https://host.example/twiml", method="POST"))
        ended = await done(lambda: call.update(status="completed"))

    assert [moved.status, pointed.status, ended.status] == ["in-progress", "in-progress", "completed"]
    assert ended.duration == "0"
    assert updates == [
        ("in-progress", {"Twiml": "<Response><Hangup/></Response>"}),
        ("in-progress", {"Url": "https://host.example/twiml", "Method": "POST"}),
        ("completed", {"Status": "completed"}),
    ]


@pytest.mark.parametrize(
    ("status", "update", "told"),
    [
        (None, {"status": "completed"}, (404, 20404)),
        ("completed", {"status": "completed"}, (404, 20404)),
        ("completed", {"twiml": "<Response/>"}, (404, 20404)),
        ("ringing", {"twiml": "<Response/>"}, (400, 21220)),
        ("in-progress", {"status": "canceled"}, (400, 21220)),
        ("in-progress", {"status": "ringing"}, (400, 20001)),
        ("in-progress", {"url": "/relative"}, (400, 21205)),
        ("in-progress", {"twiml": "<Response>"}, (400, 20001)),
        ("in-progress", {"twiml": "<Response/>", "url": "https://host.example"}, (400, 20001)),
        ("in-progress", {"twiml": twiml_of(4001)}, (400, 32018)),
        ("in-progress", {}, (400, 20001)),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_takes_the_double_s_refusals_for_twilio_s(
    status: Any, update: dict[str, str], told: tuple[int, int]
) -> None:
    async with client() as (call, double):
        if status is not None:
            double.put(RestCall(sid=SID, status=status))
        with pytest.raises(TwilioRestException) as caught:
            await done(lambda: call.update(**update))

    assert (caught.value.status, caught.value.code) == told
    assert [record.code for record in double.records] == [told[1]]


async def test_the_longest_twiml_is_taken() -> None:
    async with client() as (call, double):
        double.put(RestCall(sid=SID))
        await done(lambda: call.update(twiml=twiml_of(4000)))

        assert len(double.calls()[0].twiml) == 4000


async def test_a_call_that_is_over_can_be_refused_as_the_error_pages_have_it() -> None:
    async with client(over=21220) as (call, double):
        double.put(RestCall(sid=SID, status="completed"))
        with pytest.raises(TwilioRestException) as caught:
            await done(lambda: call.update(status="completed"))

    assert (caught.value.status, caught.value.code) == (400, 21220)


@pytest.mark.parametrize(("user", "password"), [(ACCOUNT, "wrong"), ("AC" + "3" * 32, TOKEN), (KEY, TOKEN)])
async def test_wrong_credentials_are_refused(user: str, password: str) -> None:
    async with client(user, password) as (call, double):
        double.put(RestCall(sid=SID))
        with pytest.raises(TwilioRestException) as caught:
            await done(call.fetch)

    assert (caught.value.status, caught.value.code) == (401, 20003)
    assert "wrong" not in repr(double.stats())


async def test_faults_hit_as_many_requests_as_they_say() -> None:
    async with client() as (call, double):
        double.put(RestCall(sid=SID))
        double.inject(TwilioFault(kind=TwilioFaultKind.REFUSE, code=20429, times=1))
        with pytest.raises(TwilioRestException) as caught:
            await done(call.fetch)
        found = await done(call.fetch)

    assert (caught.value.status, caught.value.code, found.status) == (429, 20429, "in-progress")
