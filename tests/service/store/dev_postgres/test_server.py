import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from batkol.errors import ConfigurationError
from batkol.store.dev_postgres import server
from batkol.store.dev_postgres.server import Embedded, passing
from batkol.store.postgres.address import address
from batkol.urls import masked_in
from support.postgres.server import copy_data
from support.postgres.sql import sql

LEAVES_A_SERVER = """
import sys, time
from pathlib import Path
from batkol.store.dev_postgres.server import Embedded
server = Embedded(Path(sys.argv[1]))
server.start()
print((Path(sys.argv[1]) / "data" / "postmaster.pid").read_text().splitlines()[0], flush=True)
time.sleep(60)
"""


@pytest.fixture
def empty_folder() -> Iterator[Path]:
    """Pytest's own folders are closed to the user that a server of root's runs as."""
    made = Path(tempfile.mkdtemp(prefix="batkol-test-pg-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def folder(empty_folder: Path, postgres_data: Path) -> Path:
    """A folder in which a server has been before; to make its data takes longer than the rest."""
    copy_data(postgres_data, empty_folder)
    return empty_folder


async def test_what_is_kept_is_there_when_it_is_started_again(empty_folder: Path) -> None:
    server = Embedded(empty_folder)
    server.start()
    await sql(server.address, "CREATE TABLE kept AS SELECT 7 AS number")
    server.stop()
    with pytest.raises(OSError):
        await sql(server.address, "SELECT 1")
    again = Embedded(empty_folder)
    again.start()

    assert await sql(again.address, "SELECT number FROM kept") == [{"number": 7}]
    again.stop()


def test_only_its_own_user_reaches_it_and_that_is_never_root(folder: Path) -> None:
    server = Embedded(folder)
    server.start()
    (socket,) = (path for path in folder.rglob(".s.PGSQL.*") if path.is_socket())
    mode = socket.stat().st_mode & 0o777
    owner = Path(f"/proc/{_postmaster(folder)}").stat().st_uid
    server.stop()

    assert mode == 0o700
    assert owner == (65534 if os.geteuid() == 0 else os.geteuid())
    assert not socket.exists()


@pytest.mark.nightly
async def test_a_folder_whose_name_is_too_long_for_a_socket_will_do(empty_folder: Path, postgres_data: Path) -> None:
    empty_folder.chmod(0o755)
    long = empty_folder / ("x" * 100)
    copy_data(postgres_data, long)
    server = Embedded(long)
    server.start()
    assert await sql(server.address, "SELECT 1 AS one") == [{"one": 1}]
    server.stop()

    assert not server._sockets.exists()


async def test_a_server_of_its_own_goes_with_its_data() -> None:
    async with passing() as server:
        assert await sql(server.address, "SHOW server_encoding") == [{"server_encoding": "UTF8"}]
        (shown,) = await sql(server.address, "SHOW data_directory")
        data, sockets = Path(shown["data_directory"]), server._sockets
        assert data.exists()
        assert sockets.exists()

    assert not data.exists()
    assert not sockets.exists()


def test_it_ends_when_we_are_killed_and_its_data_can_be_taken_over_at_once(folder: Path) -> None:
    command = [sys.executable, "-c", LEAVES_A_SERVER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        postmaster = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    next_one = Embedded(folder)
    next_one.start()

    assert _postmaster(folder) != postmaster
    assert not Path(f"/proc/{postmaster}/exe").exists()
    assert [path.name for path in folder.glob("batkol-pg-*")] == [next_one._sockets.name]
    next_one.stop()


def test_a_server_that_another_process_has_is_refused_with_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "START_S", 1.0)
    first = Embedded(folder)
    first.start()
    with pytest.raises(ConfigurationError, match=r"did not start.*set another DATABASE_DIR for this process"):
        Embedded(folder).start()
    first.stop()


def test_a_folder_that_cannot_be_is_refused_with_what_to_do(empty_folder: Path) -> None:
    (empty_folder / "data").write_text("a file")

    with pytest.raises(ConfigurationError, match=r"cannot store its data.*Name another folder in DATABASE_DIR"):
        Embedded(empty_folder).start()


def test_where_the_wheel_is_not_installed_the_sentence_says_what_can_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "find_spec", lambda _: None)

    with pytest.raises(ConfigurationError, match=r"pip install.*set DATABASE_URL, or set STORE=none"):
        server.programs()


def _postmaster(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


@pytest.mark.nightly
async def test_it_starts_beside_the_variables_of_another_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGPORT": "none", "PGSERVICE": "none", "PGDATA": "/none", "PGOPTIONS": "-x"}.items():
        monkeypatch.setenv(name, value)
    server = Embedded(folder)
    server.start()
    try:
        assert await sql(server.address, "SELECT 1 AS one") == [{"one": 1}]
    finally:
        server.stop()


def test_its_address_can_be_copied_out_of_the_log(empty_folder: Path) -> None:
    """What has an `@` may have a password, and is masked there."""
    url = Embedded(empty_folder).url

    assert masked_in(f"url={url}") == f"url={url}"
    assert address(url) == address(f"postgresql://postgres@/postgres?{url.partition('?')[2].partition('&user')[0]}")
