"""A call of the agent in text: the caller's turns are typed, and what is shown of an answer is what was heard of it.

Prompt, history, cutting and the second try after a failure are those of a call. There is no voice, so there is no
speculation, no filler and no interruption but the end of the generator.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

import msgspec

from batkol.answering.answerer import Answerer, AnswererError, Question, Tool, ToolCall, ToolResult, Usage
from batkol.conversation.history import Entry, History
from batkol.speech.pieces import Cutter

MOST_ATTEMPTS: Final = 2
"""Times that a turn is asked for before the caller hears the apology, as in a call."""
MOST_ROUNDS: Final = 5
"""Times that one answer may call tools."""

Clock: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True)
class TextAgent:
    """The agent, as far as a call in text has it."""

    answerer: Answerer
    prompt: str = ""
    language: str = "he-IL"
    greeting: str = ""
    apology: str = ""
    tools: tuple[Tool, ...] = ()


class ToolTrial(Protocol):
    """Carries calls of tools out, or does not."""

    async def try_out(self, call: ToolCall) -> TriedTool:
        """Carry a call out, or say what it would have been; never raises for a tool that failed."""
        ...


class TriedTool(msgspec.Struct, frozen=True):
    """A call of a tool, and what the answerer is given for it."""

    call: ToolCall
    content: str
    carried_out: bool = False
    ends_call: bool = False
    """Whether the caller's call is over after what is said in this turn."""


class ShownPiece(msgspec.Struct, frozen=True):
    """A piece of the answer, as a voice would speak it."""

    text: str


class FailedAttempt(msgspec.Struct, frozen=True):
    """An attempt that gave no answer, or not all of one; `error` is a sentence."""

    error: str
    reason: str


TurnPart: TypeAlias = ShownPiece | TriedTool | FailedAttempt


@dataclass(slots=True)
class TextTurn:
    """One turn so far. Times in seconds since the question; None: not yet."""

    asked_at: float
    caller: str
    pieces: list[str] = field(default_factory=list)
    tools: list[TriedTool] = field(default_factory=list)
    failures: list[FailedAttempt] = field(default_factory=list)
    apologized: bool = False
    """Whether no attempt gave an answer, and the pieces are the apology."""
    first_token_s: float | None = None
    first_piece_s: float | None = None
    whole_s: float | None = None
    parts: int = 0
    """Parts of text, which most servers send a token each."""
    usage: Usage | None = None

    @property
    def text(self) -> str:
        """The words that were heard."""
        return " ".join(self.pieces)

    @property
    def ends_call(self) -> bool:
        """Whether a tool ended the call."""
        return any(tried.ends_call for tried in self.tools)


class TextCall:
    """One call. `answer` one turn after the other, never two at once."""

    def __init__(self, agent: TextAgent, tools: ToolTrial, *, clock: Clock = time.monotonic) -> None:
        self.history = History()
        self.call_sid = f"CA{uuid.uuid4().hex}"
        self.turns: list[TextTurn] = []
        self._agent = agent
        self._tools = tools
        self._clock = clock
        self._unanswered = ""
        if agent.greeting:
            self.history.hear(self.history.add_agent(), agent.greeting)

    @property
    def turn(self) -> TextTurn:
        """The newest turn. Raises `IndexError` before the first one."""
        return self.turns[-1]

    async def answer(self, text: str) -> AsyncGenerator[TurnPart, None]:
        """Yield the parts of the answer as they come.

        Closing it, or cancelling the wait for a part, is an interruption: what was yielded by then was heard. Words
        of which nothing was answered are asked again with the next turn's. It raises no `AnswererError`: failures are
        parts.
        """
        self._unanswered = f"{self._unanswered} {text}".strip()
        turn = TextTurn(self._clock(), self._unanswered)
        self.turns.append(turn)
        heard = _Heard(self.history, turn)
        try:
            for _ in range(MOST_ATTEMPTS):
                async with aclosing(self._attempt(turn)) as parts:
                    async for part in parts:
                        if isinstance(part, ShownPiece):
                            turn.first_piece_s = turn.first_piece_s or self._clock() - turn.asked_at
                            heard.add(part.text)
                            self._unanswered = ""
                        yield part
                if turn.pieces or turn.ends_call:
                    return
            turn.apologized = True
            if self._agent.apology:
                heard.add(self._agent.apology)
                yield ShownPiece(self._agent.apology)
            self._unanswered = ""
        finally:
            turn.whole_s = self._clock() - turn.asked_at

    async def _attempt(self, turn: TextTurn) -> AsyncGenerator[TurnPart, None]:
        """Yield the parts of one attempt; what failed is its last part."""
        before = len(turn.tools)
        try:
            async with aclosing(self._rounds(turn)) as parts:
                async for part in parts:
                    yield part
        except AnswererError as error:
            turn.failures.append(FailedAttempt(str(error), error.reason))
            yield turn.failures[-1]
        else:
            if not turn.pieces and len(turn.tools) == before:
                empty = f"The answerer {self._agent.answerer.name} gave an empty answer."
                turn.failures.append(FailedAttempt(empty, "empty"))
                yield turn.failures[-1]

    async def _rounds(self, turn: TextTurn) -> AsyncGenerator[TurnPart, None]:
        """Ask, try out the tools that the answer calls, and ask again with what came of them."""
        cutter, said = Cutter(), ""
        for _ in range(MOST_ROUNDS + 1):
            calls: list[ToolCall] = []
            question = self._question(turn, said)
            async with aclosing(self._agent.answerer.answer(question)) as answer:
                async for part in answer:
                    match part:
                        case str():
                            turn.first_token_s = turn.first_token_s or self._clock() - turn.asked_at
                            turn.parts += 1
                            said += part
                            for piece in cutter.append(part):
                                yield ShownPiece(piece)
                        case ToolCall():
                            calls.append(part)
                        case Usage():
                            turn.usage = _sum(turn.usage, part)
            for piece in cutter.flush():
                yield ShownPiece(piece)
            for call in calls:
                turn.tools.append(await self._tools.try_out(call))
                yield turn.tools[-1]
            if not calls or turn.ends_call:
                return
        raise AnswererError(
            f"The answerer {self._agent.answerer.name} called tools more than {MOST_ROUNDS} times in one turn.",
            reason="too_many_tools",
            retryable=False,
        )

    def _question(self, turn: TextTurn, said: str) -> Question:
        """Return the question; a tool that was tried out in an attempt before is not called anew."""
        history = self.history.messages
        heard = bool(turn.pieces)  # then the turn's own messages are the newest two of the history
        return Question(
            text=turn.caller,
            history=history[:-2] if heard else history,
            prompt=self._agent.prompt,
            language=self._agent.language,
            call_sid=self.call_sid,
            turn=len(self.turns),
            tools=self._agent.tools,
            said=said,
            results=tuple(ToolResult(tried.call, tried.content) for tried in turn.tools),
        )


class _Heard:
    """The heard pieces of a turn, in the history from the first one on."""

    def __init__(self, history: History, turn: TextTurn) -> None:
        self._history = history
        self._turn = turn
        self._entry: Entry | None = None

    def add(self, piece: str) -> None:
        if self._entry is None:
            self._history.add_caller(self._turn.caller)
            self._entry = self._history.add_agent()
        self._turn.pieces.append(piece)
        self._history.hear(self._entry, self._turn.text)


def _sum(one: Usage | None, other: Usage) -> Usage:
    if one is None:
        return other
    return Usage(one.prompt_tokens + other.prompt_tokens, one.completion_tokens + other.completion_tokens)
