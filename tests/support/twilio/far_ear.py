"""The caller's ear at the far end of a network, and Twilio between: real parts of the double, without sockets."""

from __future__ import annotations

import asyncio
import random

from batkol.calls.playout import Playout
from batkol.simulators.twilio.checks import Cleared, Command, MarkAsked, Sound, TwilioBuffer, Violation, inspect
from batkol.simulators.twilio.ear import Ear
from batkol.simulators.twilio.network import OneWay

SID = "MZ" + "0" * 32
TICK_S = 0.020


class FarEar:
    """Twilio and the ear behind it, on the running loop. Marks come back with a frame, as the double's do."""

    def __init__(
        self,
        playout: Playout,
        *,
        delay_s: float = 0.0,
        jitter_s: float = 0.0,
        holds_s: float = 0.0,
        echoes: bool = True,
        seed: int = 0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._playout = playout
        self._echoes = echoes
        self._pending = 0
        self._takes = asyncio.Event()
        self._takes.set()
        self._buffer = TwilioBuffer(holds_s=holds_s)
        draw = random.Random(seed)
        self._to_twilio: OneWay[str] = OneWay(self._take, delay_s=delay_s, jitter_s=jitter_s, draw=draw)
        self._to_service: OneWay[str] = OneWay(self._return, delay_s=delay_s, jitter_s=jitter_s, draw=draw)
        self.ear = Ear(clock=self._loop.time)
        self.written: list[tuple[float, Command]] = []
        """What the service wrote, and when."""
        self.heard_at_clears: list[int] = []
        """Samples that the ear had heard, in all, when each `clear` took effect."""
        self.marks: list[str] = []
        """Marks of users that came back."""

    def hold(self) -> None:
        """Take nothing that is written from now on: the network stands still, and every buffer is full."""
        self._takes.clear()

    def go_on(self) -> None:
        """Take it again."""
        self._takes.set()

    async def send(self, text: str) -> None:
        """Take what the service writes."""
        await self._takes.wait()
        command = inspect(text, SID)
        assert not isinstance(command, Violation), command
        self.written.append((self._loop.time(), command))
        self._to_twilio.send(text)

    def _take(self, text: str) -> None:
        now = self._loop.time()
        match inspect(text, SID):
            case Sound(mulaw):
                assert self._buffer.append(len(mulaw), now)
                self.ear.append(mulaw, self._buffer.ends_at - len(mulaw) / 8000)
            case MarkAsked(name):
                self._buffer.mark(name, now)
                self._pending += 1
            case Cleared():
                self._buffer.clear(now)
                self.ear.clear(now)
                self.heard_at_clears.append(len(self.ear.heard))
        self._echo_due()

    def _echo_due(self) -> None:
        for name in self._buffer.due(self._loop.time()):
            self._pending -= 1
            self._to_service.send(name)
        if self._pending:
            self._loop.call_later(TICK_S, self._echo_due)

    def _return(self, name: str) -> None:
        if self._echoes and self._playout.acknowledge_mark(name):
            self.marks.append(name)

    @property
    def described(self) -> list[str]:
        """What was written: `clear`, the names of users' marks, and how many samples of sound in a row."""
        found: list[str | int] = []
        for _, command in self.written:
            match command:
                case Sound(mulaw):
                    if found and isinstance(found[-1], int):
                        found[-1] += len(mulaw)
                    else:
                        found.append(len(mulaw))
                case Cleared():
                    found.append("clear")
                case MarkAsked(name) if not name.startswith("batkol-"):
                    found.append(name)
        return [str(item) for item in found]
