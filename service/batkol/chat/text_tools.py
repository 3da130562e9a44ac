"""Tools of a call in text: offered, checked, bounded and remembered as in a call, by the same code.

Only the webhooks may be another matter: unless they are asked for, nothing of the user's own is carried out, and the
answerer is given a stated result, so that the talk goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

from batkol.answering.answerer import ToolCall, ToolResult
from batkol.conversation import events, inputs
from batkol.conversation.agent import AgentSettings
from batkol.conversation.events import ToolOutcome
from batkol.conversation.tools.running import AttemptTools, ToolRunner
from batkol.conversation.tools.turn_tools import REPEATED, TurnTools, Verdict
from batkol.conversation.tools.webhook import PostTool, ToolRequest
from batkol.events.identity import REHEARSAL
from batkol.tools.definition import UNKNOWN, ToolDefinition

DONE: Final = '{"status": "done"}'
"""The result of a tool of which nothing else is stated."""

_log: FilteringBoundLogger = structlog.get_logger()


class TriedTool(msgspec.Struct, frozen=True):
    """A call of a tool, and what the answerer is given for it."""

    call: ToolCall
    content: str
    outcome: str = ToolOutcome.DONE.value
    """A `ToolOutcome`, or `repeated`: the same call was made before in this turn."""

    @property
    def counts(self) -> bool:
        """Whether it was carried out, or would have been."""
        return self.outcome not in {ToolOutcome.REFUSED.value, "repeated"}


class StatedResults:
    """Answers for webhooks that are not asked. `results` are by the tool's name."""

    def __init__(self, results: Mapping[str, str] | None = None) -> None:
        self._results = dict(results or {})

    async def post(self, tool: ToolDefinition, _: ToolRequest) -> str:
        """See `PostTool`."""
        return self._results.get(tool.name, DONE)


@dataclass(slots=True)
class _Attempt:
    attempt: int
    reply_id: str = ""


class TextTools:
    """The tools of one call. `aclose` ends what still runs."""

    def __init__(self, call_sid: str, post: PostTool) -> None:
        self.call_sid = call_sid
        self.stream_sid = f"MZ{call_sid[2:]}"
        self.direction = REHEARSAL
        self.log = _log
        self.ended: inputs.EndAsked | None = None
        """The end of the call, once a tool has asked for it."""
        self._runner = ToolRunner(self, post, self._put, self._spawn)
        self._outcomes: dict[tuple[str, str], ToolOutcome] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempts = 0

    @property
    def observe(self) -> events.ObserveReplies:
        """See `ToolCaller`."""
        return self._observe

    @property
    def lead(self) -> Mapping[str, Any]:
        """The fields of the lead that were saved so far."""
        return dict(self._runner.lead)

    def for_attempt(self, settings: AgentSettings, turn: int) -> AttemptTools:
        """Return the tools of an attempt that begins now."""
        tools = self._runner.for_attempt(settings, turn)
        self._attempts += 1
        tools.owner = _Attempt(self._attempts)
        return tools

    async def carry_out(
        self, tools: AttemptTools, calls: Sequence[ToolCall], *, spoken: bool
    ) -> tuple[list[TriedTool], Verdict]:
        """Carry out the calls of an answer; return what came of each, and what follows."""
        before = len(tools.results)
        verdict = await tools.carry_out(calls, spoken=spoken)
        if verdict is Verdict.ENDS:
            tools.end()
        tried = [TriedTool(each.call, each.content, self._outcome(each)) for each in tools.results[before:]]
        return tried, verdict

    def answered(self) -> TurnTools:
        """Return the tools of the turn, which is answered."""
        return self._runner.answered()

    async def aclose(self) -> None:
        """Cancel what still runs."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _outcome(self, result: ToolResult) -> str:
        if result.content.startswith(REPEATED):
            return "repeated"
        arguments = result.call.arguments
        known = self._outcomes.get((result.call.name, arguments)) or self._outcomes.get((UNKNOWN, arguments))
        return (known or ToolOutcome.CANCELLED).value

    def _observe(self, event: events.ConversationEvent) -> None:
        if isinstance(event, events.ToolEnded):
            self._outcomes[event.name, event.arguments] = event.outcome

    def _put(self, event: inputs.Input) -> None:
        if isinstance(event, inputs.EndAsked):
            self.ended = event

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="chat.tool")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
