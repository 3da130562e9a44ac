"""Corrections: what a person says was said in an utterance, beside what a recognizer heard."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "corrections",
        sa.Column("call_sid", sa.Text(), nullable=False),
        sa.Column("stream_sid", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "text", sa.Text(), nullable=False, comment="what was said, as a person heard it; empty where nothing was"
        ),
        sa.Column(
            "corrected_by",
            sa.Text(),
            nullable=False,
            comment="the name of a token, or of a user of the command line",
        ),
        sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.ForeignKeyConstraint(
            ["call_sid", "stream_sid", "index"],
            ["utterances.call_sid", "utterances.stream_sid", "utterances.index"],
            name="corrections_call_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("call_sid", "stream_sid", "index", name="corrections_pkey"),
        comment="What a person says was said in an utterance",
    )


def downgrade() -> None:
    op.drop_table("corrections")
