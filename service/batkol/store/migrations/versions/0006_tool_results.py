"""The results of tools, as the answerer was told of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    result = sa.Column(
        "result", sa.Text(), nullable=False, server_default="", comment="what the answerer was told of it"
    )
    op.add_column("tool_calls", result)


def downgrade() -> None:
    op.drop_column("tool_calls", "result")
