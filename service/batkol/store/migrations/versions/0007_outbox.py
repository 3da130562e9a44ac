"""The outbox: the events of calls for sinks, how far each sink is, and what waits for it or was refused by it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")
_AGAIN = sa.text("again_at IS NOT NULL")


def upgrade() -> None:
    _create_outbox()
    _create_sinks()
    _create_streams()
    _create_letters()


def downgrade() -> None:
    for table in ("sink_letters", "sink_streams", "sinks", "outbox"):
        op.drop_table(table)


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        _text("call_sid"),
        _text("stream_sid"),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "position", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="order within a transaction"
        ),
        sa.Column(
            "transaction",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("pg_current_xact_id()::text::bigint"),
            comment="that wrote it: positions of one transaction may be taken after those of a later one",
        ),
        _text("agent"),
        _text("kind", comment="type of the event"),
        _time("at"),
        _text("data", comment="the event as JSON"),
        sa.Column(
            "is_erased",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="without texts and numbers",
        ),
        _time("written_at", server_default=_NOW),
        sa.ForeignKeyConstraint(["call_sid"], ["calls.call_sid"], name="outbox_call_sid_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("call_sid", "stream_sid", "seq", name="outbox_pkey"),
        sa.UniqueConstraint("position", name="outbox_by_position"),
        comment="The events of calls, for sinks; kept for some days whether they were delivered or not",
    )
    op.create_index("outbox_in_order", "outbox", ["agent", "transaction", "position"])


def _create_sinks() -> None:
    op.create_table(
        "sinks",
        _text("agent"),
        _text("name"),
        sa.Column(
            "transaction",
            sa.BigInteger(),
            nullable=False,
            comment="up to this position of the outbox everything was read",
        ),
        sa.Column("position", sa.BigInteger(), nullable=False),
        _time("since", server_default=_NOW),
        _time("seen_at", server_default=_NOW, comment="when a pod last worked for it"),
        _text("pod", server_default="", comment="which one"),
        _text("fault", server_default="", comment="of the last delivery; empty: it succeeded"),
        sa.Column("delivered", sa.BigInteger(), nullable=False, server_default="0", comment="events"),
        sa.Column(
            "expired", sa.BigInteger(), nullable=False, server_default="0", comment="events that were too old to wait"
        ),
        sa.PrimaryKeyConstraint("agent", "name", name="sinks_pkey"),
        comment="What each sink has been given",
    )


def _create_streams() -> None:
    op.create_table(
        "sink_streams",
        _text("agent"),
        _text("sink"),
        _text("stream_sid"),
        _text("call_sid"),
        sa.Column("transaction", sa.BigInteger(), nullable=False, comment="its events behind this position wait"),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="that failed in a row"),
        _time("due_at", comment="of the next attempt"),
        sa.Column("is_asked", sa.Boolean(), nullable=False, comment="the receiver named that time"),
        _text("reason", comment="why the last attempt failed"),
        _of_a_sink("sink_streams"),
        sa.PrimaryKeyConstraint("agent", "sink", "stream_sid", name="sink_streams_pkey"),
        comment="Streams whose events wait for a sink, although later ones of other streams were delivered",
    )


def _create_letters() -> None:
    op.create_table(
        "sink_letters",
        _text("agent"),
        _text("sink"),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        _text("reason", comment="why the receiver refused the event; empty: it was never refused"),
        _time("noted_at", server_default=_NOW),
        sa.Column(
            "again_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="of the next attempt of a replay; null: a dead letter",
        ),
        sa.Column(
            "attempts",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="of the replay that failed in a row",
        ),
        _of_a_sink("sink_letters"),
        sa.ForeignKeyConstraint(
            ["position"], ["outbox.position"], name="sink_letters_position_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("agent", "sink", "position", name="sink_letters_pkey"),
        comment="Events that a receiver refused, and events that are to be sent again",
    )
    op.create_index("sink_letters_by_position", "sink_letters", ["position"])
    op.create_index("sink_letters_again", "sink_letters", ["agent", "sink", "again_at"], postgresql_where=_AGAIN)


def _of_a_sink(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["agent", "sink"], ["sinks.agent", "sinks.name"], name=f"{table}_agent_fkey", ondelete="CASCADE"
    )


def _text(name: str, *, comment: str | None = None, server_default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment, server_default=server_default)


def _time(name: str, *, comment: str | None = None, server_default: Any = None) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, comment=comment, server_default=server_default)
