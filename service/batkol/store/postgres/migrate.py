"""Migrations of a database's tables to this version, or back. Several pods may migrate at once."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from batkol.store.postgres.address import Address
from batkol.store.postgres.connections import engine_without_timeout

VERSIONS: Final = "batkol_schema"
"""The table in which Alembic notes where a database is."""

MIGRATING: Final = 0x6261746B6F6C02
"""Advisory lock: held for as long as a migration takes, so that the next one finds it done."""

LOCK_S: Final = 30
"""Seconds that a change waits for a table; all who come after it wait behind it."""


def head() -> str:
    """Return the version that this code wants."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    if found is None:
        raise AssertionError("the package contains its migrations")
    return found


def sql(revision: str = "head") -> str:
    """Return what `upgrade` would do to an empty database, as SQL."""
    written = io.StringIO()
    config = _config(written)
    command.upgrade(config, revision, sql=True)
    return written.getvalue()


async def upgrade(where: Address, revision: str = "head") -> str:
    """Migrate up to a revision; returns the database's revision then. Does nothing at that or an unknown revision.

    An unknown revision is a newer version's, and this one was rolled back: the newer tables stay. Raises the
    database's errors; nothing has been changed then, and neither if it is cancelled.
    """

    def move(connection: Connection, config: Config) -> None:
        if knows(_current(connection)):
            command.upgrade(config, revision)

    return await _moved(where, move)


async def downgrade(where: Address, revision: str) -> str:
    """Go down to a version, or to `base`, which has no tables: what was in them is gone."""
    return await _moved(where, lambda _, config: command.downgrade(config, revision))


def knows(revision: str | None) -> bool:
    """Whether this version knows where a database is; one that it does not know is from a newer one."""
    known = {each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions()}
    return revision is None or revision in known


async def current(where: Address) -> str | None:
    """Return the database's revision, or None if it has no tables of Batkol."""
    engine = engine_without_timeout(where)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_current)
    finally:
        await engine.dispose()


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSIONS}).get_current_revision()


async def _moved(where: Address, move: Callable[[Connection, Config], None]) -> str:
    engine = engine_without_timeout(where)

    def carry_out(connection: Connection) -> str:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATING})
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_S}s'"))
        config = _config()
        config.attributes["connection"] = connection
        move(connection, config)
        return _current(connection) or "base"

    try:
        async with engine.begin() as connection:
            return await connection.run_sync(carry_out)
    finally:
        await engine.dispose()


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output) if output is not None else Config()
    config.set_main_option("script_location", "batkol.store:migrations")
    return config
