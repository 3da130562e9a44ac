"""Marks of an utterance: text without speech, and text that no other recognizer confirmed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MARKS = {
    "unvoiced": "no speech was detected in its audio; null: not known",
    "unconfirmed": "another recognizer made out no word of the final",
    "revised_unconfirmed": "the same of the revision, which then repeats the final",
}
_REVISED = "what corrects the final; empty where its words were taken back"
_REVISED_BEFORE = "Google's own final, after the interim had been promoted"


def upgrade() -> None:
    for name, comment in _MARKS.items():
        op.add_column("utterances", sa.Column(name, sa.Boolean(), nullable=True, comment=comment))
    op.alter_column("utterances", "revised_text", comment=_REVISED, existing_comment=_REVISED_BEFORE)


def downgrade() -> None:
    op.alter_column("utterances", "revised_text", comment=_REVISED_BEFORE, existing_comment=_REVISED)
    for name in _MARKS:
        op.drop_column("utterances", name)
