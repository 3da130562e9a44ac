"""A process that writes what a journal holds and ends: `python -m support.postgres.writer_process DATABASE_URL FOLDER`.

Its exit code is 0 when the database has everything; a driver that crashes takes this process and no test with it. What
kept it from writing is printed, a line for each kind.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import structlog

from batkol.backoff import Backoff
from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres import writer
from batkol.store.postgres.address import address
from support.postgres.store_parts import Kept

WITHIN_S = 100.0


async def main(url: str, folder: Path) -> None:
    kept = Kept(address(url), folder, patience=DatabaseTimeouts(connect_s=1.0, statement_s=1.0, command_s=1.0))
    await kept.open()
    await kept.written(WITHIN_S)
    await kept.close()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stdout))
    vars(writer).update(RETRY=Backoff(first_s=0.01, longest_s=0.01), MOST=4)  # many batches, and so many connections
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
