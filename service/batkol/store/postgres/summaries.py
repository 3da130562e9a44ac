"""Summaries of ended calls in the tables: which calls want one, who makes it, what came of it.

A row is the state of one summary, so a restart loses nothing, and several pods share the work. An attempt is claimed by
one pod, for some time: if the pod dies, the attempt is due again after that. Whatever is written at its end counts only
if the row still is as it was claimed. So an erasure, which deletes the row, wins over a summary that is under way, and
so does a call that went on.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.journal.record import LONGEST_TEXT, bounded
from batkol.store.postgres.faults import driver_faults
from batkol.store.postgres.statements import HOLD

SETTLED_S: Final = 20
"""Seconds for which nothing of an ended call was written before it is summed up: its last words may be under way."""

LOOK_BACK_H: Final = 1
"""Hours in which a call must have ended, when the service first looks at it."""

CLAIMED_S: Final = 180
"""Seconds after which an attempt without a result is made again: its pod is gone."""

MOST_ATTEMPTS: Final = 5
"""Attempts for one summary; then it is given up."""

FIRST_PAUSE_S: Final = 30
"""Seconds before the second attempt; four times as long before each further one."""

_MOST_AT_ONCE: Final = 1000

_WANT: Final = text("""
INSERT INTO summaries (call_sid, agent, state, attempts, due_at, of_end)
SELECT calls.call_sid, calls.agent, 'waiting', 0, calls.updated_at + :settled * interval '1 s', calls.ended_at
FROM calls
WHERE calls.agent = :agent AND calls.ended_at IS NOT NULL AND calls.erased_at IS NULL
  AND calls.updated_at > now() - :hours * interval '1 h'
  AND NOT EXISTS (
      SELECT FROM summaries WHERE summaries.call_sid = calls.call_sid AND summaries.of_end = calls.ended_at)
ORDER BY calls.call_sid LIMIT :most
ON CONFLICT (call_sid) DO UPDATE
SET state = 'waiting', attempts = 0, reason = NULL, due_at = excluded.due_at, of_end = excluded.of_end,
    updated_at = now()
WHERE summaries.of_end IS DISTINCT FROM excluded.of_end
""")  # what another pod wrote since this statement began is no part of its SELECT: its claim must stand

_CLAIM: Final = text("""
WITH due AS (
    SELECT summaries.call_sid FROM summaries JOIN calls USING (call_sid)
    WHERE summaries.agent = :agent AND summaries.state = 'waiting' AND summaries.due_at <= now()
      AND summaries.of_end = calls.ended_at AND summaries.attempts < :most
    ORDER BY summaries.due_at LIMIT 1 FOR UPDATE OF summaries SKIP LOCKED
)
UPDATE summaries SET attempts = attempts + 1, due_at = now() + :claimed * interval '1 s', updated_at = now()
FROM due WHERE summaries.call_sid = due.call_sid
RETURNING summaries.call_sid, summaries.attempts, summaries.of_end
""")

_GIVE_UP: Final = text("""
UPDATE summaries SET state = 'given_up', reason = 'pod_died', updated_at = now()
WHERE agent = :agent AND state = 'waiting' AND attempts >= :most AND due_at <= now()
RETURNING call_sid
""")
_AS_CLAIMED: Final = (
    "call_sid = :call_sid AND state = 'waiting' AND attempts = :attempts AND of_end = CAST(:of_end AS timestamptz)"
)
_LOCK_CALL: Final = text(
    "SELECT call_sid FROM calls WHERE call_sid = :call_sid AND erased_at IS NULL FOR NO KEY UPDATE"
)
_FINISH: Final = text(f"""
UPDATE summaries SET state = 'done', text = :text, reason = NULL, updated_at = now() WHERE {_AS_CLAIMED}
""")  # noqa: S608  constants of this module
_NOTE: Final = text("""
UPDATE leads SET last_summary = :text, updated_at = now()
FROM calls WHERE calls.call_sid = :call_sid AND leads.agent = calls.agent AND leads.last_call_sid = calls.call_sid
  AND leads.caller_number IN (calls.caller_number, calls.called_number)
