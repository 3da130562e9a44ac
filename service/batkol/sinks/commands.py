"""`batkol sinks list` and `batkol sinks replay`: what sinks have been given, and events that are given again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from batkol.errors import ConfigurationError
from batkol.events.outgoing import OUTGOING
from batkol.quantity import quantity
from batkol.sinks.statements import BACKLOG
from batkol.sinks.stored import Backlog
from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres.address import address
from batkol.store.postgres.connections import connected
from batkol.store.postgres.faults import DB_ERRORS, error_name
from batkol.store.postgres.outbox_retention import OUTBOX_DAYS
from batkol.store.postgres.remedies import with_remedy

WriteLine = Callable[[str], None]

LETTERS_SHOWN: Final = 20
"""Dead letters of a sink that the list names; the newest."""

ALONE_AFTER: Final = timedelta(minutes=2)
"""A sink that no pod has looked after for so long has none."""

_NAMELESS: Final = "a pod without a name"
_NO_URL: Final = (
    "there is no DATABASE_URL; set it, in the environment or in .env, to the database's URL, "
    "postgresql://user:password@host/name"
)

_SINKS: Final = """
SELECT agent, name, pod, fault, now() - seen_at AS unseen FROM sinks
WHERE ($1 = '' OR agent = $1) AND ($2 = '' OR name = $2) ORDER BY agent, name
"""
_LETTERS: Final = """
SELECT outbox.stream_sid || '-' || outbox.seq AS id, outbox.kind, letters.noted_at, letters.reason
FROM sink_letters AS letters JOIN outbox USING (agent, position)
WHERE letters.agent = $1 AND letters.sink = $2 AND letters.again_at IS NULL
ORDER BY letters.noted_at DESC, position DESC LIMIT $3::int
"""
_AGAIN_LETTERS: Final = """
UPDATE sink_letters SET again_at = now(), attempts = 0 WHERE agent = $1 AND sink = $2 AND again_at IS NULL
"""
_AGAIN: Final = """
INSERT INTO sink_letters (agent, sink, position, reason, again_at)
SELECT sinks.agent, sinks.name, outbox.position, '', now() FROM outbox JOIN sinks ON sinks.agent = outbox.agent
WHERE sinks.agent = $1 AND sinks.name = $2
    AND (outbox.transaction, outbox.position) <= (sinks.transaction, sinks.position)
    AND NOT EXISTS (
        SELECT 1 FROM sink_streams AS waiting WHERE waiting.agent = sinks.agent AND waiting.sink = sinks.name
            AND waiting.stream_sid = outbox.stream_sid
            AND (outbox.transaction, outbox.position) > (waiting.transaction, waiting.position)
    )
"""
_AGAIN_UPDATE: Final = "ON CONFLICT (agent, sink, position) DO UPDATE SET again_at = now(), attempts = 0"
_AGAIN_TIME: Final = f"{_AGAIN} AND outbox.at >= $3 AND outbox.at < $4 {_AGAIN_UPDATE}"
_AGAIN_IDS: Final = f"{_AGAIN} AND outbox.stream_sid || '-' || outbox.seq = ANY($3::text[]) {_AGAIN_UPDATE}"
_AGAIN_LETTER_IDS: Final = """
UPDATE sink_letters SET again_at = now(), attempts = 0 FROM outbox
WHERE sink_letters.agent = $1 AND sink = $2 AND outbox.position = sink_letters.position AND again_at IS NULL
    AND outbox.stream_sid || '-' || outbox.seq = ANY($3::text[])
