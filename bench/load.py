"""The callers: N calls that talk for as long as it takes, in a process and on a core of their own.

A call comes about as the simulated Twilio caller's does (signed webhook or not, TwiML, handshake, `start`); only the
pacing is the benchmark's own. One timer serves all calls: they stand on a grid of ten slots in each 20 ms, and every
message is written to the socket where it is due.

Says on its standard output when the measured window opens and closes, and writes down what was said, when each message
went, and every event that the service published.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import uvloop
from websockets.asyncio.client import ClientConnection
from websockets.protocol import State
from websockets.speedups import apply_mask

from batkol.simulators.twilio.handset import Handset
from batkol.simulators.twilio.plan import CallPlan, CallReport
from batkol.simulators.twilio.stream import CallerStream
from batkol.simulators.twilio.webhook import ConnectStream, Webhook
from batkol.simulators.twilio.wire import CONNECTED, TwilioWire
from speech import Script, script

FRAME: Final = 160
FRAME_S: Final = 0.020
_SLOTS: Final = 10


class Plan(msgspec.Struct):
    """The orders for a run of the load."""

    base_url: str
    calls: int
    seconds: float  # of the window
    out: str
    events: tuple[str, int] | None = None  # where the service's events are read
    ramp_s: float = 4.0  # in which the calls begin, evenly
    warm_s: float = 3.0  # from the last call's beginning to the window
    after_s: float = 0.0  # calls go on after the window


class PlacedCall(msgspec.Struct):
    """One call, as the caller saw it."""

    call_sid: str
    number: int
    words: list[tuple[str, int, int]]
    utterances: list[tuple[int, int, int]]
    sent: list[float]  # monotonic seconds, of each message


class Result(msgspec.Struct):
    """The result of a run of the load. Times are monotonic seconds."""

    window: tuple[float, float]
    wall_minus_monotonic: float
    late_s: float  # the worst lateness of a message in the window
    duty: float  # share of the time the callers speak
    calls: list[PlacedCall]
    events: list[tuple[float, msgspec.Raw]]  # when it was read, and the event


class Line:
    """One call that is up."""

    def __init__(self, number: int, ws: ClientConnection, wire: TwilioWire, spoken: Script, call_sid: str) -> None:
        self.number = number
        self.call_sid = call_sid
        self.spoken = spoken
        self.sent: list[float] = []
        self._ws = ws
        self._wire = wire
        self._mask = os.urandom(4)
        self.frames = len(spoken.audio) // FRAME
        self.over = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        """Read what the service plays, and send its marks back: a peer that reads nothing would stop the service."""
        async for text in self._ws:
            if '"mark"' in str(text):
                await self._ws.send(self._wire.mark(msgspec.json.decode(text)["mark"]["name"]))

    def send(self, now: float) -> None:
        """Send the next 20 ms, or find that all has been said."""
        at = len(self.sent)
        if at >= self.frames or self._ws.state is not State.OPEN:
            if not self.over.done():
                self.over.set_result(None)
            return
        text = self._wire.media(self.spoken.audio[at * FRAME : (at + 1) * FRAME], at * 20).encode()
        head = b"\x81\xfe" + len(text).to_bytes(2) + self._mask  # RFC 6455, 5.2
        self._ws.transport.write(head + apply_mask(text, self._mask))
        self.sent.append(now)

    async def hang_up(self) -> None:
        if self._ws.state is State.OPEN:
            await self._ws.send(self._wire.stop())
        await self._ws.close()
        await asyncio.wait((self._listening,))


class Pacer:
    """Fifty frames a second of every line, by the monotonic clock."""

    def __init__(self) -> None:
        self._slots: list[list[Line]] = [[] for _ in range(_SLOTS)]
        self._tick = 0
        self._began = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(0, self._run)
        self.late_s = 0.0

    def join(self, line: Line) -> None:
        self._slots[line.number % _SLOTS].append(line)

    def leave(self, line: Line) -> None:
        self._slots[line.number % _SLOTS].remove(line)

    def stop(self) -> None:
        self._timer.cancel()

    def _run(self) -> None:
        now = time.monotonic()
        while (due := self._began + self._tick * FRAME_S / _SLOTS) <= now:
            self.late_s = max(self.late_s, now - due)
            for line in self._slots[self._tick % _SLOTS]:
                line.send(now)
            self._tick += 1
            now = time.monotonic()
        self._timer = self._loop.call_later(max(0.0, due - now), self._run)


async def follow(host: str, port: int, events: list[tuple[float, bytes]]) -> None:
    """Read the service's event stream, and keep each event with the time it came. Parsed when all is over."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET /v1/events HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n".encode())
        while line := await reader.readline():
            if line.startswith(b"data: "):
                events.append((time.monotonic(), line[6:].strip()))
    finally:
        writer.close()


