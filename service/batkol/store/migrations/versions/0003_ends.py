"""The ends of calls without their own record of it, from Twilio's status callbacks, and an index of open calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_REASON = "the stream's own, or Twilio's status, or lost"
_DURATION = "of the whole call, as Twilio counted it; null where Twilio did not say"
_OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    op.add_column("calls", sa.Column("duration_s", sa.Integer(), nullable=True, comment=_DURATION))
    op.alter_column("calls", "end_reason", comment=_REASON, existing_comment=None)
    op.create_index("calls_open", "calls", ["updated_at"], postgresql_where=_OPEN)
    op.create_table(
        "call_statuses",
        sa.Column("call_sid", sa.Text(), nullable=False, comment="of a call that may be unknown here, or known later"),
        sa.Column("account_sid", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="completed | busy | failed | no-answer | canceled"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False, comment="by Twilio's clock"),
        sa.Column("duration_s", sa.Integer(), nullable=True, comment="as Twilio counts it"),
        sa.Column("told_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("call_sid", name="call_statuses_pkey"),
        comment="The ends of calls as Twilio's status callback told them",
    )
    op.create_index("call_statuses_by_time", "call_statuses", ["told_at"])


def downgrade() -> None:
    op.drop_table("call_statuses")
    op.drop_index("calls_open", "calls")
    op.alter_column("calls", "end_reason", comment=None, existing_comment=_REASON)
    op.drop_column("calls", "duration_s")
