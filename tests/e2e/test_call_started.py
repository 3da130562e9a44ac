"""What `call.started` says of a stream, from TwiML to the subscriber."""

from __future__ import annotations

from pathlib import Path

from batkol.events.events import CallStarted
from support.service.stack import stack
from support.twilio.dialing import ask_for_twiml, connected, socket, start

SID = "CA" + "0" * 32


async def test_the_ends_and_the_users_parameters_reach_the_subscriber_and_the_services_own_do_not(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path) as up:
        own = await ask_for_twiml(up, SID)
        async with socket(up) as ws:
            await ws.send(connected())
            await ws.send(start(SID, {**own, "tenant": "a", "שם": "דנה"}))
            await up.heard.until(lambda: up.heard.of(SID, CallStarted))

    (began,) = up.heard.of(SID, CallStarted)
    assert {"token", "from", "to", "direction", "agent", "stream"} <= own.keys()
    assert (began.from_, began.to, began.stream) == ("+972500000001", "", 1)
    assert began.parameters == {"tenant": "a", "שם": "דנה"}
    assert began.id == f"{began.stream_sid}-1"
