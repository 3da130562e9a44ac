"""The database's confirmations to this journal: the number of records, and the number of the newest erasure.

It is kept beside the journal, so that a process knows it from the start, and notices a database that went back in time:
one that was restored from a backup, or a standby that lacked the last transactions, has fewer records of this journal
than it had confirmed. The file is written behind, without a flush: one that is old is only less than what is true.
"""

from __future__ import annotations

import asyncio
import os
import struct
import zlib
from pathlib import Path
from typing import Final

import structlog

from batkol.store.postgres.connections import Database
from batkol.store.postgres.faults import error_name
from batkol.store.postgres.order import Confirmation, look
from batkol.store.postgres.remedies import remedy_of

FILE: Final = "confirmed"

_FIELDS: Final = struct.Struct("<4s16sQQ")
_CHECKSUM: Final = struct.Struct("<I")
_VERSION: Final = b"BKC1"

log = structlog.get_logger()


class Confirmed:
    """One per journal, on the event loop. If its disk fails, the next process knows less; that is logged."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._name = os.urandom(16)
        self._writing: asyncio.Future[None] | None = None
        self._is_behind = False  # and what is being written is not the newest
        self._fault = ""  # of the disk
        self._unanswered = ""  # why the database was not heard at the last look
        self.delivered = 0
        """Records that the database has confirmed, at least."""
        self.erasure = 0
        """Number of the newest erasure that is known; 0: the database has never been asked."""
        self.went_back = 0
        """Times that the database lacked records that it had confirmed, since the start."""

    @property
    def journal(self) -> str:
        """The journal's own name, random and kept for as long as its folder."""
        return self._name.hex()

    async def open(self) -> None:
        """Read what the process before knew. Raises nothing: without it, this process has to learn it anew."""
        try:
            data = await asyncio.to_thread(self._path.read_bytes)
        except FileNotFoundError:
            data = b""
        except OSError as error:
            data = b""
            self._log_fault(error)
        if not self._read(data):
            self._write_soon()

    def _read(self, data: bytes) -> bool:
        if len(data) != _FIELDS.size + _CHECKSUM.size or _CHECKSUM.pack(zlib.crc32(data[: _FIELDS.size])) != data[-4:]:
            return False
        version, name, delivered, erasure = _FIELDS.unpack_from(data)
        if version != _VERSION:
            return False
        self._name, self.delivered, self.erasure = name, delivered, erasure
        return True

    async def refresh(self, database: Database) -> None:
        """Ask the database, while nothing waits to be written. Raises nothing: it is asked again when it is due."""
        patience = database.patience
        try:
            async with (
                asyncio.timeout(patience.connect_s + patience.command_s),
                database.writing.connect() as connection,
            ):
                found = await look(connection, self.journal)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the writer meets it when there is something to write
            if not self._unanswered:
                log.warning(
                    "[STORE] the database does not say which erasure was the newest; calls that begin now count as "
                    "older than the next erasure",
                    fault=error_name(error),
                    remedy=remedy_of(error_name(error)),
                )
            self._unanswered = error_name(error)
            await database.renew_writing()
        else:
            self._unanswered = ""
            self.learn(found)

    def learn(self, found: Confirmation, records: int = 0) -> None:
        """Learn the database's answer, which came with so many delivered records."""
        before = found.delivered or 0
        if before < self.delivered or found.erasure < self.erasure:
            self.went_back += 1
            log.error(
                "[STORE] the database went back in time: it lacks records that it had confirmed. It was restored from "
                "a backup, a standby that was behind took over, or DATABASE_URL names another database",
                missing=max(0, self.delivered - before),
                remedy="repeat every `batkol erase` since the backup; docs/runbooks.md#batkoldatabasewentback",
            )
            self.delivered = before
        new = max(self.delivered, before) + records, found.erasure
        if new != (self.delivered, self.erasure):
            self.delivered, self.erasure = new
            self._write_soon()

    def _write_soon(self) -> None:
        if self._writing is not None:
            self._is_behind = True
            return
        fields = _FIELDS.pack(_VERSION, self._name, self.delivered, self.erasure)
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._write, fields)
        self._writing.add_done_callback(self._on_written)

    def _write(self, fields: bytes) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(file, fields + _CHECKSUM.pack(zlib.crc32(fields)), 0)
        finally:
            os.close(file)

    def _on_written(self, done: asyncio.Future[None]) -> None:
        self._writing = None
        error = None if done.cancelled() else done.exception()
        self._log_fault(error)
        if self._is_behind:
            self._is_behind = False
            if error is None:
                self._write_soon()

    def _log_fault(self, error: BaseException | None) -> None:
        fault = str(error) if error is not None else ""
        if fault and not self._fault:
            log.error("[STORE] what the database has confirmed cannot be noted on the journal's disk", err=fault)
        self._fault = fault

    async def close(self) -> None:
        """Have the newest on the disk. Cancelling it loses what it notes, and nothing else."""
        while self._writing is not None:
            await asyncio.wait({self._writing})
            await asyncio.sleep(0)
