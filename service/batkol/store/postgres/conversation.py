"""What was said in a call, as the history of its conversation."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy import Select, func, literal, select
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.answering.answerer import HistoryMessage, Role
from batkol.store.conversations import StoreUnavailableError
from batkol.store.postgres.faults import DB_ERRORS, error_name
from batkol.store.postgres.reading import rows
from batkol.store.postgres.schema import utterances

MOST: Final = 200
"""Messages that are returned of one call; the oldest are left out."""


async def said_in(engine: AsyncEngine, call_sid: str, within_s: float) -> tuple[HistoryMessage, ...]:
    """Return the newest messages of a call, the oldest first. Raises `StoreUnavailableError`."""
    try:
        async with asyncio.timeout(within_s):
            found = await rows(engine, _newest(call_sid))
    except DB_ERRORS as error:
        raise StoreUnavailableError(error_name(error)) from None  # its text may quote what was said
    return tuple(HistoryMessage(Role(row["role"]), row["text"]) for row in reversed(found) if row["text"])


def _newest(call_sid: str) -> Select[Any]:
    text = func.coalesce(utterances.c.revised_text, utterances.c.text)
    said = select(utterances.c.started_at.label("at"), literal(Role.CALLER.value).label("role"), text.label("text"))
    return (
        said.where(utterances.c.call_sid == call_sid, text != "").order_by(utterances.c.started_at.desc()).limit(MOST)
    )
