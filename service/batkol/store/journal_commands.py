"""`batkol journal status` and `batkol journal drain`: the journal of a pod that is no more, or does not run."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from batkol.errors import ConfigurationError
from batkol.paths import is_folder
from batkol.quantity import quantity
from batkol.store.journal import Journal, legacy
from batkol.store.journal.aside import asides
from batkol.store.journal.confirmed import Confirmed
from batkol.store.journal.dead_letters import DeadLetters
from batkol.store.journal.device import Device
from batkol.store.journal.disk import FILE, LOCK, MARK
from batkol.store.journal.file import wal_of
from batkol.store.journal.framing import places
from batkol.store.journal.mark import Position, read
from batkol.store.journal.repair import spots
from batkol.store.journal.tmpfs import NAME, identity_of
from batkol.store.options import OutboxSettings
from batkol.store.postgres.address import address
from batkol.store.postgres.connections import Database
from batkol.store.postgres.writer import Writer

WriteLine = Callable[[str], None]

EVENTS_OF_ALL: Final = OutboxSettings("", ())
"""Events of a journal go to the sinks that the database knows of their agents; it learns of no other."""


class Found(NamedTuple):
    """The contents of a journal that is not in use."""

    records: int
    unreadable: int
    dead_letters: int
    asides: list[Path]


def carry_out_status(folder: Path, memory: Path, *, write_line: WriteLine) -> int:
    """Print the contents of a journal, and change nothing; returns the exit code: 1 if it is in use or missing."""
    lock = _locked(folder, write_line)
    if lock is None:
        return 1
    try:
        found = _found(folder, memory)
    except OSError as error:
        write_line(_unreadable(folder, error))
        return 1
    finally:
        os.close(lock)
    waiting = quantity(found.records, f"record in {folder} waits", f"records in {folder} wait")
    write_line(f"{waiting} for the database; `batkol journal drain` delivers them")
    if found.unreadable:
        more = quantity(found.unreadable, "more record is", "more records are")
        write_line(f"at least {more} there, and cannot be read without a repair of the file")
    if found.dead_letters:
        write_line(
            f"{quantity(found.dead_letters, 'record is', 'records are')} in dead-letters.jsonl, because the database "
            "refused the contents"
        )
    for aside in found.asides:
        write_line(f"{aside.name} is a damaged file that the service set aside; its readable records were delivered")
    return 0


async def carry_out_drain(url: str, folder: Path, memory: Path, *, within: float, write_line: WriteLine) -> int:
    """Deliver what a journal holds to the database; returns the exit code, 0 if nothing is left and nothing is lost.

    Raises `ConfigurationError`: no such database, or the folder cannot be had.
    """
    if not url:
        raise ConfigurationError(
            "there is no DATABASE_URL; set it, in the environment or in .env, to the database that receives the records"
        )
    where = address(url)
    lock = _locked(folder, write_line)
    if lock is None:
        return 1
    os.close(lock)
    journal, database, letters, confirmed = (
        Journal(folder, max_bytes=sys.maxsize, memory=memory),
        Database(where),
        DeadLetters(folder),
        Confirmed(folder),
    )
    await journal.open()
    await confirmed.open()
    writer = Writer(journal, database, letters, confirmed, EVENTS_OF_ALL)
    writing = asyncio.create_task(writer.run())
    try:
        await _flushed(writer, writing, within)
        if not journal.waiting:
            await journal.settle()
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await confirmed.close()
        await journal.close()
        await database.close()
    return _concluded(journal, writer, letters, where.shown, write_line)


async def _flushed(writer: Writer, writing: asyncio.Task[None], within: float) -> None:
    """Wait until the database has everything, for so many seconds at most. Raises what ended the writer."""
    flushing = asyncio.create_task(writer.flush(within))
    await asyncio.wait((flushing, writing), return_when=asyncio.FIRST_COMPLETED)
    flushing.cancel()
    if writing.done():
        writing.result()


def _concluded(journal: Journal, writer: Writer, letters: DeadLetters, shown: str, write_line: WriteLine) -> int:
    write_line(f"{quantity(writer.written, 'record was', 'records were')} delivered to {shown}")
    if journal.waiting:
        why = (
            writer.fault
            or (journal.failing and f"the journal's disk: {journal.failing}")
            or "the time limit was reached"
        )
        write_line(f"{quantity(journal.waiting, 'record remains', 'records remain')} in the journal: {why}")
    if letters.count:
        refused = quantity(letters.count, "record, which is", "records, which are")
        write_line(f"the database refused {refused} in {letters.path}")
    if journal.lost:
        write_line(f"{quantity(journal.lost, 'record was', 'records were')} lost: the journal's file was damaged")
    return 1 if journal.waiting or letters.count or journal.lost else 0


def _locked(folder: Path, write_line: WriteLine) -> int | None:
    """Lock the journal and return the lock; None, and a message, if that is not possible."""
    if not is_folder(folder):
        write_line(f"there is no journal in {folder}; set JOURNAL_DIR or --journal-dir to the journal's folder")
        return None
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        write_line(_unreadable(folder, error))
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        write_line(
            f"a running service uses the journal in {folder}; GET /v1/status of that service has the journal's figures"
        )
        return None
    return lock


def _unreadable(folder: Path, error: OSError) -> str:
    why = error.strerror or type(error).__name__
    return f"the journal in {folder} cannot be read ({why}); run the command as the user of the service"


def _found(folder: Path, memory: Path) -> Found:
    """Read the bytes, and not by SQLite, which would change the file."""
    folders = [folder / "front"]
    if identity := identity_of(folder):
        folders.append(memory / f"batkol-{identity}")
    position = _position(folder)
    device = Device(folder)
    device.is_filling = True  # what cannot be read is counted as such
    numbers = {number for path in (folder / FILE, wal_of(folder / FILE)) for number, _ in spots(path, device)}
    stored = {number for number in numbers if number > position.released}
    newest = {
        place.number for each in folders if (path := each / NAME).is_file() for place in places(path.read_bytes())
    }
    unreadable = max(0, position.waiting(position.released) - len(stored | newest))
    older = legacy.read(folder, folders)
    letters = DeadLetters(folder).path
    return Found(
        records=len(stored | {number for number in newest if number > position.released}) + len(older.payloads),
        unreadable=unreadable + older.lost,
        dead_letters=letters.read_bytes().count(b"\n") if letters.exists() else 0,
        asides=asides(folder / FILE),
    )


def _position(folder: Path) -> Position:
    if not (folder / MARK).exists():
        return Position()
    with (folder / MARK).open("rb") as file:
        return read(file.fileno()) or Position()
