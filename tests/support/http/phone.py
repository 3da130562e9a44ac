"""The phone of the console without the page: it does with `/v1/phone` what the page does, as strictly as Twilio."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from batkol.simulators.twilio.handset import Handset
from batkol.simulators.twilio.plan import CallEnding, CallPlan, CallReport
from batkol.simulators.twilio.stream import CallerStream

PROTOCOL: Final = "batkol.phone"


def bearer(token: str) -> str:
    """Return the subprotocol with the token."""
    return "bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


@asynccontextmanager
async def dialled(
    port: int,
    token: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] | None = None,
    path: str = "/v1/phone",
) -> AsyncIterator[ClientConnection]:
    """Open the socket as a browser does. Raises what `websockets` does for a refused handshake."""
    offered = [PROTOCOL, *([bearer(token)] if token else [])] if subprotocols is None else list(subprotocols)
    async with connect(
        f"ws://127.0.0.1:{port}{path}",
        subprotocols=[Subprotocol(each) for each in offered] or None,
        additional_headers=dict(headers or {}),
        compression=None,
        proxy=None,
        max_size=16 << 20,
    ) as ws:
        yield ws


def start(connected: Mapping[str, str], parameters: Mapping[str, str] | None = None, **details: Any) -> str:
    """Return the page's `start` for the service's `connected`."""
    of_start = {
        "streamSid": connected["streamSid"],
        "callSid": connected["callSid"],
        "accountSid": connected["accountSid"],
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": dict(parameters or {}),
    }
    message = {"event": "start", "sequenceNumber": "1", "streamSid": connected["streamSid"]}
    return json.dumps({**message, "start": {**of_start, **details}})


@dataclass
class PhoneCall:
    """One call from the phone; `run` returns when it is over."""

    port: int
    token: str = ""
    audio: bytes = b""
    speed: float = 1.0
    parameters: Mapping[str, str] = field(default_factory=dict)
    ending: CallEnding = CallEnding.HANG_UP
    report: CallReport = field(init=False)
    handset: Handset = field(default_factory=lambda: Handset(held=True))
    started: asyncio.Event = field(default_factory=asyncio.Event)
    connected: dict[str, str] = field(default_factory=dict)

    @property
    def call_sid(self) -> str:
        return self.connected["callSid"]

    async def run(self, script: Callable[[PhoneCall], Any] | None = None) -> CallReport:
        """Call; with a script, until it has returned and all has been said."""
        async with dialled(self.port, self.token) as ws, asyncio.TaskGroup() as tasks:
            self.connected = json.loads(await ws.recv())
            plan = CallPlan(
                base_url="",
                call_sid=self.call_sid,
                account_sid=self.connected["accountSid"],
                speed=self.speed,
                ending=self.ending,
            )
            self.report = CallReport(call_sid=self.call_sid, frame_s=plan.frame_s)
            stream = CallerStream(plan, self.handset, self.report, self.started, sid=self.connected["streamSid"])
            if self.audio:
                self.handset.say(self.audio)
            tasks.create_task(self._script(script))
            await stream.run(ws, self.parameters)
        return self.report

    async def _script(self, script: Callable[[PhoneCall], Any] | None) -> None:
        await self.started.wait()
        if script is not None:
            await script(self)
        self.handset.held = False
