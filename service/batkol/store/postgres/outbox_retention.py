"""The limits of the outbox: old events go, delivered or not, and sinks that no pod has had for as long."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.postgres.outbox_tables import sink_lock

OUTBOX_DAYS: Final = 7
"""Age at which events leave the outbox: so long may a receiver be away, and so far back does a replay reach."""

OUTBOX_ROWS: Final = 5_000_000
"""Events in the outbox from which the oldest go before that: some 5 GB with their indexes."""

# The oldest go by their positions, which no transaction takes twice. Events that a sink has not read are counted for
# it: those behind its position, and those of streams that wait.
_EXPIRE: Final = text("""
WITH oldest AS (
    SELECT position, written_at FROM outbox ORDER BY position LIMIT :batch
), gone AS (
    DELETE FROM outbox WHERE position IN (
        SELECT position FROM oldest
        WHERE written_at < now() - make_interval(days => :days)
            OR position <= (SELECT max(position) FROM outbox) - CAST(:rows AS bigint)
    )
    RETURNING agent, stream_sid, transaction, position
), lost AS (
    SELECT sinks.agent, sinks.name, count(*) AS events
    FROM gone JOIN sinks ON sinks.agent = gone.agent
    LEFT JOIN sink_streams AS waiting ON waiting.agent = sinks.agent AND waiting.sink = sinks.name
        AND waiting.stream_sid = gone.stream_sid
    WHERE (gone.transaction, gone.position) > (sinks.transaction, sinks.position)
        OR (gone.transaction, gone.position) > (waiting.transaction, waiting.position)
    GROUP BY 1, 2
), counted AS (
    UPDATE sinks SET expired = sinks.expired + lost.events FROM lost
    WHERE sinks.agent = lost.agent AND sinks.name = lost.name
)
SELECT count(*) FROM gone
""")

# One whose lock a pod has stays, whatever the clock says: it may have been set forward.
_FORGET: Final = text(f"""
WITH old AS MATERIALIZED (
    SELECT agent, name FROM sinks WHERE seen_at < now() - make_interval(days => :days)
), left_alone AS MATERIALIZED (
    SELECT agent, name FROM old WHERE pg_try_advisory_xact_lock({sink_lock("agent", "name")})
)
DELETE FROM sinks USING left_alone WHERE sinks.agent = left_alone.agent AND sinks.name = left_alone.name
""")  # noqa: S608  a constant


async def expire_events(engine: AsyncEngine, batch: int, days: int = OUTBOX_DAYS, rows: int = OUTBOX_ROWS) -> int:
    """Delete the oldest events of the outbox, at most `batch`, if they are too old or too many; return how many.

    Raises what the database does.
    """
    async with engine.begin() as connection:
        return int((await connection.execute(_EXPIRE, {"batch": batch, "days": days, "rows": rows})).scalar_one())


async def forget_sinks(engine: AsyncEngine, days: int = OUTBOX_DAYS) -> int:
    """Forget the sinks that no pod has had for so many days, with their dead letters; return how many.

    Raises what the database does.
    """
    async with engine.begin() as connection:
        return (await connection.execute(_FORGET, {"days": days})).rowcount
