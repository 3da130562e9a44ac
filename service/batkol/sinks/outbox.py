"""The outbox as one sink sees it: what is next, what waits, what is to be sent again, and how all of it is noted.

Order is that of transactions, and within one that of positions. Nothing is read of a transaction that is as new as the
oldest one that still runs: it, or one behind it, may bring events that belong before those that are there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Final

import asyncpg
import msgspec

from batkol.sinks import statements
from batkol.sinks.connection import LostError, SharedConnection
from batkol.sinks.stored import Backlog, Held, OutboxPosition, Settlement, StoredEvent, Waits
from batkol.store.postgres.faults import DB_ERRORS

UNLOCK_S: Final = 1.0
"""Seconds in which a lock is given back in good order."""

ADOPT_S: Final = 3600.0
"""Seconds in which an outbox from another server is put into order: it may have millions of events."""


class SinkOutbox:
    """One sink's view. All raise the database's errors, or `LostError`: the lock is gone, and nothing was noted."""

    def __init__(self, shared: SharedConnection, agent: str, name: str, pod: str, kinds: Collection[str]) -> None:
        self._shared = shared
        self._key = agent, name
        self.pod = pod
        """This pod."""
        self.holder = ""
        """The pod that had the lock when it was last asked for; empty: not known."""
        self._kinds = sorted(kinds)
        self.on: asyncpg.Connection[Any] | None = None
        """The connection that has the lock."""
        self.at = OutboxPosition(0, 0)
        """Up to there everything was read."""
        self.held: set[str] = set()
        """The streams of which the database knows that events wait, also those whose events are on the way."""
        self.failing: set[str] = set()
        """Streams among them whose last attempt failed."""
        self.fault = ""
        """Reason of the last event that the receiver did not take; empty once nothing waits any more."""

    async def lock(self) -> bool:
        """Try to become the one that hands events to this sink; false if another pod is."""
        on = await self._shared.connection()
        (row,) = await self._shared.fetch(on, statements.TRY_LOCK, *self._key)
        self.on = on if row["is_held"] else None
        self.holder = row["holder"] or ""
        return bool(row["is_held"])

    async def unlock(self) -> None:
        """Give the lock back; if that fails or takes `UNLOCK_S`, by ending the connection. Raises nothing."""
        on, self.on = self.on, None
        if on is None:
            return
        try:
            async with asyncio.timeout(UNLOCK_S):
                await self._shared.fetch(on, statements.UNLOCK, *self._key)
        except DB_ERRORS:
            self._shared.drop(on)
        except BaseException:
            self._shared.drop(on)
            raise

    async def begin(self) -> None:
        """Read how far the sink is; one that the database does not know begins now."""
        agent, name = self._key
        (found,) = await self._fetch(statements.FOREIGN, agent)
        if found["is_foreign"]:
            await self._adopt()
        (row,) = await self._fetch(statements.BEGIN, agent, name, self.pod)
        self.at = OutboxPosition(row["transaction"], row["position"])
        self.fault = row["fault"]
        streams = await self._fetch(statements.STREAMS, agent, name)
        self.held = {row["stream_sid"] for row in streams}
        self.failing = {row["stream_sid"] for row in streams if row["has_failed"]}

    async def _adopt(self) -> None:
        """Order events by their positions alone: they were copied from a server that had counted more transactions."""
        agent = self._key[0]
        async with self._shared.transaction(self._connection()) as on:
            await on.execute(statements.WITHOUT_LIMIT)
            await on.execute(statements.ADOPT_LOCK, agent, timeout=ADOPT_S)
            if (await on.fetchrow(statements.FOREIGN, agent, timeout=ADOPT_S))["is_foreign"]:
                await on.execute(statements.ADOPT, agent, timeout=ADOPT_S)

    async def next(self) -> list[StoredEvent]:
        """Return the next events, those that the sink does not want included."""
        return _events(await self._fetch(statements.NEXT, self._key[0], *self.at, self._kinds))

    async def held_back_s(self) -> float | None:
        """Return for how long events have waited for another transaction to end; None: none wait for one."""
        (row,) = await self._fetch(statements.HELD_BACK, self._key[0], *self.at)
        seconds: float | None = row["seconds"] if row["waits"] else None
        return seconds

    async def due(
        self, but: Collection[str], longest_s: float, *, well: int, failing: int
    ) -> tuple[dict[str, int], list[StoredEvent]]:
        """Return streams whose time has come, with the attempts that failed, and their next events.

        `but` are on the way. `well` and `failing` are the most streams whose last attempt went well, or failed. None
        waits for longer than `longest_s`, unless the receiver asked for it.
        """
        values = list(but), longest_s, well, failing
        found = {row["stream_sid"]: row["attempts"] for row in await self._fetch(statements.DUE, *self._key, *values)}
        if not found:
            return {}, []
        return found, _events(await self._fetch(statements.OF_STREAMS, *self._key, list(found), *self.at, self._kinds))

    async def again(self, but: Collection[str]) -> list[StoredEvent]:
        """Return events that are to be sent again, now; those that the sink does not want included. `but` are the
        streams of which some are on the way."""
        return _events(await self._fetch(statements.AGAIN, *self._key, self._kinds, list(but)))

    async def waits(self, but: Collection[str], longest_s: float) -> Waits:
        """Return when the next stream, which is none of `but`, and the next replay are due."""
        (row,) = await self._fetch(statements.WAITS, *self._key, list(but), longest_s)
        return Waits(row["stream_s"], row["letter_s"])

    async def touch(self) -> None:
        """Note that the sink is looked after, though nothing happens."""
        await self._fetch(statements.TOUCH, *self._key)

    async def backlog(self) -> Backlog:
        """Return what waits."""
        rows = await self._fetch(statements.BACKLOG, *self._key, self._kinds)
        return msgspec.convert(dict(rows[0]), Backlog) if rows else Backlog(0, 0.0, 0, 0, 0, 0, 0)

    async def settle(self, done: Settlement, at: OutboxPosition | None = None) -> None:
        """Note what became of events, all at once, and that everything up to `at` was read."""
        at = at or self.at
        free: list[Any] = []
        async with self._shared.transaction(self._connection()) as on:
            if done.held:
                await on.execute(statements.HOLD, *self._key, *_columns(done.held))
            if done.refused:
                await on.execute(statements.REFUSE, *self._key, list(done.refused), list(done.refused.values()))
            if done.sent_again:
                await on.execute(statements.SENT, *self._key, done.sent_again)
            if done.postponed:
                await on.execute(statements.POSTPONE, *self._key, list(done.postponed), list(done.postponed.values()))
            if done.tried:
                free = await on.fetch(statements.FREE, *self._key, done.tried, *at, self._kinds)
            if done.releases:
                await on.execute(statements.RELEASE, *self._key)
            gone = {row["stream_sid"] for row in free}
            held = (self.held | done.held.keys()) - gone
            failed = {stream for stream, each in done.held.items() if each.attempts}
            failing = (self.failing - done.held.keys() | failed) - gone
            fault = done.fault or (self.fault if failing or (done.fault is None and not gone) else "")
            if not await on.fetch(statements.NOTE, *self._key, *at, done.delivered, fault, self.pod):
                raise LostError("the sink was removed from the database")
        self.at, self.held, self.failing, self.fault = at, held, failing, fault

    async def _fetch(self, statement: str, *values: Any) -> list[Any]:
        return await self._shared.fetch(self._connection(), statement, *values)

    def _connection(self) -> asyncpg.Connection[Any]:
        if self.on is None:
            raise LostError("there is no lock")
        return self.on


def _events(rows: Sequence[Any]) -> list[StoredEvent]:
    return [
        StoredEvent(
            at=OutboxPosition(row["transaction"], row["position"]),
            call_sid=row["call_sid"],
            stream_sid=row["stream_sid"],
            seq=row["seq"],
            agent=row["agent"],
            kind=row["kind"],
            time=row["at"],
            data=row["data"],
            attempts=row.get("attempts", 0),
        )
        for row in rows
    ]


def _columns(held: dict[str, Held]) -> list[list[Any]]:
    rows = [
        (stream, each.call_sid, *each.behind, each.attempts, each.wait_s, each.is_asked, each.reason)
        for stream, each in held.items()
    ]
    return [list(column) for column in zip(*rows, strict=True)]
