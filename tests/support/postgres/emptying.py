"""Emptying a database with our tables, so that the next test finds it as if it were new: 10 ms where a copy takes 150.

Rows, sequences and connections are made good. What else a test may change (tables, columns, triggers, functions,
settings, statistics, the version) shows in a fingerprint of Postgres's catalogs; such a database is for the dustbin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import asyncpg

from batkol.store.postgres import migrate
from batkol.store.postgres.address import Address
from batkol.store.postgres.schema import metadata
from support.postgres.sql import connection

_LARGEST: Final = 2_000_000
"""Bytes of rows that were deleted, and of their indexes, from which a copy is the cheaper."""

EMPTY: Final = "".join(f"DELETE FROM {table.name};" for table in reversed(metadata.sorted_tables))

_CHANGED: Final = (
    "pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_trigger", "pg_rewrite",
    "pg_namespace", "pg_statistic", "pg_default_acl", "pg_extension",
)  # fmt: skip
_FINGERPRINT: Final = f"""
SELECT concat_ws(' ',
    (SELECT concat_ws(' ', oid, xmin, datallowconn, datconnlimit) FROM pg_database WHERE datname = current_database()),
    (SELECT string_agg(setconfig::text, ' ') FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
        WHERE datname = current_database()),
    (SELECT string_agg(version_num, ' ') FROM {migrate.VERSIONS}),
    (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_type),
    {", ".join(f"(SELECT concat_ws(' ', count(*), max(xmin::text::bigint)) FROM {table})" for table in _CHANGED)}
)
"""
_SIZE: Final = """
SELECT sum(pg_relation_size(oid))::int8 FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')
"""
_OTHERS: Final = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_SEQUENCES: Final = """
SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
"""


@dataclass(frozen=True, slots=True)
class Made:
    """A database with our tables, and what its catalogs looked like when it was made."""

    name: str
    fingerprint: str


async def empty(where: Address) -> None:
    """Delete every row, in the middle of a test: quicker than to truncate, and the tables stay the ones they were."""
    async with connection(where) as own:
        await own.execute(EMPTY)


async def made(where: Address, name: str) -> Made:
    """Look at a database that was made just now."""
    async with connection(where) as own:
        return Made(name, await own.fetchval(_FINGERPRINT))


async def emptied(where: Address, as_made: Made) -> bool:
    """Empty a database; false if it cannot be made what it was."""
    try:
        async with connection(where) as own:
            await own.execute(_OTHERS)
            if await own.fetchval(_FINGERPRINT) != as_made.fingerprint or await own.fetchval(_SIZE) > _LARGEST:
                return False
            await own.execute(EMPTY)
            await own.execute(_SEQUENCES)
            return True
    except (
        asyncpg.PostgresError
    ):  # dropped, closed to connections, without a table of ours: none of these can be mended
        return False
