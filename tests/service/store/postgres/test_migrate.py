import asyncio
import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from asyncpg import UndefinedTableError

from batkol.store.postgres import migrate
from batkol.store.postgres.address import Address
from batkol.store.postgres.batch import batch_of, save
from batkol.store.postgres.connections import engine_without_timeout
from batkol.store.postgres.schema import metadata
from support.postgres.records import began, heard, over, revised, who
from support.postgres.server import Server, empty_database
from support.postgres.sql import connection, everything, sql, texts

VERSIONS = sorted(
    path.stem.partition("_")[0]
    for path in (Path(migrate.__file__).parents[1] / "migrations" / "versions").glob("[0-9]*.py")
)


@pytest.fixture
async def filled(where: Address) -> Address:
    engine = engine_without_timeout(where)
    records = [each for n in range(20) for each in (began(who(n)), heard(0, who(n)), revised(0, who(n)), over(who(n)))]
    async with engine.begin() as open_:
        await save(open_, batch_of(records))
    await engine.dispose()
    return where


async def test_down_and_up_again_on_a_filled_database(filled: Address) -> None:
    assert len(await texts(filled)) == 20
    for version in reversed(VERSIONS[:-1]):
        assert await migrate.downgrade(filled, version) == version
        assert await migrate.upgrade(filled) == VERSIONS[-1]
        assert len(await texts(filled)) == 20
    assert await migrate.downgrade(filled, "base") == "base"
    with pytest.raises(UndefinedTableError):
        await texts(filled)
    tables = await sql(filled, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert [row["tablename"] for row in tables] == [migrate.VERSIONS]
    assert await migrate.current(filled) is None

    assert await migrate.upgrade(filled) == VERSIONS[-1] == migrate.head()
    assert await texts(filled) == []


async def test_going_where_one_is_changes_nothing(filled: Address) -> None:
    before = await everything(filled)

    assert await migrate.upgrade(filled) == migrate.head()
    assert await everything(filled) == before


async def test_the_migrations_make_the_tables_that_the_code_knows(where: Address) -> None:
    engine = engine_without_timeout(where)
    async with engine.connect() as open_:
        differences = await open_.run_sync(
            lambda bare: compare_metadata(
                MigrationContext.configure(bare, opts={"version_table": migrate.VERSIONS, "compare_type": True}),
                metadata,
            )
        )
    await engine.dispose()

    assert differences == []


async def test_several_pods_may_migrate_at_once(server: Server) -> None:
    async with empty_database(server) as empty:
        reached = await asyncio.gather(*(migrate.upgrade(empty) for _ in range(6)))

        assert reached == [migrate.head()] * 6
        assert await texts(empty) == []


async def test_a_migration_that_is_under_way_is_waited_for(server: Server) -> None:
    async with empty_database(server) as empty, connection(empty) as other:
        await other.execute("SELECT pg_advisory_lock($1)", migrate.MIGRATING)
        second = asyncio.create_task(migrate.upgrade(empty))
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not await other.fetch(waiting):
            await asyncio.sleep(0.02)
        assert await migrate.current(empty) is None
        await other.execute("SELECT pg_advisory_unlock($1)", migrate.MIGRATING)

        assert await second == migrate.head()


async def test_the_sql_does_the_same(server: Server, where: Address) -> None:
    async with empty_database(server) as empty:
        async with connection(empty) as open_:
            await open_.execute(migrate.sql())

        assert await migrate.current(empty) == migrate.head()
        assert await everything(empty) == await everything(where)
        columns = (
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
        )
        assert sorted(map(repr, await sql(empty, columns))) == sorted(map(repr, await sql(where, columns)))


async def test_a_database_without_our_tables_is_at_nothing(server: Server) -> None:
    async with empty_database(server) as empty:
        assert await migrate.current(empty) is None


async def test_each_version_says_what_it_follows() -> None:
    assert all(re.fullmatch(r"\d{4}", version) for version in VERSIONS)
    assert migrate.head() == VERSIONS[-1]
