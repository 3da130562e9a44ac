import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from typer.testing import CliRunner

from batkol.errors import ConfigurationError
from batkol.main import app
from batkol.store.commands import carry_out_erasure, carry_out_migration
from batkol.store.postgres import migrate
from batkol.store.postgres.address import Address
from support.network.ports import free_port
from support.postgres.records import CALLER, began, heard, replied, tool, who
from support.postgres.server import Server, database, empty_database
from support.postgres.sql import sql, texts
from support.postgres.store_parts import Kept


async def migration(url: str, *, down: str = "", check: bool = False, may_be_away: bool = False) -> tuple[int, str]:
    said: list[str] = []
    code = await carry_out_migration(url, down=down, check=check, may_be_away=may_be_away, write_line=said.append)
    return code, "\n".join(said)


async def erasure(url: str, number: str = CALLER) -> tuple[int, str]:
    said: list[str] = []
    return await carry_out_erasure(url, number, write_line=said.append), "\n".join(said)


@pytest.fixture
async def empty(server: Server) -> AsyncIterator[Address]:
    async with empty_database(server) as made:
        yield made


def in_process(*words: str, url: str = "") -> tuple[int, str]:
    """Run a command in this process; returns the exit code and what it said."""
    done = CliRunner().invoke(app, words, env={"DATABASE_URL": url, "COLUMNS": "300"})
    return done.exit_code, done.output


async def test_migrating_checking_and_going_down(server: Server) -> None:
    async with empty_database(server) as empty:
        code, said = await migration(empty.dsn, check=True)
        assert (code, "is at no revision" in said, "run `batkol migrate`" in said) == (1, True, True)
        code, said = await migration(empty.dsn)
        assert (code, f"is at {migrate.head()}" in said) == (0, True)
        code, said = await migration(empty.dsn, check=True)
        assert (code, "the revision of this version" in said) == (0, True)
        code, said = await migration(empty.dsn, down="base")
        assert (code, "is at base" in said) == (0, True)
        assert await migrate.current(empty) is None


async def test_erasing_says_what_was_found(kept: Kept) -> None:
    kept.say([began(), heard(0), replied(1), replied(2), tool()])
    await kept.written()

    code, said = await erasure(kept.where.dsn)

    assert (code, said.splitlines()[0]) == (
        0,
        (
            "erased: 1 utterance, 0 corrections, 2 replies, 1 tool call and 0 summaries of 1 call, "
            "0 events for sinks, and 1 lead"
        ),
    )
    assert len(await sql(kept.where, "SELECT * FROM erasures")) == 1


async def test_erasing_nobody_is_no_success(server: Server) -> None:
    async with database(server) as where:
        code, said = await erasure(where.dsn)

        assert code == 1
        assert "no call and no lead of this caller is stored" in said
        assert len(await sql(where, "SELECT * FROM erasures")) == 1, "a journal may still hold a call of theirs"


async def test_erasing_a_withheld_number_is_refused(kept: Kept) -> None:
    withheld = ("", " ", "anonymous", "+266696687", "Restricted")
    for call, nobody in enumerate(withheld):
        kept.say([began(who(call, caller=nobody.strip())), heard(0, who(call, caller=nobody.strip()))])
    await kept.written()

    for nobody in withheld:
        with pytest.raises(ConfigurationError, match="names no caller"):
            await erasure(kept.where.dsn, nobody)
    assert [text for *_, text in await texts(kept.where)] == ["משפט 0"] * len(withheld)


@pytest.mark.parametrize("command", [migration, erasure])
async def test_without_a_database_it_says_what_to_set(command: object) -> None:
    assert callable(command)
    with pytest.raises(ConfigurationError, match="there is no DATABASE_URL; set it"):
        await command("")


@pytest.mark.parametrize("command", [migration, erasure])
async def test_a_database_that_is_away_is_an_error_without_its_password(command: object) -> None:
    assert callable(command)
    with pytest.raises(ConfigurationError) as raised:
        await command(f"postgresql://batkol:s3cr3t@127.0.0.1:{free_port()}/calls")

    assert "ConnectionRefusedError" in str(raised.value)
    assert "s3cr3t" not in str(raised.value)


async def test_a_database_that_may_be_away_is_left_and_one_that_refuses_is_not(server: Server) -> None:
    code, said = await migration(f"postgresql://batkol:s3cr3t@127.0.0.1:{free_port()}/calls", may_be_away=True)
    assert (code, "cannot be reached (ConnectionRefusedError); its tables are unchanged" in said) == (0, True)
    assert "s3cr3t" not in said

    nowhere = server.named("there_is_no_such_database")
    with pytest.raises(ConfigurationError, match="cannot be migrated"):
        await migration(nowhere.dsn, may_be_away=True)


async def test_tables_of_a_newer_version_are_left_as_they_are(server: Server) -> None:
    """The image was taken back; the tables were not."""
    async with database(server) as where:
        await sql(where, f"UPDATE {migrate.VERSIONS} SET version_num = '9999'")
        code, said = await migration(where.dsn)
        assert (code, f"is at 9999, which is newer than {migrate.head()}" in said) == (0, True)
        code, said = await migration(where.dsn, check=True)
        assert (code, "which a newer version created" in said, "run `batkol" in said) == (1, True, False)
        with pytest.raises(ConfigurationError, match="cannot be migrated, and is unchanged: Can't locate revision"):
            await migration(where.dsn, down="base")
        assert await migrate.current(where) == "9999"


def test_the_command_line_has_an_exit_code_for_each_outcome(empty: Address) -> None:
    code, printed = in_process("migrate", "--sql")
    assert (code, "CREATE TABLE calls" in printed, printed.rstrip().endswith("COMMIT;")) == (0, True, True)
    usage, said = in_process("migrate", url="sqlite:///calls.db")
    assert (usage, "one writer for one file" in said) == (2, True)
    from_a_shell = subprocess.run(
        [sys.executable, "-m", "batkol", "migrate"], env={**os.environ, "DATABASE_URL": empty.dsn}, check=False
    )
    assert (from_a_shell.returncode, asyncio.run(migrate.current(empty))) == (0, migrate.head())
    assert in_process("erase", "+1", url=empty.dsn)[0] == 1
    assert in_process("erase", "", url=empty.dsn)[0] == 2
