"""Every record is in the database once, whatever happens to the database."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import asyncpg
import msgspec
import pytest
from structlog.testing import capture_logs

from batkol.store.journal.records import AnyRecord
from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres.address import Address
from batkol.store.postgres.writer import MOST, WriterState
from support.network.ports import free_port
from support.network.relay import Relay, relaying
from support.postgres.records import began, heard, over, revised, sid, who
from support.postgres.server import Server, name_of
from support.postgres.sql import connection, everything, sql, texts
from support.postgres.store_parts import QUICK, Kept
from support.time.waiting import eventually, until


def talk(call: int = 0, finals: int = 5) -> list[AnyRecord]:
    of = who(call)
    return [began(of), *(heard(index, of) for index in range(finals)), revised(0, of), over(of)]


def finals_of(calls: Sequence[int], finals: int = 5) -> list[tuple[str, int, str]]:
    return [(sid(call), index, f"משפט {index}") for call in calls for index in range(finals)]


@asynccontextmanager
async def behind_a_relay(
    server: Server,
    where: Address,
    folder: Path,
    patience: DatabaseTimeouts = DatabaseTimeouts(),  # noqa: B008  frozen
) -> AsyncIterator[tuple[Kept, Relay]]:
    """A store whose network to the database can be done something to."""
    async with relaying(server.port) as relay:
        made = Kept(server.over_tcp(where, relay.port), folder, patience=patience)
        await made.open()
        try:
            yield made, relay
        finally:
            await made.close()


@pytest.fixture
async def hasty(tmp_path: Path, where: Address) -> AsyncIterator[Kept]:
    """One that waits for its database no longer than a test should."""
    made = Kept(where, tmp_path, patience=QUICK)
    await made.open()
    yield made
    await made.close()


async def test_what_is_said_is_written_as_it_is_said(kept: Kept) -> None:
    kept.write()
    kept.say(talk(0))
    await kept.written()
    assert await texts(kept.where) == finals_of([0])
    kept.say(talk(1))
    await kept.written()

    assert await texts(kept.where) == finals_of([0, 1])
    assert (kept.writer.written, kept.writer.retries, kept.writer.fault) == (16, 0, "")
    assert (kept.writer.state, kept.writer.age_s) == (WriterState.IDLE, 0.0)


async def test_more_than_one_batch_is_written_to_the_last_record(kept: Kept) -> None:
    count = 2 * MOST + 7
    kept.say(heard(index) for index in range(count))
    await kept.written()

    assert [index for _, index, _ in await texts(kept.where)] == list(range(count))


async def test_a_server_that_is_stopped_and_started_again_has_everything(server: Server, kept: Kept) -> None:
    kept.write()
    kept.say(talk(0))
    await kept.written()
    await asyncio.to_thread(server.stop)
    try:
        with capture_logs() as lines:
            kept.say(talk(1))
            await until(lambda: kept.writer.state is WriterState.WAITING)
            kept.say(talk(2))
            await until(lambda: kept.writer.retries >= 3)
            assert kept.journal.waiting == 16
            assert kept.writer.age_s > 0
    finally:
        await asyncio.to_thread(server.start)
    await kept.written()

    assert await texts(kept.where) == finals_of([0, 1, 2])
    assert [lead["calls"] for lead in await sql(kept.where, "SELECT calls FROM leads")] == [3]
    said = [line["fault"] for line in lines if line["log_level"] == "warning"]
    assert said
    assert len(said) == len(set(said)), "each once, and not at every attempt"


async def test_a_connection_that_is_reset_in_the_middle_of_a_batch(
    server: Server, where: Address, tmp_path: Path
) -> None:
    async with behind_a_relay(server, where, tmp_path) as (kept, relay), connection(where) as other:
        kept.write()
        kept.say(talk(0))
        await kept.written()
        async with other.transaction():
            await other.execute("LOCK TABLE utterances")  # calls are written before: the batch is half done
            kept.say(talk(1))
            waiting = "SELECT 1 FROM pg_locks WHERE relation = 'utterances'::regclass AND NOT granted"
            await eventually(lambda: other.fetch(waiting))
            relay.cut()
            await until(lambda: kept.writer.retries >= 1)
        await kept.written()

        assert await texts(where) == finals_of([0, 1])
        assert [lead["calls"] for lead in await sql(where, "SELECT calls FROM leads")] == [2]


@pytest.mark.parametrize(
    "part", [0.05, 0.7, 1.0, *(pytest.param(p, marks=pytest.mark.nightly) for p in (0.4, 0.6, 0.8, 0.9))]
)
async def test_a_connection_that_is_reset_wherever_it_is(
    server: Server, where: Address, tmp_path: Path, part: float
) -> None:
    """Before the statements, between them, and when the commit is done and we are not told."""
    relay = CuttingRelay(server.port)
    async with relay:
        kept = Kept(server.over_tcp(where, relay.port), tmp_path)
        await kept.open()
        for call in range(2):  # the first connection of all asks the server what it is
            relay.answered = 0
            kept.say(talk(call))
            await kept.written()
            await kept.database.writing.dispose()
        relay.cut_after(max(1, int(part * relay.answered) - 1))
        kept.say(talk(2))
        await kept.written()
        await kept.close()

    assert await texts(where) == finals_of([0, 1, 2])
    assert [lead["calls"] for lead in await sql(where, "SELECT calls FROM leads")] == [3]
    assert kept.writer.retries == 1


class CuttingRelay:
    """Counts what the server answers, and resets one connection when it has answered so many bytes."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._left: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.answered = 0
        self.port = 0

    def cut_after(self, answered: int) -> None:
        self._left = answered

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        answering = asyncio.create_task(self._answer(far_reader, writer))
        try:
            while chunk := await reader.read(65536):
                far_writer.write(chunk)
        except ConnectionError:
            pass
        finally:
            far_writer.transport.abort()
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536 if self._left is None else min(self._left, 65536)):
            self.answered += len(chunk)
            writer.write(chunk)
            if self._left is not None:
                self._left -= len(chunk)
                if self._left <= 0:
                    await writer.drain()
                    self._left = None
                    break
        writer.transport.abort()


