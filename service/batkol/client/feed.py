"""The event feed: connects, resumes where it was, and hands on events as if the connection had never broken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

from batkol.client.connection import ApiConnection
from batkol.client.course import Course
from batkol.client.errors import (
    BusyError,
    CallOverError,
    ClientError,
    FeedEndedError,
    ServiceUnreachableError,
    UnexpectedAnswerError,
)
from batkol.client.events import FeedEvent, PeersChanged, decode
from batkol.client.pauses import pause
from batkol.client.reading import Asked, FeedConnection
from batkol.client.sse import ServerSentEvent
from batkol.client.streams import CallStreams
from batkol.events.events import Event, FeedGap

MOVE_S: Final = 15.0
"""Seconds that a call may take to come to another pod."""
STEADY_S: Final = 5.0
"""Seconds after which a connection that brought no event counts as one that worked."""

log = logging.getLogger(__name__)


class EventFeed:
    """Events, in order, each once. An asynchronous iterator; as a context manager it is connected inside the block.

    A connection that breaks, ends or is silent is replaced, and the feed goes on after the last event that was handed
    on; what the service no longer has is a `FeedGap` in its place. The feed of one call ends with the call. Errors that
    no new attempt can mend are raised at once, the others when nothing has worked for `give_up_s`; the iteration may be
    continued after each.

    Cancelling a wait for an event ends the connection and loses no event: the next wait resumes. One task may wait.
    """

    def __init__(
        self,
        connection: ApiConnection,
        asked: Asked,
        *,
        after: str,
        give_up_s: float,
        wanted: frozenset[str] = frozenset(),
    ) -> None:
        self._cursor = after
        self._connection = connection
        self._asked = asked
        self._wanted = wanted
        self._course = Course(give_up_s)
        self._reading: FeedConnection | None = None
        self._begun = False
        self._began_at = 0.0
        self._streams = CallStreams()
        self._moving: Course | None = None
        self._over = False
        self._missed: FeedGap | None = None

    async def __aenter__(self) -> Self:
        """Connect: no event that happens from now on is missed. Raises `ClientError`."""
        while self._reading is None and not self._over:
            await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def cursor(self) -> str:
        """The place after the last event that was handed on: `after` of a feed that goes on from here."""
        if self._reading is not None and self._reading.has_nothing_waiting:
            self._cursor = self._reading.parser.cursor or self._cursor
        return self._cursor

    def __aiter__(self) -> AsyncIterator[FeedEvent]:
        return self

    async def __anext__(self) -> FeedEvent:
        """Wait for the next event. Raises `ClientError`; cancelling it loses none."""
        while True:
            if self._over and self._missed is None:
                raise StopAsyncIteration
            event = await self._next()
            if event is not None and self._is_wanted(event):
                return event

    async def close(self) -> None:
        """End the connection. Iterating again resumes."""
        reading, self._reading = self._reading, None
        if reading is not None:
            await reading.close()

    async def _next(self) -> FeedEvent | None:
        """Read one event, or take one step towards it."""
        if (event := self._missed) is not None:
            self._missed = None
            return event
        if self._reading is None:
            await self._connect()
            return None
        try:
            message = await self._reading.next()
            if message is not None:
                return self._taken(message)
            await self._ended()
        except ServiceUnreachableError as error:
            await self._fail(error)
        except BaseException:
            await self.close()
            raise
        return None

    def _taken(self, message: ServerSentEvent) -> FeedEvent:
        self._cursor = message.id or self._cursor  # before it is read: one that cannot be is not met again
        event = decode(message)
        if isinstance(event, Event):
            self._course.worked()
            self._moving = None
            if self._asked.of_call:  # of all calls they would fill the memory of a program that follows for months
                self._streams.observe(event)
        return event

    async def _connect(self) -> None:
        try:
            self._reading = await FeedConnection.begin(self._connection, self._asked, self.cursor)
        except CallOverError as error:
            await self._call_is_gone(error)
        except (ServiceUnreachableError, BusyError) as error:
            await self._fail(error)
        except UnexpectedAnswerError as error:
            if not self._begun:
                raise
            await self._fail(error)  # it was Batkol before: a proxy's own page, perhaps, until the next pod is ready
        else:
            self._begun = True
            self._began_at = asyncio.get_running_loop().time()
            self._course.reached()

    async def _call_is_gone(self, error: CallOverError) -> None:
        """The service has no such call (any more). One that moves may still be on its way."""
        is_read_to_its_end = error.status == HTTPStatus.NO_CONTENT
        if not self._begun and not is_read_to_its_end:
            raise error
        if self._streams.moves:
            self._moving = self._moving or Course(MOVE_S)
            with suppress(CallOverError):  # it went where this feed does not reach, or was hung up on its way
                await pause(self._moving, error)
                return
        self._over = True
        if not is_read_to_its_end:  # its end was missed
            self._missed = FeedGap(missed_from=self.cursor)

    async def _ended(self) -> None:
        """The service has ended the feed in good order: with the call, or because its pod leaves."""
        if not (self._asked.of_call and self._streams.over):
            raise FeedEndedError(
                f"The event feed of {self._connection.shown()} ended: the pod that served it is leaving."
            )
        self._over = True
        await self.close()

    async def _fail(self, error: ClientError) -> None:
        """Wait before the next attempt, or raise."""
        now = asyncio.get_running_loop().time()
        if (reading := self._reading) is not None:
            if reading.parser.retry_s is not None:
                self._course.first_s = reading.parser.retry_s
            self._cursor = self.cursor
            if now - self._began_at >= STEADY_S:
                self._course.worked()
        await self.close()
        wait_s = self._course.wait_s(error, now)
        log.warning("[API] %s The client connects again in %.1f s and goes on after the last event.", error, wait_s)
        await asyncio.sleep(wait_s)

    def _is_wanted(self, event: FeedEvent) -> bool:
        """Whether the user asked for it; a call's beginnings and ends are read for the feed's own use."""
        if not self._wanted or isinstance(event, FeedGap | PeersChanged):
            return True
        return event.__struct_config__.tag in self._wanted
