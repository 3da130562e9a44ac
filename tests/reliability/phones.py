"""The callers of a trial: the polite one of the simulators, and one whose clock and numbering go wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.simulators.twilio.caller import Caller
from batkol.simulators.twilio.plan import CallPlan, new_sid
from reliability.scenario import Talk
from support.service.stack import PUBLIC, TOKEN, Stack
from support.twilio import dialing

_FRAME = 160


class Phone(Protocol):
    """One call."""

    call_sid: str
    started: asyncio.Event

    @property
    def media_start(self) -> float:
        """When the first frame went out, monotonic seconds."""
        ...

    async def run(self) -> list[str]:
        """Hold the call; return what Twilio would complain of."""
        ...

    def hang_up(self) -> None: ...


class PolitePhone:
    """Twilio to the letter."""

    def __init__(self, talk: Talk, base_url: str) -> None:
        plan = CallPlan(
            base_url=base_url,
            public_url=PUBLIC,
            auth_token=TOKEN,
            audio=talk.audio,
            holds=talk.holds,
            gaps=talk.gaps,
            jitter_ms=talk.jitter_ms,
            ending=talk.ending,
        )
        self.call_sid = plan.call_sid
        # A connection that has idled for about as long as the server bears must not be used again: that is a race.
        limits = httpx.Limits(keepalive_expiry=1.0)
        self._http = httpx.AsyncClient(limits=limits, trust_env=False, verify=False, timeout=plan.open_timeout)
        self._caller = Caller(plan, http=self._http)
        self.started = self._caller.started

    @property
    def media_start(self) -> float:
        return self._caller.report.media_start

    async def run(self) -> list[str]:
        async with self._http:
            report = await self._caller.run()
        return [f"Twilio {violation.code}: {violation.text}" for violation in report.violations]

    def hang_up(self) -> None:
        self._caller.hang_up()


class OddPhone:
    """A stream whose timestamps jump or whose sequence numbers skip, as `talk.jumps` and `talk.skips` say."""

    def __init__(self, talk: Talk, up: Stack) -> None:
        self._talk = talk
        self._up = up
        self.call_sid = new_sid("CA")
        self.started = asyncio.Event()
        self.media_start = 0.0
        self._gone = False

    def hang_up(self) -> None:
        self._gone = True

    async def run(self) -> list[str]:
        parameters = await dialing.ask_for_twiml(self._up, self.call_sid)
        async with dialing.socket(self._up) as ws:
            await ws.send(dialing.connected())
            await ws.send(dialing.start(self.call_sid, parameters))
            self.media_start = time.monotonic()
            self.started.set()
            listening = asyncio.create_task(_listen(ws))  # what is not read holds back the close as well
            with suppress(ConnectionClosed):  # the service may end the call; what it closed with is seen below
                await self._speak(ws)
                await ws.send(dialing.stop(self.call_sid))
            async with asyncio.timeout(20):
                await ws.wait_closed()
            with suppress(ConnectionClosed):
                await listening
        return [] if ws.close_code in (1000, 1001) else [f"the stream was closed with {ws.close_code}"]

    async def _speak(self, ws: ClientConnection) -> None:
        audio = self._talk.audio
        for number in range(len(audio) // _FRAME):
            if self._gone:
                break
            await asyncio.sleep(max(0.0, self.media_start + number * 0.020 - time.monotonic()))
            await ws.send(self._media(number, audio[number * _FRAME : (number + 1) * _FRAME]))

    def _media(self, number: int, audio: bytes) -> str:
        ms = number * 20
        shift = sum(by for at, by in self._talk.jumps if at <= ms)
        skipped = sum(count for at, count in self._talk.skips if at <= ms)
        chunk: dict[str, Any] = {
            "track": "inbound",
            "chunk": str(number + 1),
            "timestamp": str(max(0, ms + shift)),
            "payload": base64.b64encode(audio).decode(),
        }
        sequence = str(number + 2 + skipped)
        return json.dumps({"event": "media", "sequenceNumber": sequence, "streamSid": "MZ1", "media": chunk})


async def _listen(ws: ClientConnection) -> None:
    """Play what comes by the clock, and send a mark back when what is before it has been played, until the end."""
    loop = asyncio.get_running_loop()
    marks: deque[tuple[asyncio.TimerHandle, str]] = deque()
    sending: set[asyncio.Task[None]] = set()
    played_by = 0.0

    def echo(text: str) -> None:
        sending.add(task := asyncio.ensure_future(_send(ws, text)))
        task.add_done_callback(sending.discard)

    async for message in ws:
        received = json.loads(message)
        match received["event"]:
            case "media":
                samples = len(base64.b64decode(received["media"]["payload"]))
                played_by = max(played_by, loop.time()) + samples / SAMPLE_RATE
            case "mark":
                text = dialing.mark(1, received["mark"]["name"])
                marks.append((loop.call_at(played_by, echo, text), text))
            case "clear":
                played_by = loop.time()
                for timer, text in marks:
                    if timer.when() > played_by and not timer.cancelled():
                        timer.cancel()
                        echo(text)
                marks.clear()
    for timer, _ in marks:
        timer.cancel()


async def _send(ws: ClientConnection, text: str) -> None:
    with suppress(ConnectionClosed):
        await ws.send(text)


def phone(talk: Talk, up: Stack, base_url: str) -> Phone:
    """Return the one that the talk needs."""
    return OddPhone(talk, up) if talk.jumps or talk.skips else PolitePhone(talk, base_url)
