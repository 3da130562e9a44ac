"""The tables of the outbox: the events of calls in the order of their transactions, and how far each sink is.

An event is in `outbox` once, however many sinks there are. A sink is a position in that order, up to which it has
everything but what `sink_streams` and `sink_letters` name. Nothing but `outbox` has a text or a number.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)

from batkol.store.postgres.tables import TIME, metadata

outbox = Table(
    "outbox",
    metadata,
    Column("call_sid", Text, ForeignKey("calls.call_sid", ondelete="CASCADE"), primary_key=True),
    Column("stream_sid", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, Identity(always=True), nullable=False, comment="order within a transaction"),
    Column(
        "transaction",
        BigInteger,
        nullable=False,
        server_default=text("pg_current_xact_id()::text::bigint"),
        comment="that wrote it: positions of one transaction may be taken after those of a later one",
    ),
    Column("agent", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="type of the event"),
    Column("at", TIME, nullable=False),
    Column("data", Text, nullable=False, comment="the event as JSON"),
    Column("is_erased", Boolean, nullable=False, server_default=text("false"), comment="without texts and numbers"),
    Column("written_at", TIME, nullable=False, server_default=func.now()),
    UniqueConstraint("position", name="outbox_by_position"),
    Index("outbox_in_order", "agent", "transaction", "position"),
    comment="The events of calls, for sinks; kept for some days whether they were delivered or not",
)

sinks = Table(
    "sinks",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("transaction", BigInteger, nullable=False, comment="up to this position of the outbox everything was read"),
    Column("position", BigInteger, nullable=False),
    Column("since", TIME, nullable=False, server_default=func.now()),
    Column("seen_at", TIME, nullable=False, server_default=func.now(), comment="when a pod last worked for it"),
    Column("pod", Text, nullable=False, server_default="", comment="which one"),
    Column("fault", Text, nullable=False, server_default="", comment="of the last delivery; empty: it succeeded"),
    Column("delivered", BigInteger, nullable=False, server_default="0", comment="events"),
    Column("expired", BigInteger, nullable=False, server_default="0", comment="events that were too old to wait"),
    comment="What each sink has been given",
)


def _of_a_sink() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["agent", "sink"], ["sinks.agent", "sinks.name"], ondelete="CASCADE")


sink_streams = Table(
    "sink_streams",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("sink", Text, primary_key=True),
    Column("stream_sid", Text, primary_key=True),
    Column("call_sid", Text, nullable=False),
    Column("transaction", BigInteger, nullable=False, comment="its events behind this position wait"),
    Column("position", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, comment="that failed in a row"),
    Column("due_at", TIME, nullable=False, comment="of the next attempt"),
    Column("is_asked", Boolean, nullable=False, comment="the receiver named that time"),
    Column("reason", Text, nullable=False, comment="why the last attempt failed"),
    _of_a_sink(),
    comment="Streams whose events wait for a sink, although later ones of other streams were delivered",
)

sink_letters = Table(
    "sink_letters",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("sink", Text, primary_key=True),
    Column(
        "position", BigInteger, ForeignKey("outbox.position", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column("reason", Text, nullable=False, comment="why the receiver refused the event; empty: it was never refused"),
    Column("noted_at", TIME, nullable=False, server_default=func.now()),
    Column("again_at", TIME, comment="of the next attempt of a replay; null: a dead letter"),
    Column("attempts", Integer, nullable=False, server_default="0", comment="of the replay that failed in a row"),
    _of_a_sink(),
    Index("sink_letters_by_position", "position"),
    Index("sink_letters_again", "agent", "sink", "again_at", postgresql_where=text("again_at IS NOT NULL")),
    comment="Events that a receiver refused, and events that are to be sent again",
)


def sink_lock(agent: str, name: str) -> str:
    """Return the key of a sink's advisory lock, as SQL: the pod that has the lock hands events on to the sink."""
    return f"hashtextextended(concat_ws('/', 'batkol.sink', current_schema(), {agent}, {name}), 0)"
