"""Erasure of a number: its callers' words, and the number. What remains are calls without a person, for the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Text, and_, cast, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.postgres.numbers import digest, identities
from batkol.store.postgres.order import next_erasure
from batkol.store.postgres.outbox_erase import erase_events
from batkol.store.postgres.schema import (
    calls,
    corrections,
    erasures,
    leads,
    outbox,
    replies,
    summaries,
    tool_calls,
    utterances,
)
from batkol.store.postgres.statements import ERASING

REMEMBERED_DAYS: Final = 90
"""Time for which an erased number's digest is kept, for records that journals may still hold."""


class Erased(msgspec.Struct, frozen=True):
    """Counts of the rows that an erasure changed."""

    calls: int
    utterances: int
    leads: int
    replies: int = 0
    tool_calls: int = 0
    summaries: int = 0
    corrections: int = 0
    events: int = 0
    """Events of the outbox."""


async def erase(engine: AsyncEngine, number: str) -> Erased:
    """Erase a caller's number or address, in one transaction. Raises the database's errors; then nothing is changed.

    Raises `ConfigurationError` for what names no one caller.

    No writer writes meanwhile. Calls of this number that began before now, and that a journal has not delivered yet,
    are delivered without text and number, independent of the pods' clocks (`order`). A call that is going on is
    erased up to its end.
    """
    spellings = identities(number)
    async with engine.begin() as connection:
        await connection.execute(select(func.pg_advisory_xact_lock(ERASING)))
        now, place = await next_erasure(connection)
        values = {"erased_at": now, "number": place}
        mark = insert(erasures).values([{"digest": digest(each), **values} for each in spellings])
        await connection.execute(mark.on_conflict_do_update(index_elements=[erasures.c.digest], set_=values))
        found = list((await connection.execute(select(calls.c.call_sid).where(_calls_of(spellings)))).scalars())
        these = func.any(cast(found, ARRAY(Text)))
        said = [
            (await connection.execute(statement)).rowcount
            for statement in (
                update(utterances).where(utterances.c.call_sid == these).values(text="", revised_text=None),
                update(replies).where(replies.c.call_sid == these).values(intended="", heard=""),
                update(tool_calls).where(tool_calls.c.call_sid == these).values(arguments="", result=""),
                delete(summaries).where(summaries.c.call_sid == these),
                delete(corrections).where(corrections.c.call_sid == these),
            )
        ]
        said.append(await erase_events(connection, found))
        for column in (calls.c.caller_number, calls.c.called_number):
            await connection.execute(
                update(calls)
                .where(calls.c.call_sid == these, column.in_(spellings))
                .values({column.name: "", "erased_at": now, "updated_at": now})
            )
        deleted = await connection.execute(delete(leads).where(leads.c.caller_number.in_(spellings)))
    texts, *others = said
    return Erased(len(found), texts, deleted.rowcount, *others)


UNFINISHED_DAYS: Final = 2
"""Days for which an erasure is completed that an older version made, in a rollout."""


async def complete_erasures(engine: AsyncEngine) -> int:
    """Erase what the agent said and did in erased calls, corrections and events, where an older version left them.

    Returns how many rows had it.

    Raises what the database does.
    """
    recent = func.now() - text(f"interval '{UNFINISHED_DAYS} days'")
    erased = select(calls.c.call_sid).where(calls.c.erased_at.is_not(None), calls.c.erased_at > recent)
    left = 0
    async with engine.begin() as connection:
        for statement in (
            update(replies)
            .where(replies.c.call_sid.in_(erased), (replies.c.intended != "") | (replies.c.heard != ""))
            .values(intended="", heard=""),
            update(tool_calls)
            .where(tool_calls.c.call_sid.in_(erased), (tool_calls.c.arguments != "") | (tool_calls.c.result != ""))
            .values(arguments="", result=""),
            delete(summaries).where(summaries.c.call_sid.in_(erased)),
            delete(corrections).where(corrections.c.call_sid.in_(erased)),
        ):
            left += (await connection.execute(statement)).rowcount
        unerased = select(outbox.c.call_sid).where(outbox.c.call_sid.in_(erased), ~outbox.c.is_erased).distinct()
        left += await erase_events(connection, list((await connection.execute(unerased)).scalars()))
    return left


def _calls_of(numbers: Sequence[str]) -> ColumnElement[bool]:
    """Their calls: as caller, or as the one who was called by us. The other end of those is a line of our own."""
    outbound = calls.c.direction.startswith("outbound")
    return or_(and_(calls.c.caller_number.in_(numbers), ~outbound), and_(calls.c.called_number.in_(numbers), outbound))
