"""The agent's replies, its calls of tools, fields of leads, summaries of calls; an index of erased calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FIELDS = "what agents saved, by name: the value, and the event that it came from"
_ERASED = sa.text("erased_at IS NOT NULL")
_ENDED = sa.text("ended_at IS NOT NULL")
_WAITING = sa.text("state = 'waiting'")


def upgrade() -> None:
    _create_replies()
    _create_tool_calls()
    _create_summaries()
    fields = sa.Column(
        "fields", postgresql.JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb"), comment=_FIELDS
    )
    op.add_column("leads", fields)
    op.create_index("calls_erased", "calls", ["erased_at"], postgresql_where=_ERASED)
    op.create_index("calls_ended", "calls", ["agent", "updated_at"], postgresql_where=_ENDED)


def downgrade() -> None:
    op.drop_index("calls_ended", "calls")
    op.drop_index("calls_erased", "calls")
    op.drop_column("leads", "fields")
    for table in ("summaries", "tool_calls", "replies"):
        op.drop_table(table)


def _create_replies() -> None:
    op.create_table(
        "replies",
        _text("call_sid", null=False),
        _text("stream_sid", null=False),
        _text("reply_id", null=False),
        sa.Column("turn", sa.Integer(), nullable=False, comment="of the replies that were heard in its stream, from 1"),
        _text("kind", null=False, comment="answer | phrase | announcement"),
        _text("phrase", comment="which phrase of the agent's own"),
        _time("started_at", null=False, comment="its first sound was written"),
        _time("ended_at", comment="null where its end is not known: the pod was killed"),
        _text("intended", null=False),
        _text("heard", null=False, comment="what the caller heard; without an end all but the last sentence begun"),
        sa.Column("interrupted", sa.Boolean(), nullable=True),
        *(_float(name, comment) for name, comment in _LATENCIES.items()),
        sa.Column("attempts", sa.Integer(), nullable=True),
        *(_text(name) for name in ("answerer", "voice", "answerer_variant", "voice_variant")),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        _text("fault"),
        sa.Column("seq", sa.Integer(), nullable=True, comment="the event of its end"),
        _of_a_call("replies"),
        sa.PrimaryKeyConstraint("call_sid", "stream_sid", "reply_id", name="replies_pkey"),
    )


_LATENCIES = {
    "latency_ms": "from the caller's last sample of speech to its first sound; the others are parts of it",
    "text_ms": None,
    "first_token_ms": None,
    "first_piece_ms": None,
    "first_sound_ms": None,
    "commit_ms": None,
}


def _create_tool_calls() -> None:
    op.create_table(
        "tool_calls",
        _text("call_sid", null=False),
        _text("stream_sid", null=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        _time("at", null=False),
        _text("name", null=False),
        _text("arguments", null=False, comment="JSON as the answerer wrote it, which may be none"),
        _text("outcome", null=False),
        sa.Column("duration_ms", sa.Float(), nullable=False),
        _of_a_call("tool_calls"),
        sa.PrimaryKeyConstraint("call_sid", "stream_sid", "seq", name="tool_calls_pkey"),
    )


def _create_summaries() -> None:
    op.create_table(
        "summaries",
        _text("call_sid", null=False),
        _text("agent", null=False),
        _text("state", null=False, comment="waiting | done | given_up"),
        _text("text", comment="null until it is made"),
        _text("reason", comment="why the last attempt failed, or why there is none"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="that were begun"),
        _time("due_at", null=False, comment="of the next attempt; while one is under way, when it counts as lost"),
        _time("of_end", null=False, comment="the end of the call that it is of"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        _of_a_call("summaries"),
        sa.PrimaryKeyConstraint("call_sid", name="summaries_pkey"),
    )
    op.create_index("summaries_waiting", "summaries", ["agent", "due_at"], postgresql_where=_WAITING)


def _text(name: str, *, null: bool = True, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null, comment=comment)


def _time(name: str, *, null: bool = True, comment: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null, comment=comment)


def _float(name: str, comment: str | None) -> sa.Column[float]:
    return sa.Column(name, sa.Float(), nullable=True, comment=comment)


def _of_a_call(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["call_sid"], ["calls.call_sid"], name=f"{table}_call_sid_fkey", ondelete="CASCADE")
