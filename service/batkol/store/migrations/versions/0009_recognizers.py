"""The streaming recognizer that gave the text of an utterance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    recognizer = sa.Column(
        "recognizer", sa.Text(), comment="the streaming one that gave the text; null where another source did"
    )
    op.add_column("utterances", recognizer)


def downgrade() -> None:
    op.drop_column("utterances", "recognizer")
