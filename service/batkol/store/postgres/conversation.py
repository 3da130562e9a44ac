"""The words of a call, as the history of its conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.answering.answerer import HistoryMessage, Role, ToolCall, ToolResult
from batkol.store.conversations import StoreUnavailableError
from batkol.store.postgres.conversation_queries import newest_messages
from batkol.store.postgres.faults import DB_ERRORS, error_name
from batkol.store.postgres.reading import rows


async def said_in(engine: AsyncEngine, call_sid: str, within_s: float) -> tuple[HistoryMessage, ...]:
    """Return the newest messages of a call, the oldest first. Raises `StoreUnavailableError`."""
    try:
        async with asyncio.timeout(within_s):
            found = await rows(engine, newest_messages(call_sid))
    except DB_ERRORS as error:
        raise StoreUnavailableError(error_name(error)) from None  # its text may quote what was said
    return tuple(
        HistoryMessage(Role(row["role"]), row["text"], tuple(map(_result, row["tools"] or ())))
        for row in reversed(found)
    )


def _result(stored: Sequence[str]) -> ToolResult:
    """Return a tool call; one that a version without results stored has its outcome as a result."""
    name, arguments, outcome, result = stored
    return ToolResult(ToolCall("", name, arguments), result or outcome)
