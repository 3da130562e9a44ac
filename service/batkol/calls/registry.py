"""All live calls: who may come in, who is here, and how the last one leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

import structlog

from batkol.calls.call import Call
from batkol.telemetry.metrics import Metrics

HEARTBEAT_S: Final = 0.25
RESERVED_S: Final = 30.0
"""How long a place waits between the webhook and the media stream; Twilio takes about a second."""

log = structlog.get_logger()


class Calls:
    """Admission, by place: a webhook reserves one, its media stream takes it, the end of the call frees it.

    Everything here runs on the event loop without awaiting, so the limit holds whatever comes at once.
    """

    def __init__(self, *, limit: int, metrics: Metrics) -> None:
        self.limit = limit
        self._metrics = metrics
        self._live: dict[str, Call] = {}
        self._reserved: dict[str, float] = {}  # call SID -> when the place is given up
        self._empty = asyncio.Event()
        self._empty.set()
        self._loop = asyncio.get_running_loop()
        self.draining = False

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Call]:
        return iter(tuple(self._live.values()))

    def get(self, call_sid: str) -> Call | None:
        """The live call with this SID."""
        return self._live.get(call_sid)

    def reserve(self, call_sid: str) -> bool:
        """Keep a place for a call whose webhook is being answered; false when there is none, or when draining."""
        if call_sid in self._live:
            return True
        taken = self._taken()
        if call_sid not in self._reserved and (self.draining or taken >= self.limit):
            return False
        self._reserved[call_sid] = self._loop.time() + RESERVED_S
        return True

    def admit(self, call: Call) -> bool:
        """Take the place that the webhook reserved (perhaps on another pod: then any free one)."""
        sid = call.identity.call_sid
        reserved = self._reserved.pop(sid, None) is not None
        if sid in self._live or (not reserved and (self.draining or self._taken() >= self.limit)):
            return False
        self._live[sid] = call
        self._empty.clear()
        return True

    def leave(self, call: Call) -> None:
        """Free the call's place."""
        if self._live.get(call.identity.call_sid) is call:
            del self._live[call.identity.call_sid]
        if not self._live:
            self._empty.set()

    def forget(self, call_sid: str) -> None:
        """The caller hung up before there was a stream: the reserved place is free."""
        self._reserved.pop(call_sid, None)

    def _taken(self) -> int:
        now = self._loop.time()
        for sid in [sid for sid, until in self._reserved.items() if until <= now]:
            del self._reserved[sid]
        return len(self._live) + len(self._reserved)

    async def drain(self, limit_s: float | None = None) -> bool:
        """Take no new call and wait for the last one to end; false if `limit_s` seconds were not enough.

        Cancelling it stops the waiting; the service goes on taking no calls.
        """
        self.draining = True
        try:
            async with asyncio.timeout(limit_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def end_all(self, reason: str) -> None:
        """End every call, delivering the utterances in hand, and wait for that."""
        for call in self:
            call.end(reason, close_code=1001)
        await self._empty.wait()

    async def run(self) -> None:
        """Give every call its heartbeat and measure how late the loop is. Runs until cancelled."""
        due = self._loop.time()
        while True:
            due += HEARTBEAT_S
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            now = self._loop.time()
            self._metrics.loop_lag.record(max(0.0, now - due))
            due = max(due, now - HEARTBEAT_S)
            for call in self:
                try:
                    call.heartbeat(now)
                except Exception:  # one call's fault must not stop the hearts of the others
                    call.log.exception("[CALL] ended by a fault of ours")
                    call.end("error", close_code=1011)
