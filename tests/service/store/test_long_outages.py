"""What lasts for hours, or goes back a day: a database that is full or only reads, and volumes that were restored.

No hours are waited for: an outage of an hour is some 360 attempts, 10 s apart, and each finds what the last one found.
A full disk is a trigger that raises what Postgres raises then (a real one: `test_full_disk`); everything else here is
done to a real server.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from batkol.store.postgres import migrate
from batkol.store.postgres.address import Address
from batkol.store.postgres.connections import Database
from batkol.store.postgres.erase import erase
from support.postgres.backups import backup, restore
from support.postgres.records import CALLER, finals_of, over, sid, talk, who
from support.postgres.server import Server, name_of
from support.postgres.sql import connection, everything, sql, texts
from support.postgres.store_parts import IN_VAIN, Kept, newest
from support.time.waiting import until

pytestmark = pytest.mark.usefixtures("hasty_writer")

OTHER = "+972509999999"


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{code}';
END $$ LANGUAGE plpgsql;
CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.mark.parametrize(
    ("code", "table"),
    [  # disk_full, io_error
        ("53100", "journals"),
        pytest.param("53100", "calls", marks=pytest.mark.nightly),
        pytest.param("58030", "utterances", marks=pytest.mark.nightly),
    ],
)
async def test_a_full_database_is_waited_for_and_gets_everything_once(kept: Kept, code: str, table: str) -> None:
    async with connection(kept.where) as other:
        await other.execute(REFUSE.format(code=code, table=table))
    with capture_logs() as lines:
        await kept.say_in_vain()
        state, fault, waiting = kept.writer.state.value, kept.writer.fault, kept.journal.waiting
        assert await texts(kept.where) == []
        await sql(kept.where, f"DROP TRIGGER refuse ON {table}")
        await kept.written()

    assert (state, waiting) == ("waiting", 10)
    assert code in fault
    assert await texts(kept.where) == finals_of(0, 1)
    assert [lead["calls"] for lead in await sql(kept.where, "SELECT calls FROM leads")] == [2]
    assert (kept.journal.refused, kept.dead_letters.count, kept.confirmed.went_back) == (0, 0, 0)
    assert len([line for line in lines if code in str(line.get("fault"))]) == 1, "said once, not at every attempt"


async def test_a_database_that_only_reads_is_waited_for_and_the_oldest_stays_when_the_journal_is_full(
    server: Server, where: Address, tmp_path: Path
) -> None:
    kept = Kept(where, tmp_path, max_bytes=4000)
    await kept.open()
    admin = server.named("postgres")
    await sql(admin, f"ALTER DATABASE {name_of(where)} SET default_transaction_read_only = on")
    with capture_logs() as lines:
        kept.say(talk(0))
        kept.write()
        await until(lambda: kept.writer.retries >= IN_VAIN and "25006" in kept.writer.fault)
        fault = kept.writer.fault
        while kept.journal.append(b"no record"):  # the hours in which others speak
            pass
        refused = kept.journal.refused
        await sql(admin, f"ALTER DATABASE {name_of(where)} RESET default_transaction_read_only")
        await kept.written()
        kept.say(talk(1))
        await kept.written()
    await kept.close()

    assert "25006" in fault
    assert refused == 1
    assert await texts(where) == finals_of(0, 1)
    assert len([line for line in lines if "25006" in str(line.get("fault")) and "tries again" in line["event"]]) == 1


async def erased_by_hand(where: Address, number: str) -> None:
    """As `batkol erase` does: a process of its own, with a connection of its own."""
    by_hand = Database(where)
    await erase(by_hand.reading, number)
    await by_hand.close()


def went_back(lines: Sequence[Mapping[str, Any]]) -> list[int]:
    return [line["missing"] for line in lines if "went back in time" in str(line["event"])]


async def test_a_database_restored_to_yesterday_is_noticed_by_an_idle_pod_and_what_comes_is_written(
    server: Server, kept: Kept
) -> None:
    where = kept.where
    kept.say(talk(0))
    await kept.written()
    async with backup(server, where) as copy:
        with capture_logs() as lines:
            kept.say(talk(1))
            await kept.written()
            await erase(kept.database.reading, CALLER)
            known = await newest(kept)
            await until(lambda: kept.confirmed.erasure == known)
            await restore(server, where, copy)
            await until(lambda: kept.confirmed.went_back)
            kept.say(talk(2))
            await kept.written()

    assert went_back(lines) == [5], "said once, with how many are missing"
    assert await texts(where) == finals_of(0, 2), "what was erased since the backup is back: it is to be erased again"
    kept.say(talk(3, after_erasure=known))  # a call from before the restore
    await erased_by_hand(where, CALLER)
    await kept.written()
    assert {text for *_, text in await texts(where)} == {""}
    assert kept.confirmed.went_back == 1


async def test_a_database_restored_to_yesterday_is_noticed_by_the_next_process(
    server: Server, where: Address, tmp_path: Path
) -> None:
    first = Kept(where, tmp_path)
    await first.open()
    first.say(talk(0))
    await first.written()
    async with backup(server, where) as copy:
        first.say(talk(1))
        await first.written()
        await first.close()
        await restore(server, where, copy)
        again = Kept(where, tmp_path)
        await again.open()
        with capture_logs() as lines:
            again.say(talk(2))
            await again.written()
        await again.close()

    assert went_back(lines) == [5]
    assert await texts(where) == finals_of(0, 2)


async def test_a_schema_that_is_older_than_the_code_is_waited_for(kept: Kept) -> None:
    """A restore brings yesterday's tables, too. `batkol migrate` is the way on."""
    kept.say(talk(0))
    await kept.written()
    await migrate.downgrade(kept.where, "0001")
    with capture_logs() as lines:
        kept.say(talk(1))
        await until(lambda: kept.writer.retries >= 3 and "SQLSTATE 42" in kept.writer.fault)
        fault = kept.writer.fault
        await migrate.upgrade(kept.where)
        await kept.written()

    assert "SQLSTATE 42" in fault
    assert await texts(kept.where) == finals_of(0, 1)
    assert kept.dead_letters.count == 0
    assert len(went_back(lines)) == 1, "the older version does not know what journals have delivered"


async def test_a_journal_restored_to_yesterday_delivers_again_and_changes_nothing(
    where: Address, tmp_path: Path
) -> None:
    folder, copy = tmp_path / "pod", tmp_path / "yesterday"
    folder.mkdir()
    first = Kept(where, folder)
    await first.open()
    known = await newest(first)
    first.say(talk(0, after_erasure=known)[:-1])  # going on: its end is not in yesterday's journal
    first.say(talk(1, caller=OTHER, after_erasure=known))
    await first.close()
    await asyncio.to_thread(shutil.copytree, folder, copy)
    again = Kept(where, folder)
    await again.open()
    again.say([over(who(0))])
    await again.written()
    await erase(again.database.reading, OTHER)
    await again.close()
    before = await everything(where)
    await asyncio.to_thread(shutil.rmtree, folder)
    restored = Kept(where, copy)
    await restored.open()
    assert restored.journal.waiting == 9
    await restored.written()
    went = restored.confirmed.went_back
    await restored.close()

    assert await everything(where) == before
    assert OTHER not in str(before)
    (ended,) = await sql(where, "SELECT ended_at FROM calls WHERE call_sid = $1", sid(0))
    assert ended["ended_at"] is not None
    assert went == 0, "the database has more than yesterday's journal knows of, and not less"
