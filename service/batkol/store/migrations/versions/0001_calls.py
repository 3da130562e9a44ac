"""Calls, their utterances and events; leads; erasures."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_calls()
    _create_utterances()
    _create_events()
    _create_leads()
    op.create_table(
        "erasures",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the number"),
        _time("erased_at"),
        sa.PrimaryKeyConstraint("digest", name="erasures_pkey"),
        comment="Numbers whose records, where a pod's journal still has them, are not to come back",
    )


def downgrade() -> None:
    for table in ("erasures", "leads", "events", "utterances", "calls"):
        op.drop_table(table)


def _create_calls() -> None:
    op.create_table(
        "calls",
        _text("call_sid"),
        _text("account_sid"),
        _text("stream_sid", comment="the newest stream"),
        sa.Column(
            "stream_sids", postgresql.ARRAY(sa.Text()), nullable=False, comment="all of them, as they became known"
        ),
        _text("agent"),
        _text("caller_number", comment="empty when erased, or never given"),
        _text("called_number"),
        _text("direction"),
        _time("started_at", comment="of the first stream"),
        _time("stream_started_at", comment="of the newest stream"),
        _time(
            "ended_at",
            nullable=True,
            comment="of the newest stream; null while it lives",
        ),
        _text("end_reason", nullable=True),
        _text("mode", nullable=True, comment="streaming | single: what the flag said when the call began"),
        _text("pod", comment="of the newest stream"),
        sa.Column("slowest_final_ms", sa.Float(), nullable=True, comment="over its utterances"),
        sa.Column("figures", postgresql.JSONB(), nullable=False, comment="what each stream amounted to, by stream SID"),
        _time("erased_at", nullable=True),
        _time("updated_at", server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("call_sid", name="calls_pkey"),
    )
    for name, column in (
        ("agent", "agent"),
        ("caller", "caller_number"),
        ("called", "called_number"),
        ("mode", "mode"),
    ):
        op.create_index(f"calls_by_{name}", "calls", [column, "started_at", "call_sid"])
    op.create_index("calls_by_time", "calls", ["started_at", "call_sid"])
    slow = sa.text("slowest_final_ms >= 1000")
    op.create_index("calls_slow", "calls", ["started_at", "call_sid"], postgresql_where=slow)


def _create_utterances() -> None:
    op.create_table(
        "utterances",
        _text("call_sid"),
        _text("stream_sid"),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        _text("utterance_id"),
        _time("started_at"),
        sa.Column("begin_ms", sa.Integer(), comment="audio, from the stream's first sample"),
        sa.Column("end_ms", sa.Integer()),
        _text("text", nullable=True, comment="the final; null where only its revision is known"),
        _text("revised_text", nullable=True, comment="Google's own final, after the interim had been promoted"),
        _text("source", nullable=True, comment="final | interim | single | whisper | none"),
        _text("mode", nullable=True),
        sa.Column("words", sa.Integer()),
        sa.Column("partials", sa.Integer()),
        sa.Column("first_partial_ms", sa.Float(), comment="from the first sample of speech"),
        sa.Column("final_ms", sa.Float(), comment="from the last sample of speech"),
        sa.Column("revised_ms", sa.Float(), comment="from the last sample of speech"),
        _text("trace_id", nullable=True),
        sa.Column("seq", sa.Integer(), comment="the event that the final came from"),
        sa.Column("revised_seq", sa.Integer()),
        _of_a_call("utterances"),
        sa.PrimaryKeyConstraint("call_sid", "stream_sid", "index", name="utterances_pkey"),
    )
    slow = sa.text("final_ms >= 1000")
    op.create_index("utterances_slow", "utterances", ["started_at", "call_sid"], postgresql_where=slow)


def _create_events() -> None:
    op.create_table(
        "events",
        _text("call_sid"),
        _text("stream_sid"),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        _time("at"),
        _text("kind", comment="call.started | revised | call.ended"),
        _text("pod"),
        sa.Column("detail", postgresql.JSONB(), nullable=False, comment="never what was said, and no number"),
        _of_a_call("events"),
        sa.PrimaryKeyConstraint("call_sid", "stream_sid", "seq", name="events_pkey"),
    )


def _create_leads() -> None:
    op.create_table(
        "leads",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _text("agent"),
        _text("caller_number"),
        _time("first_call_at"),
        _time("last_call_at"),
        _text("last_call_sid", comment="a call that may have been deleted since"),
        sa.Column("calls", sa.Integer(), nullable=False),
        _text("name", nullable=True),
        _text("notes", nullable=True),
        _text("last_summary", nullable=True),
        _time("updated_at", server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="leads_pkey"),
        sa.UniqueConstraint("agent", "caller_number", name="leads_by_number"),
    )
    op.create_index("leads_by_caller", "leads", ["caller_number"])
    op.create_index("leads_by_agent", "leads", ["agent", "last_call_at", "id"])
    op.create_index("leads_by_time", "leads", ["last_call_at", "id"])


def _text(name: str, *, nullable: bool = False, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable, comment=comment)


def _time(
    name: str, *, nullable: bool = False, comment: str | None = None, server_default: Any = None
) -> sa.Column[Any]:
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=nullable, comment=comment, server_default=server_default
    )


def _of_a_call(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["call_sid"], ["calls.call_sid"], name=f"{table}_call_sid_fkey", ondelete="CASCADE")
