"""The databases of these tests: each test finds one as if it were new, whatever another did to the last one."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest

from batkol.store.postgres.address import Address
from batkol.store.postgres.erase import erase
from batkol.store.postgres.migrate import VERSIONS
from support.postgres.history_api import whole
from support.postgres.server import Server, database, name_of, sweep
from support.postgres.sql import connection, everything, sql
from support.postgres.store_parts import Kept

TABLES = ("calls", "utterances", "leads", "events", "call_statuses", "erasures", "journals")
TESTS = Path(__file__).parents[2]
CHANGES = [
    "CREATE TABLE more (n int)",
    "ALTER TABLE leads RENAME TO others",
    "ALTER TABLE leads ALTER name SET DEFAULT 'x'",
    "DROP INDEX calls_by_time",
    "CREATE FUNCTION one() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE RULE none AS ON DELETE TO leads DO INSTEAD NOTHING",
    f"UPDATE {VERSIONS} SET version_num = '9999'",
    "ALTER DATABASE {name} SET default_transaction_read_only = on",
    "INSERT INTO journals VALUES ('j', 1); ANALYZE journals",
    "DROP TABLE journals",
]


async def test_a_database_that_was_filled_is_as_new_for_the_next_test(server: Server, tmp_path: Path) -> None:
    async with database(server) as first:
        kept = Kept(first, tmp_path)
        await kept.open()
        kept.say(whole(0))
        await kept.written()
        await erase(kept.database.reading, "+1")
        await kept.close()
        (lead,) = await sql(first, "SELECT id FROM leads")
        left_open = await asyncpg.connect(first.dsn, ssl=False)
    async with database(server) as second:
        assert second == first
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
            await left_open.fetch("SELECT 1")
        assert await everything(second, TABLES) == {table: [] for table in TABLES}
        assert await sql(second, "SELECT nextval('erasure_numbers') AS next") == [{"next": 1}]
        await sql(
            second,
            "INSERT INTO leads (agent, caller_number, first_call_at, last_call_at, last_call_sid, calls)"
            " VALUES ('a', '+1', now(), now(), 'CA', 1)",
        )
        assert await sql(second, "SELECT id FROM leads") == [lead]


async def test_a_database_that_is_no_longer_what_it_was_goes_to_no_other_test(server: Server) -> None:
    for change in CHANGES:
        async with database(server) as where, connection(where) as own:
            await own.execute(change.format(name=name_of(where)))
        assert name_of(where) not in [each.name for each in server.spare], change
        assert not await exists(server, where), change


async def test_a_database_that_is_gone_or_full_is_replaced(server: Server) -> None:
    async with database(server) as gone:
        await sql(server.named("postgres"), f"DROP DATABASE {name_of(gone)} WITH (FORCE)")
    async with database(server) as full, connection(full) as own:
        await own.execute("INSERT INTO journals SELECT n::text, 1 FROM generate_series(1, 30000) AS n")

    assert not {name_of(gone), name_of(full)} & {each.name for each in server.spare}


async def exists(server: Server, where: Address) -> bool:
    rows = await sql(server.named("postgres"), "SELECT datname FROM pg_database")
    return name_of(where) in {row["datname"] for row in rows}


KILLED_IN_MID_TEST = """
import os, sys, tempfile
from pathlib import Path
from support.postgres.server import running_server
tempfile.tempdir = sys.argv[1]
with running_server(Path(sys.argv[2])) as server:
    print((server._data / "postmaster.pid").read_text().split()[0], flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_server_that_a_killed_run_leaves_ends_and_the_next_run_removes_its_data(
    server: Server, postgres_data: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="batkol-test-") as folder:
        Path(folder).chmod(0o755)  # the server's user enters it
        run = subprocess.run(
            [sys.executable, "-c", KILLED_IN_MID_TEST, folder, str(postgres_data)],
            cwd=TESTS, env={**os.environ, "PYTHONPATH": str(TESTS)}, stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == -signal.SIGKILL
        postmaster = int(run.stdout)
        (left,) = Path(folder).iterdir()
        sweep(Path(folder))
        in_use = server._folder
        sweep(in_use.parent)

        assert not left.exists()
        assert in_use.exists(), "its process lives"
        wait_for_end(postmaster)


def wait_for_end(process: int) -> None:
    until = time.monotonic() + 20
    while Path(f"/proc/{process}/exe").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
