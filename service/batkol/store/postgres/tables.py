"""The base of all tables: what Alembic compares with the migrations."""

from __future__ import annotations

from typing import Final

from sqlalchemy import DateTime, MetaData

metadata = MetaData(
    naming_convention={"pk": "%(table_name)s_pkey", "fk": "%(table_name)s_%(column_0_name)s_fkey"},
)

TIME: Final = DateTime(timezone=True)
"""Type of a time: UTC, `timestamptz`."""
