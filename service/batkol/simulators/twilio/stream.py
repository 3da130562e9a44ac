"""One media stream of a simulated call: dials as Twilio does, speaks in real time, listens and plays.

One task speaks and one listens. Pacing is by the monotonic clock from the first frame, so a late frame does
not make the next ones late, and a machine that was busy catches up as a network does.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Mapping
from functools import partial
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.protocol import State

from batkol.audio.mulaw import silence
from batkol.simulators.twilio.checks import MOST_MARKS, Cleared, MarkAsked, Sound, TwilioBuffer, Violation, inspect
from batkol.simulators.twilio.handset import FRAME, Handset
from batkol.simulators.twilio.handshake import CallerConnection, Dial, HandshakeFailed, handshake_code
from batkol.simulators.twilio.network import OneWay
from batkol.simulators.twilio.plan import CallEnding, CallPlan, CallReport, StreamEnd, new_sid
from batkol.simulators.twilio.signature import sign
from batkol.simulators.twilio.wire import CONNECTED, TwilioWire

_SILENCE: Final = silence(FRAME)
_GRID: Final = 0.002  # seconds; calls begin on it, so that a process with a hundred wakes up for ten at a time
_CATCH_UP: Final = 10  # frames sent without letting the others run
_BACKLOG: Final = 32 << 10  # bytes; a service that reads so slowly (31930) is waited for
_BREATH: Final = 0.020  # seconds of that
_LONGEST_MESSAGE: Final = 16 << 20  # bytes; ten minutes of sound are 6.4 MB in base64


class CallerStream:
    """`run` returns when the stream is over. Cancelling it aborts the connection."""

    def __init__(
        self, plan: CallPlan, handset: Handset, report: CallReport, started: asyncio.Event, *, sid: str = ""
    ) -> None:
        """`sid` is that of the stream; by default a new one."""
        self.sid = sid or new_sid("MZ")
        self._plan = plan
        self._handset = handset
        self._report = report
        self._started = started  # set with the first frame, for a script that speaks then
        self._wire = TwilioWire(stream_sid=self.sid, call_sid=plan.call_sid, account_sid=plan.account_sid)
        self._playout = TwilioBuffer(speed=plan.speed, holds_s=plan.buffer_ms / 1000)
        self._random = random.Random(plan.seed)
        self._keys = sorted(plan.dtmf, reverse=True)  # the next one last
        self._frame_s = plan.frame_s
        self._jitter_s = plan.jitter_ms / 1000
        self._number = 0  # of the next frame
        self._due = 0.0  # when it is to be sent, monotonic seconds
        self._quiet = 0  # frames since the last one with sound of the caller
        self._begun = 0.0  # when the first one was due
        self._line = handset.line
        self.lingers = False
        """Whether it goes on, in silence, when the call has moved on: no `stop` is sent until the call ends."""
        self._to_service: OneWay[str]
        self._to_twilio: OneWay[str | bytes]
        self._timer: asyncio.TimerHandle
        self._finished: asyncio.Future[None]
        self._leaving = False
        self._over = False

    async def dial(self, url: str) -> ClientConnection:
        """Open the WebSocket. Raises `HandshakeFailed`, with Twilio's number for the reason in the report."""
        url = self._dialled(url)
        headers = {}
        if self._plan.auth_token is not None:
            headers["x-twilio-signature"] = sign(self._plan.auth_token, url)
        try:
            return await Dial(
                self._plan.route(url),
                additional_headers=headers,
                user_agent_header="Twilio.TmeWs/1.0",
                compression=None,
                proxy=None,
                ping_interval=None,
                open_timeout=self._plan.open_timeout,
                max_size=_LONGEST_MESSAGE,
                create_connection=CallerConnection,
            )
        except (OSError, InvalidHandshake, InvalidURI) as error:
            if isinstance(error, InvalidStatus):
                self._report.handshake_status = error.response.status_code
            raise self._failed(handshake_code(error), f"no stream ({type(error).__name__})") from error

    @property
    def moved_on(self) -> bool:
        """Whether the call has moved on to another stream."""
        return self._line != self._handset.line

    @property
    def _is_heard(self) -> bool:
        """Whether the caller listens to this stream, and to no later one."""
        return not (self._leaving or self.moved_on)

    async def run(self, ws: ClientConnection, parameters: Mapping[str, str]) -> None:
        """Hold the conversation until either side ends it."""
        self._report.streams += 1
        self._report.stream_sid = self.sid
        self._report.ear.clear(time.monotonic())  # the sound of an earlier stream
        delay_s, draw = self._plan.delay_ms / 1000, random.Random(self._plan.seed)
        self._to_service = OneWay(partial(_write, ws), delay_s=delay_s, draw=draw)  # jitter is in the frames' times
        self._to_twilio = OneWay(self._on_message, delay_s=delay_s, jitter_s=self._jitter_s, draw=draw)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(ws), name="caller.listen")
                await self._speak(ws, parameters)
        finally:
            self._to_service.close()
            self._to_twilio.close()
            if not self.moved_on:
                self._report.ear.clear(time.monotonic())
            if ws.state is not State.CLOSED:  # we were cancelled
                ws.transport.abort()

    def _dialled(self, url: str) -> str:
        scheme, _, _ = url.partition("://")
        if scheme != "wss" and not (scheme == "ws" and self._plan.public_base.startswith("http://")):
            raise self._failed(31922, f"a stream's URL must be wss://, not {scheme}://")
        path, question, _ = url.partition("?")
        if question:
            self._report.complain(31920, "the stream's URL has a query string, which Twilio drops")
        return path

    def _failed(self, code: int, text: str) -> HandshakeFailed:
        self._report.complain(code, text)
        return HandshakeFailed(text)

    async def _speak(self, ws: ClientConnection, parameters: Mapping[str, str]) -> None:
        try:
            await ws.send(CONNECTED)
            await ws.send(self._wire.start(parameters))
            await self._send_frames(ws)
            await self._to_service.delivered()
            if self._over:
                return
            self._leaving = True
            if not self.moved_on:
                self._report.ear.clear(time.monotonic())
            if self._plan.ending is CallEnding.ABRUPT and not (self.moved_on or self._handset.ended_by_rest):
                ws.transport.abort()
            else:
                await ws.send(self._wire.stop())
                await ws.close()
        except ConnectionClosed:
            return  # the listening task has seen it too, and reports who closed

    async def _send_frames(self, ws: ClientConnection) -> None:
        """Send until the call ends. A timer per frame and no task: a hundred calls are five thousand a second."""
        begun = math.ceil(time.monotonic() / _GRID) * _GRID
        self._begun = self._report.media_start = self._due = begun
        self._started.set()
        self._finished = asyncio.get_running_loop().create_future()
        self._arm(ws)
        try:
            await self._finished
        finally:
            self._timer.cancel()

    def _arm(self, ws: ClientConnection) -> None:
        behind = ws.transport.get_write_buffer_size() > _BACKLOG
        delay = _BREATH if behind else max(0.0, self._due - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick, ws)

    def _tick(self, ws: ClientConnection) -> None:
        try:
            if self._send_due(ws):
                self._arm(ws)
            elif not self._finished.done():
                self._finished.set_result(None)
        except Exception as error:  # noqa: BLE001 - the loop would only log it; the waiting task must get it
            if not self._finished.done():
                self._finished.set_exception(error)

    def _send_due(self, ws: ClientConnection) -> bool:
        """Send the frames that are due, a few if this machine was busy; false when the stream is to end."""
        for _ in range(_CATCH_UP):
            now = time.monotonic()
            if now < self._due or ws.transport.get_write_buffer_size() > _BACKLOG:
                break
            if self._over or self._ends():
                return False
            self._report.latest = max(self._report.latest, now - self._due)
            self._send_frame(now)
            self._number += 1
            self._due = self._begun + self._number * self._frame_s
            if self._jitter_s:
                self._due += self._random.random() * self._jitter_s
        return True

    def _ends(self) -> bool:
        plan, handset = self._plan, self._handset
        if (
            handset.hung_up
            or (self.moved_on and not self.lingers)
            or (plan.hangup is not None and plan.hangup.is_set())
        ):
            return True
        if plan.ending is CallEnding.SERVER or handset.held or self.moved_on:
            return False
        return handset.silent and self._quiet * 20 >= plan.tail_ms

    def _send_frame(self, now: float) -> None:
        """Send what belongs to this frame's time: due echoes, keys, and 20 ms of sound."""
        plan, wire, ms = self._plan, self._wire, self._number * 20
        for name in self._playout.due(now):
            self._report.marks.append(name)
            self._to_service.send(wire.mark(name))
        while self._keys and self._keys[-1][0] <= ms:
            self._to_service.send(wire.dtmf(self._keys.pop()[1]))
        while self._handset.keys:
            self._to_service.send(wire.dtmf(self._handset.keys.popleft()))
        if plan.holds and _within(ms, plan.holds):
            return
        sound = None if self.moved_on else self._handset.next_frame(self._number * FRAME, now)
        self._quiet = self._quiet + 1 if sound is None else 0
        if plan.gaps and _within(ms, plan.gaps):
            wire.lose()
            return
        self._report.frames_sent += 1
        self._to_service.send(wire.media(sound or _SILENCE, ms))

    async def _listen(self, ws: ClientConnection) -> None:
        try:
            async for message in ws:
                self._to_twilio.send(message)
        except ConnectionClosed:
            pass  # without a close frame, or with an error's code: `_settle` decides which
        finally:
            self._over = True
        await self._to_twilio.delivered()
        self._settle(ws)

    def _on_message(self, message: str | bytes) -> None:
        report, playout, now = self._report, self._playout, time.monotonic()
        match inspect(message, self.sid):
            case Sound(mulaw):
                if not playout.playing(now):
                    report.replies_at.append(now)
                report.received += mulaw
                if playout.append(len(mulaw), now):
                    if self._is_heard:
                        report.ear.append(mulaw, playout.ends_at - len(mulaw) / (8000 * self._plan.speed))
                else:
                    report.complain(31931, "more than ten minutes of sound are buffered; the rest is thrown away")
            case MarkAsked(name):
                if not playout.mark(name, now):
                    report.complain(31931, f"more than {MOST_MARKS} marks are waiting; the rest is dropped")
            case Cleared():
                playout.clear(now)
                report.clears += 1
                if self._is_heard:
                    report.ear.clear(now)
            case Violation(code, text):
                report.complain(code, text)

    def _settle(self, ws: ClientConnection) -> None:
        report, protocol = self._report, ws.protocol
        if self.moved_on:
            report.left_codes.append(ws.close_code)
            return
        report.ends.append(StreamEnd("caller" if self._leaving else "server", ws.close_code, ws.close_reason or ""))
        if self._leaving:
            return
        if protocol.close_rcvd is None and protocol.close_sent is not None:
            report.complain(31924, f"the service's WebSocket broke the protocol ({protocol.close_sent.code})")
        elif protocol.close_rcvd is None:
            report.complain(31903, "the service's connection was lost without a close frame")


def _write(ws: ClientConnection, text: str) -> None:
    """Send a message at once: `ws.send` costs as much again as the frame, fifty times a second per call."""
    if ws.state is State.OPEN:
        ws.protocol.send_text(text.encode())
        ws.send_data()


def _within(ms: int, stretches: tuple[tuple[int, int], ...]) -> bool:
    return any(at <= ms < at + length for at, length in stretches)