async def dial(plan: Plan, number: int, http: httpx.AsyncClient, spoken: Script) -> Line:
    """Place a call up to its `start` message."""
    call = CallPlan(base_url=plan.base_url, status_path=None)
    report = CallReport(call_sid=call.call_sid, frame_s=call.frame_s)
    verbs = await Webhook(http, call, report).ask(call.public_base + call.voice_path)
    order = next((verb for verb in verbs if isinstance(verb, ConnectStream)), None)
    if order is None:
        raise SystemExit(f"the service did not connect call {number}: it answered {verbs}")
    stream = CallerStream(call, Handset(), report, asyncio.Event())
    ws = await stream.dial(order.url)
    wire = TwilioWire(stream_sid=stream.sid, call_sid=call.call_sid, account_sid=call.account_sid)
    await ws.send(CONNECTED)
    await ws.send(wire.start(order.parameters))
    return Line(number, ws, wire, spoken, call.call_sid)


async def drive(plan: Plan) -> Result:
    """Place the calls, hold the window, and return what happened."""
    length = plan.ramp_s + plan.warm_s + plan.seconds + plan.after_s + 1
    scripts = [script(number, length) for number in range(plan.calls)]
    events: list[tuple[float, bytes]] = []
    reading = asyncio.create_task(follow(*plan.events, events)) if plan.events else None
    pacer = Pacer()
    lines: list[Line] = []

    async def live(number: int) -> None:
        await asyncio.sleep(plan.ramp_s * number / plan.calls)
        line = await dial(plan, number, http, scripts[number])
        lines.append(line)
        pacer.join(line)
        await line.over
        pacer.leave(line)
        await line.hang_up()

    async with httpx.AsyncClient(trust_env=False, timeout=30) as http, asyncio.TaskGroup() as tasks:
        for number in range(plan.calls):
            tasks.create_task(live(number))
        while len(lines) < plan.calls:
            await asyncio.sleep(0.02)
        await asyncio.sleep(plan.warm_s)
        pacer.late_s, opened = 0.0, time.monotonic()
        print("open", flush=True)
        await asyncio.sleep(plan.seconds)
        late, closed = pacer.late_s, time.monotonic()
        print("close", flush=True)
    pacer.stop()
    await asyncio.sleep(3)  # the last finals
    if reading is not None:
        reading.cancel()
    return Result(
        window=(opened, closed),
        wall_minus_monotonic=time.time() - time.monotonic(),
        late_s=late,
        duty=sum(one.duty for one in scripts) / len(scripts),
        calls=[_placed(line) for line in lines],
        events=[(at, msgspec.Raw(event)) for at, event in events],
    )


def _placed(line: Line) -> PlacedCall:
    spoken = line.spoken
    words = [(word.text, word.start, word.end) for word in spoken.words]
    return PlacedCall(line.call_sid, line.number, words, list(spoken.utterances), line.sent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", help="a Plan as JSON")
    plan: Plan = msgspec.json.decode(parser.parse_args().plan, type=Plan)
    result: Any = uvloop.run(drive(plan))
    Path(plan.out).write_bytes(msgspec.json.encode(result))
    print("done", flush=True)


if __name__ == "__main__":
    main()
