"""Corrections: what a person says was said in an utterance, beside what a recognizer heard."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import asdict
from sqlalchemy import ColumnElement, Select, Table, and_, delete, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from batkol.store.postgres.faults import driver_faults
from batkol.store.postgres.schema import calls, corrections, utterances
from batkol.store.postgres.statements import HOLD


class UtteranceKey(msgspec.Struct, frozen=True):
    """The place of an utterance in the store."""

    call_sid: str
    stream_sid: str
    index: int


_KEY: Final = UtteranceKey.__struct_fields__

LARGEST_INDEX: Final = 2**31 - 1


async def correct(engine: AsyncEngine, key: UtteranceKey, text: str | None, by: str) -> bool:
    """Write what was said in an utterance; None removes it. Returns False without such an utterance.

    An erased call has none to correct. Under the lock of writers: an erasure comes before or after, and either way no
    correction of an erased call is left. Raises what the database does; then nothing has changed.
    """
    with driver_faults():
        async with engine.begin() as connection:
            await connection.execute(HOLD)
            if not await _is_there(connection, key):
                return False
            if text is None:
                await connection.execute(delete(corrections).where(_is(corrections, key)))
                return True
            values = {**asdict(key), "text": text, "corrected_by": by, "corrected_at": func.now()}
            statement = insert(corrections).values(values)
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=list(_KEY),
                    set_={name: statement.excluded[name] for name in ("text", "corrected_by", "corrected_at")},
                )
            )
    return True


async def correct_rest(engine: AsyncEngine, call_sid: str, by: str) -> int:
    """Write for every utterance of a call without a correction that it was heard right; return how many there were."""
    heard = func.coalesce(utterances.c.revised_text, utterances.c.text, "")
    corrected = exists().where(*(corrections.c[name] == utterances.c[name] for name in _KEY))
    of_call = exists().where(calls.c.call_sid == call_sid, calls.c.erased_at.is_(None))
    columns = [utterances.c[name] for name in _KEY]
    rest = select(*columns, heard, literal(by)).where(utterances.c.call_sid == call_sid, ~corrected, of_call)
    names = [*_KEY, "text", "corrected_by"]
    with driver_faults():
        async with engine.begin() as connection:
            await connection.execute(HOLD)
            statement = insert(corrections).from_select(names, rest).on_conflict_do_nothing()
            return (await connection.execute(statement)).rowcount


def corrected_calls() -> Select[Any]:
    """Return the SIDs of all calls with a correction, in order."""
    return select(corrections.c.call_sid).distinct().order_by(corrections.c.call_sid)


async def _is_there(connection: AsyncConnection, key: UtteranceKey) -> bool:
    found = select(utterances.c.index).join_from(utterances, calls, calls.c.call_sid == utterances.c.call_sid)
    wanted = found.where(_is(utterances, key), calls.c.erased_at.is_(None))
    return (await connection.execute(wanted)).first() is not None


def _is(table: Table, key: UtteranceKey) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in asdict(key).items()))