async def test_a_network_that_swallows_everything_is_given_up_and_tried_again(
    server: Server, where: Address, tmp_path: Path
) -> None:
    async with behind_a_relay(server, where, tmp_path, QUICK) as (kept, relay):
        kept.write()
        kept.say(talk(0))
        await kept.written()
        relay.forget()
        kept.say(talk(1))
        await until(lambda: kept.writer.retries >= 1)
        await kept.written()

        assert await texts(where) == finals_of([0, 1])
        assert relay.connections >= 2


async def test_a_table_that_is_locked_is_waited_for(hasty: Kept) -> None:
    async with connection(hasty.where) as other, other.transaction():
        await other.execute("LOCK TABLE calls")
        hasty.write()
        hasty.say(talk(0))
        await until(lambda: hasty.writer.retries >= 2 and "57014" in hasty.writer.fault)  # the server's own limit
        assert hasty.journal.waiting == 8
    await hasty.written()

    assert await texts(hasty.where) == finals_of([0])


async def test_readers_that_take_every_connection_do_not_hold_the_writer_up(kept: Kept) -> None:
    held = [await kept.database.reading.connect() for _ in range(2)]
    kept.say(talk(0))
    await kept.written()

    assert kept.writer.retries == 0
    for each in held:
        await each.close()


async def test_a_server_that_takes_no_more_connections_is_waited_for(server: Server, kept: Kept) -> None:
    others: list[asyncpg.Connection] = []
    full = False
    try:
        while not full:
            try:
                others.append(await asyncpg.connect(kept.where.dsn, ssl=False))
            except asyncpg.TooManyConnectionsError:
                full = True
        kept.write()
        kept.say(talk(0))
        await until(lambda: "53300" in kept.writer.fault)
    finally:
        for other in others:
            await other.close()
    await kept.written()

    assert await texts(kept.where) == finals_of([0])


