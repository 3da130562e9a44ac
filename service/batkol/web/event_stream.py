"""Server-sent events (WHATWG HTML, 9.2): what happens in one call or in all of them, as it happens, and since a cursor.

Five partials a second of every call go this way, so an event costs one wake-up and one write: no generator in
between and no time-out armed for each.

An event's `id` is a cursor. So is the `id` of a block without data, which no reader sees as an event, and which moves
its last event ID all the same (9.2.6, "dispatch the event", steps 1 and 2): a reader whose filter lets nothing through
still comes back to where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, NamedTuple

import structlog
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from batkol.calls.call import Call
from batkol.events.bus import Bus, Subscription
from batkol.events.cursor import Cursor
from batkol.events.events import CallEnded, FeedGap, encode
from batkol.events.filter import EVENT_TYPES, EVERYTHING, EventFilter
from batkol.events.redaction import view
from batkol.events.ring import KeptEvent, Replay
from batkol.rights import ALL_RIGHTS, Right

HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
MEDIA_TYPE: Final = "text/event-stream"

AT_ONCE: Final = 256
"""Events in one write. Between two writes others have their turn: a reader may come back for thousands of events."""

_EVENT_LINES: Final = {kind: f"event: {name}\ndata: ".encode() for name, kind in EVENT_TYPES.items()}

log = structlog.get_logger()


class EventStreamTimings(NamedTuple):
    """Intervals of an event stream, in seconds."""

    keepalive_s: float = 15.0
    """A comment goes out on a silent stream this often, so that proxies leave it open."""
    linger_s: float = 3.0
    """A reader has this for its waiting events after the last one; a reader that takes nothing is cut off then."""
    retry_s: float = 2.0
    """A browser waits for so long before it comes back."""


TIMINGS: Final = EventStreamTimings()


class FeedRequest(NamedTuple):
    """A reader's wishes: what it follows and from where. And its rights."""

    call_sid: str | None = None
    """None: all calls."""
    call: Call | None = None
    """A stream of that call that is not done, else its newest; None if it has none in this process."""
    only: EventFilter = EVERYTHING
    cursor: Cursor | None = None
    """None: from now on."""
    may: frozenset[Right] = ALL_RIGHTS


class EventStream(StreamingResponse):
    """A reader that has stopped reading holds a task and its queue for `linger_s` at most."""

    def __init__(self, bus: Bus, followed: FeedRequest, timings: EventStreamTimings = TIMINGS) -> None:
        super().__init__((), media_type=MEDIA_TYPE, headers=HEADERS)
        self._bus = bus
        self._followed = followed
        self._timings = timings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; a `HEAD` has the headers, and opens no stream."""
        if scope["method"] != "HEAD":
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def stream_response(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        with self._bus.subscribe(self._followed.call_sid, only=self._followed.only) as subscription:
            writer = _Writer(send, self._bus, self._followed, subscription, self._timings)
            try:
                async with asyncio.timeout(None) as patience:
                    subscription.on_close = lambda: patience.reschedule(loop.time() + self._timings.linger_s)
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    await writer.run()
            except TimeoutError:
                log.warning("[API] subscriber stopped reading; its connection is closed", dropped=subscription.dropped)
            finally:
                subscription.on_close = None


class _Writer:
    """Writes one stream. Made in the moment of the subscription: what is missed before it is settled then."""

    def __init__(
        self, send: Send, bus: Bus, followed: FeedRequest, subscription: Subscription, timings: EventStreamTimings
    ) -> None:
        self._send = send
        self._ring = bus.ring
        self._boot = bus.ring.boot.encode()
        self._followed = followed
        self._subscription = subscription
        self._timings = timings
        self._view = view(followed.may)
        cursor = followed.cursor
        self._replay = Replay(self._ring.newest, False, []) if cursor is None else self._ring.after(cursor)
        self._over = self._has_ended()
        self._position = self._ring.newest  # up to where everything for the reader is written, or about to be

    def _has_ended(self) -> bool:
        """Whether nothing more comes of the one call that is followed."""
        call_sid, call = self._followed.call_sid, self._followed.call
        if call_sid is None or not self._subscription.is_over(call_sid):
            return False
        return call is None or call.reporter.ended

    async def run(self) -> None:
        """Write events until the last stream of the call is done or nothing more comes."""
        alive = _Alive(self._subscription, self._timings.keepalive_s)
        try:
            await self._write(self._beginning())
            if self._followed.cursor is not None:
                await self._write_events([kept for kept in self._replay.events if self._is_for_reader(kept)])
                await self._write(self._place(self._position) + b"\n")  # it has missed nothing more
            await self._follow()
        finally:
            alive.cancel()
        # What was published after a subscription was closed is not here.
        last = b"" if self._subscription.closed else self._place(self._position) + b"\n"
        await self._send({"type": "http.response.body", "body": last, "more_body": False})

    async def _follow(self) -> None:
        subscription = self._subscription
        while not self._over:
            await subscription.wait()
            self._position = self._ring.newest
            if events := subscription.take():  # in one piece: a busy reader costs one write, not fifty
                # Asked before the write: what comes during it is another stream's beginning, and is not waited for.
                self._over = any(
                    type(kept.event) is CallEnded and subscription.is_over(kept.event.call_sid) for kept in events
                )
                await self._write_events([kept for kept in events if self._is_wanted(kept)])
            elif subscription.closed:
                return
            else:
                await self._write(b": still here\n%s\n" % self._place(self._position))

    def _beginning(self) -> bytes:
        """Return the first bytes. With a gap, the cursor is in the event `gap`: who has not got it, gets it again."""
        first = b": listening\nretry: %d\n" % round(self._timings.retry_s * 1000)
        place = self._place(self._replay.start)
        if not self._replay.has_gap:
            return b"%s%s\n" % (first, place)
        gap = FeedGap(missed_from=str(self._followed.cursor))
        return b"%s\n%sevent: gap\ndata: %s\n\n" % (first, place, encode(gap))

    def _is_for_reader(self, kept: KeptEvent) -> bool:
        return self._followed.call_sid in (None, kept.event.call_sid) and self._is_wanted(kept)

    def _is_wanted(self, kept: KeptEvent) -> bool:
        return self._followed.only.matches(kept.event, kept.agent)

    async def _write_events(self, events: list[KeptEvent]) -> None:
        for piece in _pieces(events):
            await self._write(b"".join(map(self._message, piece)))
            if piece[-1] is not events[-1]:
                await asyncio.sleep(0)

    def _message(self, kept: KeptEvent) -> bytes:
        lines, data = _EVENT_LINES[type(kept.event)], kept.seen_with(self._view)
        return b"id: %s-%d\n%s%s\n\n" % (self._boot, kept.number, lines, data)

    def _place(self, number: int) -> bytes:
        """Return the line that moves the reader's cursor."""
        return b"id: %s-%d\n" % (self._boot, number)

    async def _write(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})


def _pieces(events: list[KeptEvent]) -> Iterator[list[KeptEvent]]:
    for start in range(0, len(events), AT_ONCE):
        yield events[start : start + AT_ONCE]


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
