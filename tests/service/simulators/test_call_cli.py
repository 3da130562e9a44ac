"""`batkol call` with TwiML of the account's own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from batkol.simulators.call_cli import NothingToSay, twiml_of
from batkol.simulators.twilio.own_twiml import filled_in
from batkol.simulators.twilio.plan import CallPlan
from batkol.simulators.twilio_rest.client import TwilioDoubleError, follow_updates, put_status
from batkol.simulators.twilio_rest.control import serve_twilio_control
from batkol.simulators.twilio_rest.server import TwilioDouble
from support.http.one_answer import answering, http
from support.time.waiting import until

CONNECTED = '<Connect><Stream url="ws://127.0.0.1:9/twilio/media">'


def test_twiml_of_the_account_s_own_is_made_of_what_is_asked_for(tmp_path: Path) -> None:
    bin_ = tmp_path / "bin.xml"
    bin_.write_text("<Response/>")
    base = "http://127.0.0.1:9"

    assert twiml_of(base, None, "", (), asked=False) == ""
    assert f"{CONNECTED}</Stream>" in twiml_of(base, None, "", (), asked=True)
    assert f'{CONNECTED}<Parameter name="secret" value="s"/><Parameter name="a" value="b=c"/></Stream>' in twiml_of(
        base, None, "s", ("a=b=c",), asked=False
    )
    assert f'<Redirect method="POST">{base}/twilio/voice</Redirect>' in twiml_of(base, None, "s", (), asked=False)
    assert twiml_of(base, bin_, "", (), asked=False) == "<Response/>"
    with pytest.raises(NothingToSay, match="cannot be read"):
        twiml_of(base, tmp_path / "none", "", (), asked=False)
    with pytest.raises(NothingToSay, match="NAME=VALUE"):
        twiml_of(base, None, "", ("a",), asked=False)


def test_a_bin_s_template_is_filled_in_with_the_call() -> None:
    plan = CallPlan(
        base_url="http://a",
        caller='sip:"a"@b',
        called="+2",
        call_sid="CA1",
        own_twiml="{{From}} {{ To }} {{CallSid}} {{x}}.",
    )

    assert filled_in(plan) == "sip:&quot;a&quot;@b +2 CA1 ."


async def test_a_control_port_that_is_none_is_named() -> None:
    plan = CallPlan(base_url="http://a")
    await put_status("", plan, "in-progress")
    with pytest.raises(TwilioDoubleError, match="does not answer"):
        await put_status("http://127.0.0.1:9", plan, "in-progress")
    async with answering(http("404 Not Found", b"")) as (url, _):
        with pytest.raises(TwilioDoubleError, match="answered 404"):
            await put_status(url, plan, "in-progress")


async def test_the_updates_of_a_call_that_the_double_takes_are_followed_to_its_end() -> None:
    plan, updates = CallPlan(base_url="http://a"), list[dict[str, str]]()
    async with TwilioDouble() as double:
        await double.start()
        control = await serve_twilio_control(double, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{control.sockets[0].getsockname()[1]}"
        await put_status(url, plan, "in-progress")
        following = asyncio.create_task(follow_updates(url, plan.call_sid, lambda each: updates.append(dict(each))))
        [call] = double.calls()
        for number, change in enumerate(({"twiml": "<Response/>"}, {"url": "http://b"}, {"status": "completed"})):
            call = msgspec.structs.replace(call, **change)
            double.put(call)
            await until(lambda number=number: len(updates) > number)  # type: ignore[misc]
        await following
        control.close()

    assert updates == [{"Twiml": "<Response/>"}, {"Url": "http://b"}, {"Status": "completed"}]
    await follow_updates("", plan.call_sid, lambda _: None)