""")
_FAIL: Final = text(f"""
UPDATE summaries SET reason = :reason, state = :state, due_at = now() + :pause * interval '1 s', updated_at = now()
WHERE {_AS_CLAIMED}
""")  # noqa: S608  constants of this module
_WAITING: Final = text("SELECT count(*) FROM summaries WHERE agent = :agent AND state = 'waiting'")


class SummaryState(StrEnum):
    """States of a summary."""

    WAITING = "waiting"
    DONE = "done"
    GIVEN_UP = "given_up"


class Claim(msgspec.Struct, frozen=True):
    """An attempt at the summary of a call, by this pod alone."""

    call_sid: str
    attempts: int  # this one included
    of_end: Any  # the end of the call as it was then


async def want_summaries(engine: AsyncEngine, agent: str) -> int:
    """Note the ended calls of an agent that want a summary; return how many wait. Raises what the database does."""
    given = {"agent": agent, "settled": SETTLED_S, "hours": LOOK_BACK_H, "most": _MOST_AT_ONCE}
    with driver_faults():
        async with engine.begin() as connection:
            await connection.execute(HOLD)  # no erasure passes between reading the calls and this
            await connection.execute(_WANT, given)
            waiting: int = (await connection.execute(_WAITING, {"agent": agent})).scalar_one()
    return waiting


async def claim_summary(engine: AsyncEngine, agent: str) -> Claim | None:
    """Take the next attempt that is due, or None. Raises what the database does."""
    with driver_faults():
        async with engine.begin() as connection:
            given = {"agent": agent, "claimed": CLAIMED_S, "most": MOST_ATTEMPTS}
            row = (await connection.execute(_CLAIM, given)).one_or_none()
    return None if row is None else Claim(row.call_sid, row.attempts, row.of_end)


async def give_up_unfinished(engine: AsyncEngine, agent: str) -> list[str]:
    """Give up the summaries whose last attempt no pod has ended, and return their calls: each attempt's pod died.

    Raises what the database does.
    """
    with driver_faults():
        async with engine.begin() as connection:
            rows = await connection.execute(_GIVE_UP, {"agent": agent, "most": MOST_ATTEMPTS})
            return [row.call_sid for row in rows]


async def finish_summary(engine: AsyncEngine, claim: Claim, made: str) -> bool:
    """Keep a summary, and note it with the caller whose newest call this is; false if it must not be kept any more.

    Raises what the database does.
    """
    given = _given(claim) | {"text": bounded(made, LONGEST_TEXT)}
    with driver_faults():
        async with engine.begin() as connection:
            await connection.execute(HOLD)
            if (await connection.execute(_LOCK_CALL, _only(_LOCK_CALL, given))).first() is None:
                return False
            if not (await connection.execute(_FINISH, given)).rowcount:
                return False
            await connection.execute(_NOTE, _only(_NOTE, given))
    return True


async def fail_summary(engine: AsyncEngine, claim: Claim, reason: str, *, for_good: bool = False) -> SummaryState:
    """Note why an attempt failed, and when the next one is due, if there is one. Raises what the database does."""
    given_up = for_good or claim.attempts >= MOST_ATTEMPTS
    state = SummaryState.GIVEN_UP if given_up else SummaryState.WAITING
    pause = FIRST_PAUSE_S * 4 ** (claim.attempts - 1)
    given = _given(claim) | {"reason": reason, "state": state.value, "pause": pause}
    with driver_faults():
        async with engine.begin() as connection:
            await connection.execute(_FAIL, given)
    return state


def _given(claim: Claim) -> dict[str, Any]:
    return {"call_sid": claim.call_sid, "attempts": claim.attempts, "of_end": claim.of_end}


def _only(statement: TextClause, given: dict[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in statement.compile().params}
