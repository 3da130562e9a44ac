"""The outcomes of tool calls that only a text of their result tells of: those that another pod or the store has."""

from __future__ import annotations

from typing import Final

from batkol.answering.answerer import ToolResult
from batkol.conversation.events import ToolOutcome

CANCELLED: Final = "Cut off before its answer came. It may be carried out all the same."
"""The result of a tool call that the end of the call, or a defect of the service, cancelled."""
_CANCELLED_ONCE: Final = "The call ended first."  # the same in records of earlier versions

STILL_RUNNING: Final = "This tool call is still being carried out; its result is not known yet."
"""The result of a tool call until it has one."""
MOVED: Final = "The call moved to another stream while this tool call was carried out. Its result is not known."
"""The result of a tool call that was carried out when the call moved, for the streams that follow."""

_NOT_DONE: Final = ("Refused: ", "Failed: ", CANCELLED, _CANCELLED_ONCE)
_WORDS: Final = frozenset(each.value for each in ToolOutcome if each is not ToolOutcome.DONE)  # in the place of a text


def was_carried_out(result: ToolResult) -> bool:
    """Whether a result is that of a tool call that was carried out."""
    return not result.content.startswith(_NOT_DONE) and result.content not in _WORDS
