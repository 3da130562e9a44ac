"""Closes calls whose own end never came: their pod was killed, or its volume is gone. A little at a time."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.postgres.ends import CLOSE_BY_STATUS, CLOSE_LOST, SILENT_H

BATCH: Final = 100
"""Calls closed in one transaction."""

MOST: Final = 10_000
"""Calls closed in one run, of either kind; the rest waits for the next one."""

PAUSE_S: Final = 0.1
"""Seconds between two batches: others want the database, too."""

log = structlog.get_logger()


class Closed(msgspec.Struct, frozen=True):
    """Counts of closed calls."""

    told: int  # with the end of Twilio's status
    lost: int  # after a day without a sign of life


async def close_open(engine: AsyncEngine, *, batch: int = BATCH, most: int = MOST, pause_s: float = PAUSE_S) -> Closed:
    """Close calls that have a status of Twilio, and calls without a record for `SILENT_H` hours.

    Several pods may close calls at once: each leaves out the rows that another one has in hand. Raises what the
    database does; cancelling it, or losing the database, leaves whole batches done.
    """
    closed = Closed(
        told=await _close(engine, CLOSE_BY_STATUS, batch, most, pause_s),
        lost=await _close(engine, CLOSE_LOST, batch, most, pause_s),
    )
    if closed.told or closed.lost:
        log.info(
            "[STORE] calls whose end no pod recorded were closed", told=closed.told, lost=closed.lost, after_h=SILENT_H
        )
    return closed


async def _close(engine: AsyncEngine, statement: Any, batch: int, most: int, pause_s: float) -> int:
    closed = 0
    while closed < most:
        async with engine.begin() as connection:
            these = (await connection.execute(statement, {"limit": min(batch, most - closed)})).rowcount
        closed += these
        if these < batch:
            break
        await asyncio.sleep(pause_s)
    return closed
