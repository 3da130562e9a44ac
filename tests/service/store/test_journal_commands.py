import asyncio
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from batkol.errors import ConfigurationError
from batkol.main import app
from batkol.store.journal import Journal
from batkol.store.journal_commands import carry_out_drain, carry_out_status
from batkol.store.postgres.address import Address
from support.network.ports import free_port
from support.postgres.records import began, heard
from support.postgres.sql import texts
from support.postgres.store_parts import Kept
from support.process.commands import command
from support.time.waiting import until


async def left(where: Address, folder: Path, *, finals: int = 20) -> Path:
    """The journal of a pod that was killed: most on the disk, the last in memory."""
    pod = Kept(where, folder / "pod")
    await pod.open()
    pod.say([began(), *(heard(index) for index in range(finals))])
    await until(lambda: pod.journal.committed == pod.journal.last)
    pod.say([heard(finals)])
    copy = folder / "dead"
    await asyncio.to_thread(shutil.copytree, folder / "pod", copy)
    await pod.close()
    return copy


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    (tmp_path / "pod").mkdir()
    return tmp_path


def status(folder: Path) -> tuple[int, list[str]]:
    said: list[str] = []
    return carry_out_status(folder / "journal", folder / "memory", write_line=said.append), said


async def drain(url: str, folder: Path, within: float = 20.0) -> tuple[int, list[str]]:
    said: list[str] = []
    code = await carry_out_drain(url, folder / "journal", folder / "memory", within=within, write_line=said.append)
    return code, said


async def test_status_says_what_waits_and_changes_nothing(where: Address, pod: Path) -> None:
    dead = await left(where, pod)
    before = {path: path.read_bytes() for path in dead.rglob("*") if path.is_file()}
    code, said = status(dead)

    assert (code, said) == (
        0, [f"22 records in {dead / 'journal'} wait for the database; `batkol journal drain` delivers them"]
    )  # fmt: skip
    assert {path: path.read_bytes() for path in dead.rglob("*") if path.is_file()} == before


async def test_draining_delivers_everything_once_and_leaves_nothing(where: Address, pod: Path) -> None:
    dead = await left(where, pod)
    code, said = await drain(where.dsn, dead)

    assert (code, said) == (0, [f"22 records were delivered to {where.shown}"])
    assert len(await texts(where)) == 21
    assert status(dead)[1][0].startswith("0 records")
    assert (await drain(where.dsn, dead))[0] == 0


async def test_a_database_that_is_away_leaves_everything_and_says_why(where: Address, pod: Path) -> None:
    dead = await left(where, pod)
    with capture_logs():
        code, said = await drain(f"postgresql://batkol:s3cr3t@127.0.0.1:{free_port()}/calls", dead, within=0.3)

    assert code == 1
    assert "22 records remain in the journal: " in said[1]
    assert "s3cr3t" not in str(said)
    assert (await drain(where.dsn, dead))[0] == 0
    assert len(await texts(where)) == 21


async def test_what_is_lost_is_no_success(where: Address, pod: Path) -> None:
    dead = await left(where, pod)
    shutil.rmtree(dead / "memory")
    log = dead / "journal" / "journal.sqlite-wal"
    log.write_bytes(log.read_bytes().replace("משפט 7".encode(), "משפט 8".encode()))
    assert status(dead)[1][1] == "at least 1 more record is there, and cannot be read without a repair of the file"
    with capture_logs():
        code, said = await drain(where.dsn, dead)

    assert (code, said[1]) == (1, "1 record was lost: the journal's file was damaged")
    assert len(await texts(where)) == 19
    assert status(dead)[1][-1].startswith("journal.sqlite.damaged is a damaged file")


async def test_one_in_use_is_left_alone(tmp_path: Path) -> None:
    kept = Journal(tmp_path / "journal", max_bytes=1 << 30)
    await kept.open()
    (code, said), (drained, why) = status(tmp_path), await drain("postgresql://x@127.0.0.1/x", tmp_path)

    assert (code, drained) == (1, 1)
    assert said == why
    assert "a running service uses the journal in" in said[0]
    await kept.close()


async def test_what_is_not_there_is_said_with_what_to_set(tmp_path: Path) -> None:
    assert "JOURNAL_DIR or --journal-dir" in status(tmp_path)[1][0]
    assert (await drain("postgresql://x@127.0.0.1/x", tmp_path))[0] == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigurationError, match="there is no DATABASE_URL"):
        await drain("", tmp_path)


async def test_from_the_shell(where: Address, pod: Path) -> None:
    dead = await left(where, pod)
    folder, memory = str(dead / "journal"), str(dead / "memory")
    shown = CliRunner().invoke(app, ["journal", "status"], env={"JOURNAL_DIR": folder, "JOURNAL_MEMORY_DIR": memory})
    assert (shown.exit_code, "22 records" in shown.output) == (0, True)
    async with command(
        *("journal", "drain", "--within", "30"),
        DATABASE_URL=where.dsn,
        JOURNAL_DIR=folder,
        JOURNAL_MEMORY_DIR=memory,
    ) as draining:
        said = await draining.stdout.read()
        code = await draining.process.wait()

    assert code == 0
    assert said.decode().splitlines()[-1] == f"22 records were delivered to {where.shown}"
