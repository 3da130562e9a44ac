"""Writing to the outbox: events go into it in the transaction that keeps them. A sink begins with the first of them.

An event is written once, whatever is delivered again: its stream and its number are its key. `NOTIFY` is no part of the
transaction: Postgres takes a lock of the whole server for the commit of one that notifies.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Float, Text, bindparam, cast, column, exists, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from batkol.store.journal.records import OfStream
from batkol.store.options import OutboxSettings
from batkol.store.postgres.outbox_tables import outbox, sinks

EventKey = tuple[str, str, int]
Row = dict[str, Any]
_WORD: Final = 2**31 - 1  # of Postgres's integer


class _Typed(msgspec.Struct):
    type: str


_TYPE: Final = msgspec.json.Decoder(_Typed)


def add_event(rows: dict[EventKey, Row], record: OfStream) -> None:
    """Add the event of a record, if it was made while a sink was set. Raises `msgspec.DecodeError`: it is no event."""
    if isinstance(record.event, msgspec.UnsetType):
        return
    who = record.who
    key = who.call_sid, who.stream_sid, max(-_WORD, min(_WORD, record.seq))
    rows[key] = {
        "call_sid": key[0],
        "stream_sid": key[1],
        "seq": key[2],
        "agent": who.agent,
        "kind": _TYPE.decode(record.event).type,
        "at": record.at,
        "data": record.event,
    }


def _save_events() -> Any:
    """Insert the rows of the parameter, in the order in which the events of each stream happened."""
    names = ("call_sid", "stream_sid", "seq", "agent", "kind", "at", "data")
    columns = [column(name, Float(53) if name == "at" else outbox.c[name].type) for name in names]
    rows = func.jsonb_to_recordset(cast(bindparam("rows", type_=Text), JSONB))
    given = rows.table_valued(*columns).render_derived(name="given", with_types=True)
    chosen = [func.to_timestamp(given.c.at) if name == "at" else given.c[name] for name in names]
    wanted = exists().where(sinks.c.agent == given.c.agent)
    ordered = select(*chosen).where(wanted).order_by(given.c.call_sid, given.c.stream_sid, given.c.seq)
    return insert(outbox).from_select(list(names), ordered).on_conflict_do_nothing()


SAVE_EVENTS: Final = _save_events()
"""Takes events as JSON; those of an agent that has no sink in the database are left out."""

# Not this transaction: an older one that still runs may write the first events of the sink, too.
_HERE: Final[ColumnElement[Any]] = literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
_NAMES: Final = func.unnest(bindparam("names", type_=ARRAY(Text))).column_valued("name")
_REGISTER: Final = (
    insert(sinks)
    .from_select(
        ["agent", "name", "transaction", "position"],
        select(cast(bindparam("agent"), Text), _NAMES, _HERE, text("0")).order_by(_NAMES),
    )
    .on_conflict_do_nothing()
)


async def register_sinks(connection: AsyncConnection, wanted: OutboxSettings) -> None:
    """Have the database know these sinks; a new one begins with what this transaction writes, and older ones that run.

    Raises what the database does. It comes before all else that the transaction writes: two pods that begin with the
    same sink wait for each other here, and nowhere in a circle.
    """
    if wanted.sinks:
        await connection.execute(_REGISTER, {"agent": wanted.agent, "names": list(wanted.sinks)})
