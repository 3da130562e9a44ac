"""The order of erasures, by a sequence of the database; what each journal has delivered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SEQUENCE erasure_numbers AS bigint")
    op.add_column(
        "erasures",
        sa.Column(
            "number",
            sa.BigInteger(),
            nullable=False,
            server_default="0",
            comment="its place among all erasures; 0: by its time, which a version without numbers wrote",
        ),
    )
    op.create_index("erasures_by_time", "erasures", ["erased_at"])
    op.create_table(
        "journals",
        sa.Column("journal", sa.Text(), nullable=False, comment="the journal's own random name"),
        sa.Column("delivered", sa.BigInteger(), nullable=False, comment="records that it has delivered"),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("journal", name="journals_pkey"),
        comment="What each pod's journal has delivered: less than it knows of is a database that went back in time",
    )


def downgrade() -> None:
    op.drop_table("journals")
    op.drop_index("erasures_by_time", table_name="erasures")
    op.drop_column("erasures", "number")
    op.execute("DROP SEQUENCE erasure_numbers")
