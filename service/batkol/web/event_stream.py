"""Server-sent events (WHATWG HTML, 9.2): what happens in one call or in all of them, as it happens.

Five partials a second of every call go this way, so an event costs one wake-up and one write: no generator in
between and no time-out armed for each.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import structlog
from fastapi.responses import StreamingResponse
from starlette.types import Send

from batkol.calls.call import Call
from batkol.events.bus import Bus, Subscription
from batkol.events.events import CallEnded, Event, encode
from batkol.events.redaction import redacted
from batkol.rights import Right

log = structlog.get_logger()


class EventStreamTimings(NamedTuple):
    """Intervals of an event stream, in seconds."""

    keepalive_s: float = 15.0
    """A comment goes out on a silent stream this often, so that proxies leave it open."""
    linger_s: float = 3.0
    """A reader has this for its waiting events after the last one; a reader that takes nothing is cut off then."""


TIMINGS: Final = EventStreamTimings()


class EventStream(StreamingResponse):
    """A reader that has stopped reading holds a task and its queue for `linger_s` at most."""

    def __init__(
        self, bus: Bus, call: Call | None, may: frozenset[Right], timings: EventStreamTimings = TIMINGS
    ) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__((), media_type="text/event-stream", headers=headers)
        self._bus = bus
        self._call = call
        self._may = may
        self._timings = timings

    async def stream_response(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        with self._bus.subscribe(self._call.identity.call_sid if self._call else None) as subscription:
            try:
                async with asyncio.timeout(None) as patience:
                    subscription.on_close = lambda: patience.reschedule(loop.time() + self._timings.linger_s)
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    await self._write_events(send, subscription)
            except TimeoutError:
                log.warning("[API] subscriber stopped reading; its connection is closed", dropped=subscription.dropped)
            finally:
                subscription.on_close = None

    async def _write_events(self, send: Send, subscription: Subscription) -> None:
        """Write events until the last stream of the call is done or nothing more comes."""
        call, alive = self._call, _Alive(subscription, self._timings.keepalive_s)
        try:
            await _write(send, b": listening\n\n")
            over = call is not None and call.reporter.ended and subscription.is_over(call.identity.call_sid)
            while not over:
                if events := await subscription.some():  # in one piece: a busy reader costs one write, not fifty
                    # Asked before the write: what comes during it is another stream's beginning, and is not waited for.
                    ended = any(isinstance(each, CallEnded) and subscription.is_over(each.call_sid) for each in events)
                    await _write(send, b"".join(_message(redacted(event, self._may)) for event in events))
                    over = ended
                elif subscription.closed:
                    break
                else:
                    await _write(send, b": still here\n\n")
        finally:
            alive.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Alive:
    """Wakes the reader of events every `every_s` seconds."""

    def __init__(self, subscription: Subscription, every_s: float) -> None:
        self._every_s = every_s
        self._subscription = subscription
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_later(self._every_s, self._wake)

    def cancel(self) -> None:
        self._next.cancel()

    def _wake(self) -> None:
        self._next = self._loop.call_later(self._every_s, self._wake)
        self._subscription.wake()


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _message(event: Event) -> bytes:
    kind = str(event.__struct_config__.tag).encode()
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, kind, encode(event))