async def test_a_server_that_only_reads_is_waited_for(kept: Kept) -> None:
    """What a standby says before it is the primary."""
    name = name_of(kept.where)
    await sql(kept.where, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    kept.write()
    kept.say(talk(0))
    await until(lambda: "25006" in kept.writer.fault)
    async with connection(kept.where) as other:
        await other.execute("SET default_transaction_read_only = off")
        await other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    await kept.written()

    assert await texts(kept.where) == finals_of([0])


async def test_tables_that_are_not_there_yet_are_waited_for(kept: Kept) -> None:
    await sql(kept.where, "ALTER TABLE leads RENAME TO not_yet")
    kept.write()
    kept.say(talk(0))
    await until(lambda: "42P01" in kept.writer.fault)
    await sql(kept.where, "ALTER TABLE not_yet RENAME TO leads")
    await kept.written()

    assert await texts(kept.where) == finals_of([0])
    assert kept.dead_letters.count == 0


async def test_a_record_that_the_database_refuses_is_set_aside_and_the_others_are_written(kept: Kept) -> None:
    poison = heard(3, text="סוד\x00")  # as no recorder writes it
    records = [*talk(0, finals=3), poison, *talk(1)]
    kept.say(records)
    assert kept.journal.append(b"\xc1 no record")
    kept.say(talk(2))
    with capture_logs() as lines:
        await kept.written()

    assert await texts(kept.where) == finals_of([0], 3) + finals_of([1, 2])
    assert (kept.dead_letters.count, kept.writer.retries) == (2, 0)
    aside = [msgspec.json.decode(line) for line in kept.dead_letters.path.read_bytes().splitlines()]
    assert [each["number"] for each in aside] == [1 + records.index(poison), len(records) + 1]
    assert "22P05" in aside[0]["why"]
    assert aside[1]["why"] == "DecodeError"
    assert [line["log_level"] for line in lines if "kept aside" in line["event"]] == ["error", "error"]
    assert "סוד" not in str(lines)


async def test_a_restart_writes_what_was_left_and_nothing_twice(server: Server, where: Address, tmp_path: Path) -> None:
    away = Kept(server.over_tcp(where, free_port()), tmp_path)
    await away.open()
    away.write()
    away.say(talk(0))
    await until(lambda: away.writer.retries >= 1)
    await away.close()
    back = Kept(where, tmp_path)
    await back.open()
    back.say(talk(1))
    await back.written()
    await back.close()

    assert await texts(where) == finals_of([0, 1])
    assert [lead["calls"] for lead in await sql(where, "SELECT calls FROM leads")] == [2]


async def test_what_was_written_and_not_released_changes_nothing_when_it_is_written_again(
    where: Address, tmp_path: Path
) -> None:
    """The process died between the database's commit and the journal's."""
    first = Kept(where, tmp_path)
    await first.open()
    first.say(talk(0))
    left = shutil.copytree(tmp_path, tmp_path.with_name(tmp_path.name + "-left"))
    await first.written()
    before = await everything(where)
    await first.close()
    again = Kept(where, left)
    await again.open()
    assert again.journal.waiting == 8
    await again.written()
    await again.close()

    assert await everything(where) == before


async def test_damaged_records_do_not_hold_up_those_behind_them(where: Address, tmp_path: Path) -> None:
    first = Kept(where, tmp_path)
    await first.open()
    first.say(talk(0))
    await until(lambda: first.journal.committed == first.journal.last and first.journal._committing is None)
    left = shutil.copytree(tmp_path / "journal", tmp_path / "left" / "journal").parent
    await first.close()
    log = left / "journal" / "journal.sqlite-wal"
    log.write_bytes(bytes(log.stat().st_size))
    with capture_logs():
        again = Kept(where, left)
        await again.open()
    again.say(talk(1))
    await again.written()

    assert await texts(where) == finals_of([1])
    assert (again.journal.lost, again.journal.damaged) == (8, 1)
    await again.close()


async def test_nothing_of_what_was_said_is_in_a_log_line(hasty: Kept) -> None:
    with capture_logs() as lines:
        async with connection(hasty.where) as other, other.transaction():
            await other.execute("LOCK TABLE calls")
            hasty.write()
            hasty.say(talk(0))
            await until(lambda: hasty.writer.retries >= 1)
        await hasty.written()

    assert lines
    assert "משפט" not in str(lines)
    assert who().caller not in str(lines)
