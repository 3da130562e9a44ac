"""The order of erasures and calls, independent of the pods' clocks.

Each erasure has a number, given by the database while no pod writes, and greater than all before it. A pod learns the
newest one with every batch, and every few seconds while there are no records, and puts it into the records of each
stream that begins. A stream whose number is less than that of an erasure began before that erasure, or while its pod
could not know; either way its words are erased. One whose number is not less began after it, for certain.

A number is at least the database's time in microseconds. So one that is given after a restore from a backup is greater
than all that were given before, though the sequence went back.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from batkol.store.postgres import ends
from batkol.store.postgres.lead_fields import ERASE_LEAD_FIELDS
from batkol.store.postgres.outbox_erase import erase_events
from batkol.store.postgres.schema import calls, erasures, leads, replies, summaries, tool_calls, utterances

_SIDS: Final = "call_sids"


class Confirmation(NamedTuple):
    """The database's state of a journal and of erasures, at one moment."""

    delivered: int | None
    """Records of this journal that it had before; None: it does not know this journal."""
    erasure: int
    """Number of the newest erasure."""


def _microseconds(time: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.extract("epoch", time) * 1_000_000, BigInteger)


# An erasure of a version without numbers, which a rollout may still have, is ordered by its time.
_NUMBER: Final = func.greatest(erasures.c.number, _microseconds(erasures.c.erased_at))

_NEWEST: Final = """
greatest((SELECT last_value FROM erasure_numbers),
         (SELECT (extract(epoch FROM max(erased_at)) * 1000000)::bigint FROM erasures))
"""

ERASED: Final = select(erasures.c.digest, _NUMBER.label("number")).where(
    erasures.c.digest == func.any(bindparam("digests", type_=ARRAY(erasures.c.digest.type)))
)
ALL_ERASED: Final = select(erasures.c.digest, erasures.c.erased_at, _NUMBER.label("number"))
NEWEST: Final = text(f"SELECT {_NEWEST}")

_NEXT: Final = text(f"""
SELECT clock.at AS at,
       setval('erasure_numbers', greatest(nextval('erasure_numbers'), {_NEWEST} + 1,
                                          (extract(epoch FROM clock.at) * 1000000)::bigint)) AS number
FROM (SELECT clock_timestamp() AS at OFFSET 0) AS clock
""")  # noqa: S608  constants of this module

_LOOK: Final = text(f"""
SELECT (SELECT delivered FROM journals WHERE journal = :journal) AS delivered, {_NEWEST} AS erasure
""")  # noqa: S608  constants of this module

_CONFIRM: Final = text(f"""
WITH before AS (SELECT delivered FROM journals WHERE journal = :journal)
INSERT INTO journals AS known (journal, delivered)
VALUES (:journal, greatest((SELECT delivered FROM before), CAST(:known AS bigint)) + :records)
ON CONFLICT (journal) DO UPDATE SET delivered = excluded.delivered, delivered_at = now()
RETURNING (SELECT delivered FROM before) AS delivered, {_NEWEST} AS erasure
""")  # noqa: S608  constants of this module


_ADOPT: Final = text(f"""
SELECT setval('erasure_numbers', newest) FROM (SELECT {_NEWEST} AS newest) AS found, erasure_numbers
WHERE newest > last_value
""")  # noqa: S608  constants of this module


async def adopt(connection: AsyncConnection) -> None:
    """Have the sequence know the erasures of versions without numbers. No erasure is under way meanwhile."""
    await connection.execute(_ADOPT)


async def next_erasure(connection: AsyncConnection) -> tuple[Any, int]:
    """Return the database's time, and the number of the erasure that has `ERASING` alone."""
    row = (await connection.execute(_NEXT)).one()
    return row.at, row.number


async def look(connection: AsyncConnection, journal: str) -> Confirmation:
    """Ask what the database knows; changes nothing. Raises what the database does."""
    row = (await connection.execute(_LOOK, {"journal": journal})).one()
    return Confirmation(row.delivered, row.erasure)


async def confirm(connection: AsyncConnection, journal: str, known: int, records: int) -> Confirmation:
    """Count these records as delivered, in the transaction that writes them; returns what was known before.

    `known` is what the journal knows to have delivered. Raises what the database does.
    """
    given = {"journal": journal, "known": known, "records": records}
    row = (await connection.execute(_CONFIRM, given)).one()
    return Confirmation(row.delivered, row.erasure)


def _given_sids() -> Any:
    return bindparam(_SIDS, type_=ARRAY(Text))


def _these() -> Any:
    return func.any(_given_sids())


_OUTBOUND: Final = calls.c.direction.startswith("outbound")
_EMPTY: Final = cast("", Text)

_ERASE_CALLS: Final = (
    update(calls)
    .where(calls.c.call_sid == _these())
    .values(
        caller_number=case((_OUTBOUND, calls.c.caller_number), else_=_EMPTY),
        called_number=case((_OUTBOUND, _EMPTY), else_=calls.c.called_number),
        erased_at=func.coalesce(calls.c.erased_at, func.now()),
    )
)
_ERASE_WORDS: Final = (
    update(utterances).where(utterances.c.call_sid == _these()).values(text="", revised_text=None),
    update(replies).where(replies.c.call_sid == _these()).values(intended="", heard=""),
    update(tool_calls).where(tool_calls.c.call_sid == _these()).values(arguments="", result=""),
)
_ERASE_SUMMARIES: Final = delete(summaries).where(summaries.c.call_sid == _these())


def _calls_of_lead(which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether there are such calls of a lead's: two questions, each for an index."""
    same = which & (calls.c.agent == leads.c.agent)
    return or_(
        exists().where(same, calls.c.caller_number == leads.c.caller_number, ~_OUTBOUND),
        exists().where(same, calls.c.called_number == leads.c.caller_number, _OUTBOUND),
    )


_ERASE_LEADS: Final = delete(leads).where(
    _calls_of_lead(calls.c.call_sid == _these()), ~_calls_of_lead(calls.c.call_sid != func.all(_given_sids()))
)


async def erase_calls(connection: AsyncConnection, call_sids: list[str]) -> None:
    """Erase calls whose beginning came after the erasure: what later streams brought, and all that is still to come."""
    await connection.execute(ends.LOCK, {ends.CALL_SIDS: call_sids})  # behind it, a summary that was just kept is seen
    for statement in (_ERASE_LEADS, ERASE_LEAD_FIELDS, _ERASE_CALLS, *_ERASE_WORDS, _ERASE_SUMMARIES):
        await connection.execute(statement, {_SIDS: call_sids})
    await erase_events(connection, call_sids)
