"""The carrying out of the tools that an answer calls: each once, bounded, and never before the turn is committed.

What was begun for an attempt goes on when that attempt is thrown away or interrupted: a webhook that has its request
cannot be called back. It ends by itself, within the time of its tool, and its result is known to the next question. The
end of the call cancels it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from structlog.typing import FilteringBoundLogger

from batkol.answering.answerer import Tool, ToolCall, ToolResult
from batkol.answering.tool_calls import LARGEST_ARGUMENTS, MOST_CALLS
from batkol.conversation import events, inputs
from batkol.conversation.agent import AgentSettings
from batkol.conversation.events import ToolOutcome
from batkol.conversation.tools.built_in import LABEL
from batkol.conversation.tools.lead import SAVED, save_fields
from batkol.conversation.tools.offered import OfferedTool, offered
from batkol.conversation.tools.outcomes import CANCELLED
from batkol.conversation.tools.turn_tools import ToolRun, TurnTools, Verdict, key_of
from batkol.conversation.tools.webhook import PostTool, ToolError, ToolRequest
from batkol.tools.arguments import ArgumentsError, read_arguments
from batkol.tools.definition import HANG_UP, SAVE_LEAD, TRANSFER, UNKNOWN, ToolDefinition

MOST_ROUNDS: Final = 4
"""Answers of one turn whose tool calls are carried out. Those of one more are refused, and the model learns so."""
MOST_CHARACTERS: Final = 64 * 1024
"""Characters of the results of one turn; with more, further tool calls are refused."""

_MOST_REFUSED: Final = 2 * MOST_CALLS  # tool calls of one answer, of which the model learns that they are refused

NO_MORE: Final = "Refused: no more tool calls are carried out in this turn. Answer the caller now."
OTHER_WORDS: Final = (
    "Refused: not all of the caller's words were known when this tool was called. They are now: read them again, and "
    "call the tools that they ask for."
)
NOT_ENDED: Final = (
    "Refused: the call does not end, because another tool call of the same answer did not succeed. See its result."
)


class ToolCaller(Protocol):
    """The call and its conversation, as tools use them."""

    @property
    def call_sid(self) -> str: ...
    @property
    def stream_sid(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def observe(self) -> events.ObserveReplies: ...
    @property
    def log(self) -> FilteringBoundLogger: ...


class Owner(Protocol):
    """The attempt that calls tools."""

    @property
    def attempt(self) -> int: ...
    @property
    def reply_id(self) -> str: ...


class ToolRunner:
    """One per call. `put` takes what the turn table must know; tools run in tasks of `spawn`, until the call ends."""

    def __init__(
        self,
        call: ToolCaller,
        post: PostTool,
        put: Callable[[inputs.Input], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self.call = call
        self.post = post
        self.put = put
        self.spawn = spawn
        self.turn = TurnTools()
        """The tool calls of the turn that nothing has answered so far."""
        self.lead: dict[str, Any] = {}
        """The fields of the lead that were saved in this call."""
        self._running: set[ToolRun] = set()
        self._count = 0
        self._settings: AgentSettings | None = None
        self._tools: dict[str, OfferedTool] = {}

    def for_attempt(self, settings: AgentSettings, turn: int) -> AttemptTools:
        """Return the tools of an attempt that begins now, for the reply with that number."""
        if settings is not self._settings:
            self._settings, self._tools = settings, offered(settings)
        return AttemptTools(self, self.turn, self._tools, turn)

    def answered(self) -> TurnTools:
        """The turn is answered: return its tool calls, to which those that the reply still makes are added."""
        turn, self.turn = self.turn, TurnTools()
        return turn

    @property
    def under_way(self) -> bool:
        """Whether a webhook is being asked, for the turn of the moment or for one whose reply began before."""
        return bool(self._running)

    def post_in_task(self, run: ToolRun, posting: Coroutine[Any, Any, None]) -> None:
        """Carry out a call of a webhook, in a task that the end of the call cancels."""
        self._running.add(run)
        self.spawn(posting).add_done_callback(lambda _: self._running.discard(run))

    def message_id(self) -> str:
        """Return the id of a request to a webhook, which no other one has."""
        self._count += 1
        return f"{self.call.stream_sid}-t{self._count}"


class AttemptTools:
    """The tools that one attempt may call. Its `owner` is set before it calls any."""

    owner: Owner

    def __init__(self, runner: ToolRunner, turn: TurnTools, tools: dict[str, OfferedTool], number: int) -> None:
        self.turn = turn
        self._runner = runner
        self._tools = tools
        self._number = number  # of the reply
        self._ending: tuple[ToolRun, inputs.EndAsked] | None = None

    @property
    def offered(self) -> tuple[Tool, ...]:
        """The tools, for the question."""
        return tuple(each.tool for each in self._tools.values())

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """The results of the tool calls of this turn so far."""
        return self.turn.results

    async def carry_out(self, calls: Sequence[ToolCall], *, spoken: bool) -> Verdict:
        """Carry out the calls of one answer at the same time, and wait for their results; `spoken`: it has a text.

        Cancelling it cancels nothing that was begun. Call it only when the turn is committed.
        """
        self.turn.rounds += 1
        if self.turn.rounds > MOST_ROUNDS + 1:
            return Verdict.GIVE_UP
        runs = [self._begin(call, spoken=spoken, fits=at < MOST_CALLS) for at, call in enumerate(calls[:_MOST_REFUSED])]
        ending = None if self._ending is None else self._ending[0]
        begun = [run for run in runs if run is not ending]
        if waiting := [run for run in begun if run.outcome is None]:
            try:
                await self._wait_for(waiting)
            except asyncio.CancelledError:
                self.abandon_end()
                raise
        if ending is None:
            return Verdict.GO_ON
        if all(run.outcome is ToolOutcome.DONE for run in begun):
            return Verdict.ENDS
        self._ending = None
        self._end(ending, ToolOutcome.REFUSED, NOT_ENDED, "incomplete")
        return Verdict.GO_ON

    def refuse(self, calls: Sequence[ToolCall]) -> Verdict:
        """Refuse the calls of one answer: they were for other words than the caller's."""
        self.turn.rounds += 1
        if self.turn.rounds > MOST_ROUNDS + 1:
            return Verdict.GIVE_UP
        for call in calls[:_MOST_REFUSED]:
            run = ToolRun(call)
            self.turn.add(call, run)
            self._end(run, ToolOutcome.REFUSED, OTHER_WORDS, "words")
        return Verdict.GO_ON

    def abandon_end(self) -> None:
        """The attempt is over before the end of the call that it asks for: the next question knows that it goes on."""
        if self._ending is not None:
            run, self._ending = self._ending[0], None
            self._end(run, ToolOutcome.REFUSED, NOT_ENDED, "interrupted")

    def end(self) -> None:
        """End the call, or transfer the caller, as the model has asked for."""
        if self._ending is None:
            raise RuntimeError("no tool call asks for the end of the call")
        (run, asked), self._ending = self._ending, None
        self._end(run, ToolOutcome.DONE, "done")
        self._runner.put(asked)

    async def _wait_for(self, runs: Sequence[ToolRun]) -> None:
        put, attempt = self._runner.put, self.owner.attempt
        put(inputs.ToolsBegan(attempt, max(run.due for run in runs) - asyncio.get_running_loop().time()))
        for run in runs:
            await run.over.wait()
        put(inputs.ToolsEnded(self.owner.attempt))

    def _begin(self, call: ToolCall, *, spoken: bool, fits: bool) -> ToolRun:
        """Begin to carry out a call, if it may be; return its run, or that of the same call before."""
        run = ToolRun(call)
        tool = self._tools.get(call.name)
        try:
            arguments = self._checked(call, tool, fits=fits)
        except ArgumentsError as error:
            self.turn.add(call, run)
            self._end(run, ToolOutcome.REFUSED, f"Refused: {error}.", "arguments" if tool else UNKNOWN)
            return run
        key = key_of(call.name, arguments)
        if (same := self.turn.by_key.get(key)) is not None and same.outcome is not ToolOutcome.REFUSED:
            self.turn.add(call, same)
            return same
        self.turn.by_key[key] = run
        self.turn.add(call, run)
        if tool is not None and tool.definition is not None:
            run.due = asyncio.get_running_loop().time() + tool.definition.timeout_seconds
            self._runner.post_in_task(run, self._post(run, tool.definition, arguments))
        elif call.name == SAVE_LEAD:
            save_fields(self._runner.lead, call.arguments)
            self._end(run, ToolOutcome.DONE, SAVED)
        else:
            self._decide_end(run, arguments, spoken=spoken)
        return run

    def _checked(self, call: ToolCall, tool: OfferedTool | None, *, fits: bool) -> dict[str, Any]:
        if not fits or len(call.arguments) > LARGEST_ARGUMENTS:
            raise ArgumentsError(
                f"an answer may have {MOST_CALLS} tool calls with {LARGEST_ARGUMENTS} bytes of arguments each"
            )
        if tool is None:
            raise ArgumentsError(f"there is no tool of that name; there are: {', '.join(self._tools) or 'none'}")
        arguments = read_arguments(call.arguments, tool.schema)
        if self.turn.rounds > MOST_ROUNDS or self.turn.size > MOST_CHARACTERS:
            raise ArgumentsError(NO_MORE.removeprefix("Refused: ").removesuffix("."))
        return arguments

    def _decide_end(self, run: ToolRun, arguments: dict[str, Any], *, spoken: bool) -> None:
        if self._ending is not None:
            self._end(run, ToolOutcome.REFUSED, "Refused: the same answer ends the call already.", "ending")
        elif run.call.name == HANG_UP:
            self._ending = run, inputs.EndAsked(goodbye=not spoken)
        elif run.call.name == TRANSFER:
            self._ending = run, inputs.EndAsked(transfer=arguments[LABEL], goodbye=False)
        else:
            raise RuntimeError("a built-in tool is offered that nothing carries out")

    async def _post(self, run: ToolRun, tool: ToolDefinition, arguments: dict[str, Any]) -> None:
        runner, clock = self._runner, asyncio.get_running_loop().time
        began = clock()
        request = ToolRequest(
            id=runner.message_id(), call_sid=runner.call.call_sid, stream_sid=runner.call.stream_sid,
            direction=runner.call.direction, turn=self._number, tool=tool.name, arguments=arguments,
        )  # fmt: skip
        outcome, content, reason = ToolOutcome.CANCELLED, CANCELLED, ""
        try:
            async with asyncio.timeout_at(run.due):
                outcome, content = ToolOutcome.DONE, await runner.post(tool, request)
        except TimeoutError:
            outcome = ToolOutcome.TOO_SLOW
            content = f"Failed: no answer came within {tool.timeout_seconds:g} s. It may be carried out all the same."
        except ToolError as error:
            outcome, content, reason = ToolOutcome.FAILED, f"Failed: {error}.", error.reason
            remedy = {"remedy": error.remedy} if error.remedy else {}
            runner.call.log.warning("[AGENT] tool failed", tool=tool.name, reason=reason, error=str(error), **remedy)
        except Exception:  # the conversation must go on, and the model must know
            outcome, content, reason = ToolOutcome.FAILED, "Failed: a defect of the service.", "defect"
            runner.call.log.exception("[AGENT] tool failed by a defect of the service", tool=tool.name)
        finally:
            self._end(run, outcome, content, reason, took_s=clock() - began)

    def _end(self, run: ToolRun, outcome: ToolOutcome, content: str, reason: str = "", took_s: float = 0.0) -> None:
        run.finish(outcome, content)
        self._runner.call.observe(
            events.ToolEnded(
                turn=self._number,
                attempt=self.owner.attempt,
                reply_id=self.owner.reply_id,
                name=run.call.name if run.call.name in self._tools else UNKNOWN,
                arguments=run.call.arguments[:LARGEST_ARGUMENTS],
                outcome=outcome,
                reason=reason,
                took_s=took_s,
                result=content,
            )
        )