"""


class ReplayRequest(NamedTuple):
    """The events that are to be sent again: those of `ids`, those of a time, or all dead letters."""

    agent: str = ""
    """Empty: of any agent."""
    sink: str = ""
    """Empty: of any sink."""
    ids: tuple[str, ...] = ()
    begin: datetime | None = None
    end: datetime | None = None


async def carry_out_list(url: str, *, agent: str, write_line: WriteLine) -> int:
    """Print each sink with what waits for it; returns the exit code. Raises `ConfigurationError`."""
    async with _database(url) as (database, shown):
        found = await database.fetch(_SINKS, agent, "")
        if not found:
            write_line(f"{shown} knows no sinks{_of(agent)}; a sink is known once a pod with it in SINKS has started")
        for row in found:
            await _print(database, row, write_line)
    return 0


async def _print(database: asyncpg.Connection[Any], row: Any, write_line: WriteLine) -> None:
    key = row["agent"], row["name"]
    (counted,) = await database.fetch(BACKLOG, *key, list(OUTGOING))
    backlog = msgspec.convert(dict(counted), Backlog)
    pod = row["pod"] or _NAMELESS
    seen = f"{pod} delivers" if row["unseen"] < ALONE_AFTER else f"no pod delivers; the last was {pod}"
    write_line(f"{_name(row)}: {seen} (seen {row['unseen'].total_seconds():.0f} s ago)")
    oldest = f", the oldest for {backlog.oldest_s:.0f} s" if backlog.pending else ""
    waiting = quantity(backlog.pending, "event waits", "events wait") + oldest
    write_line(f"  {waiting}; {quantity(backlog.streams, 'stream waits', 'streams wait')} for another attempt")
    write_line(f"  {quantity(backlog.delivered, 'event')} delivered, {backlog.expired} deleted before they could be")
    write_line(f"  {quantity(backlog.dead_letters, 'dead letter')}; {quantity(backlog.replays, 'event')} to send again")
    for letter in await database.fetch(_LETTERS, *key, LETTERS_SHOWN):
        noted = letter["noted_at"].isoformat(timespec="seconds")
        write_line(f"    {letter['id']} {letter['kind']} {noted}: {letter['reason']}")
    if row["fault"]:
        write_line(f"  last fault: {row['fault']}")


async def carry_out_replay(url: str, wanted: ReplayRequest, *, write_line: WriteLine) -> int:
    """Have events sent again; returns the exit code, 1 if there are none. Raises `ConfigurationError`."""
    _check(wanted)
    async with _database(url) as (database, shown):
        sinks = await database.fetch(_SINKS, wanted.agent, wanted.sink)
        if not sinks:
            raise ConfigurationError(await _unknown(database, wanted, shown))
        async with database.transaction():
            counts = {_name(row): await _mark(database, row, wanted) for row in sinks}
    for name, count in counts.items():
        if count:
            write_line(f"{name}: {quantity(count, 'event is', 'events are')} sent again")
    if any(counts.values()):
        write_line("the pod that delivers to the sink begins within seconds; `batkol sinks list` has what is left")
        return 0
    write_line(_nothing(wanted))
    return 1


async def _mark(database: asyncpg.Connection[Any], row: Any, wanted: ReplayRequest) -> int:
    key = row["agent"], row["name"]
    if wanted.ids:
        statement = _AGAIN_IDS if wanted.sink else _AGAIN_LETTER_IDS
        done = await database.execute(statement, *key, list(wanted.ids))
    elif wanted.begin is not None:
        done = await database.execute(_AGAIN_TIME, *key, wanted.begin, wanted.end)
    else:
        done = await database.execute(_AGAIN_LETTERS, *key)
    return int(done.rpartition(" ")[2])


def _check(wanted: ReplayRequest) -> None:
    if wanted.ids and (wanted.begin or wanted.end):
        raise ConfigurationError("give --id, or --from and --to; not both")
    if (wanted.begin is None) != (wanted.end is None):
        raise ConfigurationError("give both --from and --to")
    if wanted.begin and wanted.end:
        if not wanted.sink:
            raise ConfigurationError("--from and --to need --sink: a time is sent again to one sink, not to all")
        if wanted.begin >= wanted.end:
            raise ConfigurationError("--from must be earlier than --to")


async def _unknown(database: asyncpg.Connection[Any], wanted: ReplayRequest, shown: str) -> str:
    known = ", ".join(map(_name, await database.fetch(_SINKS, wanted.agent, "")))
    if not known:
        return f"{shown} knows no sinks{_of(wanted.agent)}; a sink is known once a pod with it in SINKS has started"
    return f"{shown} knows no sink {wanted.sink}{_of(wanted.agent)}; it knows {known}"


def _nothing(wanted: ReplayRequest) -> str:
    if wanted.ids and not wanted.sink:
        return (
            "no dead letter has such an id, so nothing is sent again; with --sink NAME the id may be of any event of "
            f"the last {OUTBOX_DAYS} days"
        )
    if wanted.ids or wanted.begin:
        return (
            f"there are no such events, so nothing is sent again; events are kept for {OUTBOX_DAYS} days, and one that "
            "still waits for the sink is not sent again"
        )
    return "there are no dead letters, so nothing is sent again"


def _name(row: Any) -> str:
    return f"{row['agent']}/{row['name']}" if row["agent"] else str(row["name"])


def _of(agent: str) -> str:
    return f" of the agent {agent}" if agent else ""


@asynccontextmanager
async def _database(url: str) -> AsyncIterator[tuple[asyncpg.Connection[Any], str]]:
    """Connect. Raises `ConfigurationError` for what the database raises, too."""
    if not url:
        raise ConfigurationError(_NO_URL)
    where = address(url)
    try:
        database = await connected(where, DatabaseTimeouts())
        try:
            yield database, where.shown
        finally:
            await database.close()
    except asyncpg.UndefinedTableError:
        raise ConfigurationError(f"{where.shown} has no tables for sinks; run `batkol migrate`") from None
    except DB_ERRORS as error:
        raise ConfigurationError(
            f"{where.shown} cannot be used, and is unchanged: {with_remedy(error_name(error))}"
        ) from None


def moment(text: str) -> datetime:
    """Read a time with its zone, such as `2026-01-31T12:00:00Z`. Raises `ValueError`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(f"{text} is no time with a zone; write it as 2026-01-31T12:00:00Z")
    return found
