"""A strict double of Soniox's real-time API: the real WebSocket, Soniox's limits, and ears for the synthetic voice.

What it plays is in `settings`, what it refuses in `rules`, what can go wrong in `faults`; from another process all is
steered over HTTP (`batkol.simulators.google.control`).

    async with SonioxDouble(SonioxDoubleSettings()) as double:
        url = await double.start()
        double.inject(SonioxFault(kind=SonioxFaultKind.HALF_OPEN, when=SonioxMoment.AUDIO, seconds=2))
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.simulators.double import FaultyDouble
from batkol.simulators.soniox import rules
from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind, SonioxMoment
from batkol.simulators.soniox.listener import SonioxListener
from batkol.simulators.soniox.rules import Rate, SonioxRefusalError
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.simulators.soniox.stats import SonioxSessionRecord, SonioxStats
from batkol.simulators.soniox.tokens import FIN

_LARGEST_MESSAGE: Final = 4 * 1024 * 1024
_MINUTE_S: Final = 60.0


class _Talk:
    """One socket: a task that reads, and the handler that answers when something is due."""

    def __init__(self, socket: ServerConnection, record: SonioxSessionRecord, double: SonioxDouble) -> None:
        self.listener = SonioxListener(
            double.settings,
            now=record.opened_at,
            draw=random.Random(f"{double.settings.seed}/{record.number}"),
        )
        self.record = record
        self._socket = socket
        self._double = double
        self._wake = asyncio.Event()
        self._armed = -math.inf

    def wake(self) -> None:
        """Something changed from outside: look again."""
        self._wake.set()

    async def run(self) -> str:
        """Answer until the session is over; return how it ended. Raises `SonioxRefusalError`, `ConnectionClosed`."""
        reading = asyncio.create_task(self._read(), name="soniox_double.read")
        listener = self.listener
        try:
            while True:
                for message in listener.tick(self._double.clock()):
                    await self._socket.send(msgspec.json.encode(message).decode())
                    self.record.responses += 1
                    if any(token["text"] == FIN for token in message["tokens"]):
                        self.record.fins_at.append(self._double.clock())
                if listener.finished:
                    return "finished"
                if listener.dropped or listener.half_open:
                    return await self._forsake(reading)
                await self._pause()
                if reading.done():
                    reading.result()
                    return "left"
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _forsake(self, reading: asyncio.Task[None]) -> str:
        """Break the connection; or leave it open with this end gone, until the client or the double ends."""
        if self.listener.dropped:
            self._socket.transport.abort()
            return "broken"
        reading.cancel()
        self._socket.transport.pause_reading()
        try:
            async with asyncio.timeout(self._double.settings.idle_s):
                await self._socket.wait_closed()
        except TimeoutError:
            self._double.release(self.record)  # Soniox has noticed by now; the client learns nothing of it
        await self._socket.wait_closed()
        return "broken"

    async def _pause(self) -> None:
        self._armed = self.listener.deadline
        timer = None
        if self._armed < math.inf:
            wait = max(0.0, self._armed - self._double.clock())
            timer = asyncio.get_running_loop().call_later(wait, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        self._armed = -math.inf
        if timer is not None:
            timer.cancel()

    async def _read(self) -> None:
        listener, record = self.listener, self.record
        try:
            async for message in self._socket:
                now = self._double.clock()
                if listener.start is None:
                    self._start(message, now)
                else:
                    self._take(message, now)
                if listener.deadline < self._armed:
                    self._wake.set()
        finally:
            record.record_words(listener.transcript.words, self._double.clock())
            self._wake.set()

    def _start(self, message: str | bytes, now: float) -> None:
        self._double.admit(now)
        start = rules.read_start(message, self._double.settings)
        self._double.count(self.record, message, now)
        self.listener.configure(start, now)

    def _take(self, message: str | bytes, now: float) -> None:
        listener, record = self.listener, self.record
        if not message:
            record.finished_at = now
        elif isinstance(message, str):
            control = rules.read_control(message)
            if control.type == "finalize":
                record.finalizes.append(record.audio_s)
                record.finalizes_at.append(now)
                record.trailing_ms.append(control.trailing_silence_ms or 0)
            record.keepalives += control.type == "keepalive"
        listener.receive(message, now)
        if isinstance(message, bytes) and message:
            record.received_audio(now, listener.samples / SAMPLE_RATE, record=self._double.settings.record)
        record.record_words(listener.transcript.words, now)


class SonioxDouble(FaultyDouble[SonioxFault, SonioxStats]):
    """The double in this process. Leaving the context stops it and ends what is under way. `clock` is in seconds."""

    def __init__(
        self, settings: SonioxDoubleSettings | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings or SonioxDoubleSettings()
        self.clock = clock
        super().__init__(SonioxStats, clock)
        self._server: Server | None = None
        self._rate = Rate(self.settings.requests_per_minute, _MINUTE_S)
        self._open: dict[int, _Talk] = {}
        self._befallen: dict[int, tuple[SonioxSessionRecord, tuple[SonioxFault, ...]]] = {}

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the URL of the API. Raises `OSError` if the port is taken."""
        self._server = await serve(
            self._serve,
            host,
            port,
            process_request=self._answer_handshake,
            compression=None,
            ping_interval=None,
            max_size=_LARGEST_MESSAGE,
            close_timeout=1,
        )
        return f"ws://{host}:{self._server.sockets[0].getsockname()[1]}{rules.PATH}"

    async def stop(self) -> None:
        """Break all connections, and close the port."""
        if self._server is None:
            return
        for socket in list(self._server.connections):
            socket.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    def reset(self) -> None:
        """See `FaultyDouble.reset`; requests of the last minute are forgotten, too."""
        super().reset()
        self._rate = Rate(self.settings.requests_per_minute, _MINUTE_S)

    def inject(self, *faults: SonioxFault) -> None:
        """Put faults in force: for sockets that open from now on, and with `running` for open ones too."""
        now = self.clock()
        for fault in faults:
            self._book.inject(fault, now)
            for talk in list(self._open.values()) if fault.running else ():
                if fault.befalls(talk.record.number):
                    at_once = msgspec.structs.replace(fault, when=SonioxMoment.ELAPSED, seconds=0.0)
                    talk.listener.arm((at_once if fault.when is SonioxMoment.OPEN else fault,), now)
                    talk.wake()

    @property
    def records(self) -> list[SonioxSessionRecord]:
        """The sockets since the start or the last reset, in their order."""
        return list(self._stats.records)

    def admit(self, now: float) -> None:
        """One more session begins. Raises `SonioxRefusalError` if it is one too many."""
        if not self._rate.allows(now):
            raise SonioxRefusalError(429, rules.TOO_OFTEN)
        if self._stats.sessions_open >= self.settings.sessions:
            raise SonioxRefusalError(429, rules.TOO_MANY)

    def count(self, record: SonioxSessionRecord, start: str | bytes, now: float) -> None:
        """Count a session that was admitted."""
        self._stats.started(record, msgspec.json.decode(start), now)

    def release(self, record: SonioxSessionRecord) -> None:
        """Free the place of a session whose end is not known to the client."""
        self._stats.ended(record, "broken", self.clock())

    # The wire

    def _answer_handshake(self, socket: ServerConnection, request: Request) -> Response | None:
        if request.path.partition("?")[0] != rules.PATH:
            return socket.respond(HTTPStatus.NOT_FOUND, "Not found\n")
        now = self.clock()
        record = self._stats.opened(str(socket.remote_address), now)
        faults = self._book.befall(lambda fault: fault.befalls(record.number), now)
        refused = next((fault for fault in faults if fault.kind is SonioxFaultKind.REFUSE), None)
        if refused is not None:
            self._stats.sockets_refused += 1
            self._stats.ended(record, str(refused.code), now)
            return socket.respond(HTTPStatus(refused.code), "Refused by the double\n")
        self._befallen[id(socket)] = record, faults
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        record, faults = self._befallen.pop(id(socket))
        stats = self._stats
        talk = _Talk(socket, record, self)
        self._open[record.number] = talk
        ending = "left"
        try:
            talk.listener.arm(faults, record.opened_at)
            talk.listener.strike(SonioxMoment.OPEN, record.opened_at)
            assert socket.request is not None  # noqa: S101 - for the type: it has been read
            rules.check_key(socket.request.headers, self.settings)
            ending = await talk.run()
        except SonioxRefusalError as refusal:
            ending = str(refusal.code)
            await self._refuse(socket, refusal)
        except ConnectionClosed:
            pass
        finally:
            self._open.pop(record.number, None)
            stats.ended(record, ending, self.clock())

    async def _refuse(self, socket: ServerConnection, refusal: SonioxRefusalError) -> None:
        message: dict[str, Any] = refusal.message
        try:
            await socket.send(msgspec.json.encode(message).decode())
        except ConnectionClosed:
            return
        await socket.close()
