"""The tool calls of one turn and their results: for the next question, and for the history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import msgspec

from batkol.answering.answerer import ToolCall, ToolResult
from batkol.answering.tool_calls import is_object
from batkol.conversation.events import ToolOutcome
from batkol.conversation.tools.outcomes import STILL_RUNNING

REPEATED: Final = "The same tool call was made before in this turn and is not carried out again. Its result: "


class Verdict(Enum):
    """The consequence of the tool calls of an answer."""

    GO_ON = "the model is asked again, with the results"
    ENDS = "the call ends or is transferred: nothing is asked any more"
    GIVE_UP = "the model calls tools on and on"


@dataclass(slots=True, eq=False)
class ToolRun:
    """One tool call that was carried out, or is, or was refused. `due`: the loop's time at which it is given up."""

    call: ToolCall
    due: float = 0.0
    content: str = STILL_RUNNING
    outcome: ToolOutcome | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def finish(self, outcome: ToolOutcome, content: str) -> None:
        """Note how it has ended."""
        self.outcome, self.content = outcome, content
        self.over.set()


class TurnTools:
    """The tool calls of one turn, of all its attempts: what was begun for one of them is known to the next."""

    __slots__ = ("_runs", "by_key", "rounds")

    def __init__(self) -> None:
        self.rounds = 0
        """Answers of the turn so far that called tools."""
        self.by_key: dict[str, ToolRun] = {}
        """The runs by name and arguments."""
        self._runs: list[tuple[ToolCall, ToolRun]] = []

    def add(self, call: ToolCall, run: ToolRun) -> None:
        """Keep a tool call, with the run that carries it out: its own, or that of the same call before."""
        self._runs.append((call, run))

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """The tool calls in their order, and what is known of each."""
        return tuple(
            ToolResult(call, run.content if run.call is call else f"{REPEATED}{run.content}")
            for call, run in self._runs
        )

    @property
    def done(self) -> tuple[ToolResult, ...]:
        """The tool calls that were carried out, each once."""
        return tuple(
            ToolResult(call, run.content)
            for call, run in self._runs
            if run.call is call and run.outcome is ToolOutcome.DONE
        )

    def restore(self, done: Sequence[ToolResult]) -> None:
        """Begin with what was carried out for the turn on another stream of the call."""
        for each in done:
            run = ToolRun(each.call)
            run.finish(ToolOutcome.DONE, each.content)
            if is_object(each.call.arguments):
                self.by_key[key_of(each.call.name, msgspec.json.decode(each.call.arguments))] = run
            self.add(each.call, run)

    @property
    def size(self) -> int:
        """Characters of all results."""
        return sum(len(run.content) for _, run in self._runs)


def key_of(name: str, arguments: dict[str, Any]) -> str:
    """Return what two tool calls have in common that are the same."""
    return f"{name} {msgspec.json.encode(arguments, order='deterministic').decode()}"
