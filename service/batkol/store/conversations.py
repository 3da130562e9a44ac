"""The conversation of a call so far, for a pod that takes the call over."""

from __future__ import annotations

from typing import Protocol

from batkol.answering.answerer import HistoryMessage
from batkol.errors import UpstreamError


class StoreUnavailableError(UpstreamError):
    """The database did not answer, or not in time. `reason` names the fault; it has no text of a caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the store did not answer: {reason}", reason=reason, retryable=True)


class StoredConversations(Protocol):
    """A store, as a call reads it."""

    async def conversation(self, call_sid: str, within_s: float) -> tuple[HistoryMessage, ...]:
        """Return what was said in all streams of a call, the oldest first; nothing of an unknown or erased call.

        It has the newest 200 messages at most; an agent's text is what the caller heard, and its `results` are the
        tools that were called for it. Raises `StoreUnavailableError` if the database does not answer within `within_s`
        seconds. Cancelling it loses nothing.
        """
        ...
