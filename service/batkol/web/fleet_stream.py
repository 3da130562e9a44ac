"""The fleet's feed as server-sent events: one stream of what happens on all pods, with a cursor for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

import msgspec
import structlog
from fastapi.responses import StreamingResponse
from starlette.types import Send

from batkol.answers import UNREADABLE, Answer
from batkol.fleet.blocks import Block
from batkol.fleet.feed import FleetFeed
from batkol.fleet.fleet import Fleet, TooManyFeedsError
from batkol.fleet.peers import FleetRequest
from batkol.fleet.reader import FleetReader
from batkol.web.event_stream import HEADERS, MEDIA_TYPE, TIMINGS, EventStreamTimings

_ENDED: Final = "call.ended"
_GAP: Final = "gap"
_DRAINED: Final = "drained"

PASSED_ON: Final = frozenset({"content-type", "www-authenticate", "retry-after"})
"""Headers of a pod's answer that its client gets, in lower case."""

HANDOVER_S: Final = 15.0
"""Seconds for which the next stream of a call is waited for when a pod that drains has ended one."""
LOOK_S: Final = 0.5
"""Seconds between two looks for it."""

log = structlog.get_logger()


class _Head(msgspec.Struct):
    """The part of an event that is looked at."""

    type: str = ""
    call_sid: str = ""
    reason: str = ""


_HEAD: Final = msgspec.json.Decoder(_Head)


class CallEventPicker:
    """Picks the events of one call out of the fleet's, and ends the stream when no pod has the call any more."""

    def __init__(
        self, fleet: Fleet, asking: FleetRequest, call_sid: str, types: Iterable[str], *, is_over: bool
    ) -> None:
        """`is_over`: no pod has the call now, so only what the pods still keep of it is to come."""
        self.is_over = is_over
        self.seen = 0
        """Events of the call so far, those that are filtered out included."""
        self._fleet = fleet
        self._asking = asking
        self._call_sid = call_sid
        self._types = frozenset(types)
        self._ended = asyncio.Event()
        self._patience_s = 0.0

    def wants(self, block: Block) -> bool:
        """Whether the reader gets this event."""
        if not block.body:
            return False
        try:
            head = _HEAD.decode(block.data)
        except UNREADABLE:
            return False  # a pod's fault costs this reader one event, and no other reader anything
        if head.call_sid != self._call_sid:
            return head.type == _GAP
        self.seen += 1
        if head.type == _ENDED:
            self._patience_s = HANDOVER_S if head.reason == _DRAINED else 0.0
            self._ended.set()
        return not self._types or head.type in self._types

    async def until_over(self) -> None:
        """Return when the last stream of the call has ended, on whatever pod."""
        while not await self._is_gone():
            await self._ended.wait()
            self._ended.clear()

    async def _is_gone(self) -> bool:
        """Whether no pod has the call. After a drain, another one may have it a moment later."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while (await self._fleet.questions.locate(self._asking, self._call_sid, ask_all=False)).best is None:
            if loop.time() >= since + self._patience_s:  # another end may have come meanwhile
                return True
            await asyncio.sleep(LOOK_S)
        return False


class FleetStream(StreamingResponse):
    """A reader that has stopped reading holds a task and its queue for `linger_s` at most."""

    def __init__(
        self,
        fleet: Fleet,
        asking: FleetRequest,
        reader: FleetReader,
        watch: CallEventPicker | None = None,
        timings: EventStreamTimings = TIMINGS,
    ) -> None:
        super().__init__((), media_type=MEDIA_TYPE, headers=HEADERS)
        self._fleet = fleet
        self._asking = asking
        self._reader = reader
        self._watch = watch
        self._timings = timings

    async def stream_response(self, send: Send) -> None:
        reader, loop = self._reader, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as patience, self._fleet.following(self._asking, reader) as feed:
                reader.on_close = lambda: patience.reschedule(loop.time() + self._timings.linger_s)
                if feed.refusal is not None:
                    await _send_whole(send, feed.refusal.status, _kept(feed.refusal), feed.refusal.body)
                elif self._watch is not None and await self._is_empty(self._watch, feed):
                    await _send_whole(send, 204, {}, b"")  # HTML, 9.2.3: an EventSource does not come back
                else:
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    await self._write_until_over(send)
        except TooManyFeedsError as error:
            body = msgspec.json.encode({"detail": str(error)})
            await _send_whole(send, 503, {"content-type": "application/json", "retry-after": "5"}, body)
        except TimeoutError:
            log.warning("[API] subscriber of the fleet stopped reading; its connection is closed")
        finally:
            reader.on_close = None

    async def _is_empty(self, watch: CallEventPicker, feed: FleetFeed) -> bool:
        """Whether there is nothing to say of a call that is over."""
        if not watch.is_over:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(self._fleet.answer_s):
                while not feed.is_current(self._reader):  # noqa: ASYNC110 -- for the pods' rings, once a request
                    await asyncio.sleep(0.02)
        self._reader.close()
        return not watch.seen

    async def _write_until_over(self, send: Send) -> None:
        watching = asyncio.create_task(self._close_when_over(), name="fleet.call")
        try:
            await self._write_events(send)
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        if not watching.cancelled():
            watching.result()  # it ends of itself in good order, or by an error

    async def _close_when_over(self) -> None:
        if self._watch is not None:
            await self._watch.until_over()
            self._reader.close()

    async def _write_events(self, send: Send) -> None:
        reader, every_s = self._reader, self._timings.keepalive_s
        alive = _Alive(reader, every_s)
        try:
            await _write(send, b": listening\nretry: %d\n\n" % round(self._timings.retry_s * 1000))
            while True:
                if text := await reader.some():
                    await _write(send, text)
                elif reader.closed:
                    break
                else:
                    await _write(send, b": still here\n%s\n" % _place(reader))
        finally:
            alive.cancel()
        last = b"" if reader.too_slow else _place(reader) + b"\n"
        await send({"type": "http.response.body", "body": last, "more_body": False})


class _Alive:
    """Wakes the writer of a silent stream every `every_s` seconds."""

    def __init__(self, reader: FleetReader, every_s: float) -> None:
        self._every_s = every_s
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_later(every_s, self._wake)

    def cancel(self) -> None:
        self._next.cancel()

    def _wake(self) -> None:
        self._next = self._loop.call_later(self._every_s, self._wake)
        self._reader.wake()


def _place(reader: FleetReader) -> bytes:
    """Return the line that moves the reader's cursor."""
    cursor = reader.merge.cursor
    return f"id: {cursor}\n".encode() if cursor else b""


def _kept(answer: Answer) -> dict[str, str]:
    """Return the headers of an answer that are passed on."""
    return {name: value for name, value in answer.headers.items() if name.lower() in PASSED_ON}


async def _send_whole(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
