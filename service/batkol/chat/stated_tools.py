"""Calls of tools that are not carried out: the answerer is given a stated result, so that the talk goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from batkol.answering.answerer import ToolCall
from batkol.chat.text_call import TriedTool

DONE: Final = '{"status": "done"}'
"""The result of a tool of which nothing else is stated."""
ENDING: Final = frozenset({"hang_up", "transfer"})
"""The built-in tools after which the caller's call is over."""


class StatedTools:
    """Carries nothing out. `results` are by the tool's name."""

    def __init__(self, results: Mapping[str, str] | None = None) -> None:
        self._results = dict(results or {})

    async def try_out(self, call: ToolCall) -> TriedTool:
        """See `ToolTrial.try_out`."""
        content = self._results.get(call.name, DONE)
        return TriedTool(call, content, ends_call=call.name in ENDING)
