"""Every record is in the database once, behind a network that cuts connections and flips bits in them."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from batkol.store.postgres.address import Address
from support.network.damage import hostile
from support.postgres.records import began, heard, over, revised, sid, who
from support.postgres.server import Server
from support.postgres.sql import sql, texts
from support.postgres.store_parts import Kept

TESTS = Path(__file__).parents[2]
CALLS, FINALS = 4, 5
RESTARTS = 20


async def fill(where: Address, folder: Path) -> None:
    kept = Kept(where, folder)
    await kept.open()
    for call in range(CALLS):
        of = who(call)
        kept.say([began(of), *(heard(index, of) for index in range(FINALS)), revised(0, of), over(of)])
    await kept.close()


async def written_by_a_process(where: Address, folder: Path) -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.postgres.writer_process", where.dsn, str(folder),
        cwd=TESTS, env=dict(os.environ), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(1, 4))])
async def test_once_it_is_honest_every_record_is_there_once(
    server: Server, where: Address, tmp_path: Path, seed: int
) -> None:
    """A flipped bit can crash the driver, and the process with it: that is a restart, and nothing is lost by it.

    Nothing but a crash may end the process before it is done.
    """
    await fill(where, tmp_path)
    code, said, crashes = -1, b"", 0
    async with hostile(server.port, seed=seed, harmed=15) as relay:
        while code < 0 and crashes <= RESTARTS:
            code, said = await written_by_a_process(server.over_tcp(where, relay.port), tmp_path)
            crashes += code < 0

    assert code == 0, said.decode()
    assert relay.flips > 0
    assert relay.cuts > 0
    expected = [(sid(call), index, f"משפט {index}") for call in range(CALLS) for index in range(FINALS)]
    assert await texts(where) == expected
    assert [row["calls"] for row in await sql(where, "SELECT calls FROM leads")] == [CALLS]
    assert not (tmp_path / "journal" / "dead-letters.jsonl").exists()
