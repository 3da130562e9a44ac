"""The whole service that takes streams from TwiML of the user's own, with a double of Twilio's REST API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection

from batkol.app.patience import Patience
from batkol.simulators.twilio.plan import new_sid
from batkol.simulators.twilio_rest.calls import RestCall
from batkol.simulators.twilio_rest.server import TwilioDouble
from batkol.simulators.twilio_rest.settings import TwilioDoubleSettings
from support.service.stack import TOKEN, Stack, stack
from support.time.waiting import until
from support.twilio.dialing import ACCOUNT, connected, media, start

SECRET: Final = "0123456789abcdef0123456789abcdef"
IMPATIENT: Final = Patience(twilio_api=0.6)


@dataclass
class OwnTwiml:
    """The service and Twilio's REST API. `up.plan` dials with the stack's auth token, which is the double's too."""

    up: Stack
    rest: TwilioDouble

    def call(self, **fields: Any) -> str:
        """Put a call in progress; return its SID."""
        sid = new_sid("CA")
        self.rest.put(RestCall(sid=sid, **fields))
        return sid

    async def refused(self) -> dict[str, float]:
        """Return the calls refused so far, by reason."""
        async with httpx.AsyncClient(trust_env=False) as http:
            text = (await http.get(f"{self.up.internal}/metrics")).text
        samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
        counts = {each.labels["reason"]: each.value for each in samples if each.name == "batkol_calls_refused_total"}
        return {reason: count for reason, count in counts.items() if count}


@asynccontextmanager
async def own_twiml_stack(
    live: Path, *, patience: Patience = IMPATIENT, rest: TwilioDoubleSettings | None = None, **overrides: Any
) -> AsyncIterator[OwnTwiml]:
    """Bring both up. The check of the credentials at the start is over, and its request forgotten."""
    async with TwilioDouble(rest or TwilioDoubleSettings(auth_token=TOKEN)) as double:
        own: dict[str, Any] = {
            "stream_token": "optional",
            "twilio_account_sid": ACCOUNT,
            "twilio_api_url": await double.start(),
        }
        async with stack(live, patience=patience, **{**own, **overrides}) as up:
            if up.service.twilio_api is not None:
                await until(lambda: up.service.tasks.status()["twilio.check"].state == "idle")
            double.reset()
            yield OwnTwiml(up, double)


async def begin(ws: ClientConnection, call_sid: str, parameters: dict[str, str] | None = None, **fields: Any) -> None:
    """Send what Twilio sends first, and a little sound."""
    stream_sid = fields.get("stream_sid", "MZ1")
    await ws.send(connected())
    await ws.send(start(call_sid, parameters or {}, **fields))
    for number in range(1, 6):
        await ws.send(media(number, stream_sid=stream_sid))


async def close_code(ws: ClientConnection) -> int | None:
    """Return the code with which the service closes the socket."""
    async with asyncio.timeout(15):
        await ws.wait_closed()
    return ws.close_code
