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
from typing import Final, TypeAlias

import msgspec

from batkol.answering.answerer import AnsweredBy, Answerer, AnswererError, Question, ToolCall, Usage
from batkol.chat.text_tools import TextTools, TriedTool
from batkol.conversation.agent import AgentSettings
from batkol.conversation.history import Entry, History
from batkol.conversation.tools.running import AttemptTools
from batkol.conversation.tools.turn_tools import Verdict
from batkol.conversation.tools.webhook import PostTool
from batkol.prompt_facts import PromptFacts
from batkol.speech.pieces import Cutter

MOST_ATTEMPTS: Final = 2
"""Times that a turn is asked for before the caller hears the apology, as in a call."""

ReadClock: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True)
class TextAgent:
    """The agent, as far as a call in text has it. Empty phrases are not said."""

    answerer: Answerer
    settings: AgentSettings = field(default_factory=AgentSettings)
    language: str = "he-IL"
    greeting: str = ""
    apology: str = ""
    goodbye: str = ""
    caller: str = field(default="", repr=False)
    """The caller's number; empty: not known."""


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
    ends_call: bool = False
    """Whether a tool ended the call, or transferred the caller."""

    @property
    def text(self) -> str:
        """The words that were heard."""
        return " ".join(self.pieces)


class TextCall:
    """One call. `answer` one turn after the other, never two at once."""

    def __init__(
        self, agent: TextAgent, post: PostTool, *, clock: ReadClock = time.monotonic, unix_time: ReadClock = time.time
    ) -> None:
        """`post` carries out the user's own tools."""
        self.history = History()
        self.call_sid = f"CA{uuid.uuid4().hex}"
        self.turns: list[TextTurn] = []
        self._agent = agent
        self._tools = TextTools(self.call_sid, post)
        self._clock = clock
        self._unix_time = unix_time
        self._unanswered = ""
        if agent.greeting:
            self.history.set_heard(self.history.add_agent(), agent.greeting)

    async def aclose(self) -> None:
        """End the tools that still run."""
        await self._tools.aclose()

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
        heard = _Heard(self.history, turn, self._tools)
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
                    break
            for phrase in self._phrases(turn):
                heard.add(phrase)
                self._unanswered = ""
                yield ShownPiece(phrase)
        finally:
            turn.whole_s = self._clock() - turn.asked_at

    def _phrases(self, turn: TextTurn) -> list[str]:
        """Return what the agent says by itself at the end of the turn: the apology, or its goodbye."""
        turn.apologized = not (turn.pieces or turn.ends_call)
        ended = self._tools.ended
        goodbye = turn.ends_call and ended is not None and ended.goodbye
        phrase = self._agent.apology if turn.apologized else self._agent.goodbye if goodbye else ""
        return [phrase] if phrase else []

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
        tools = self._tools.for_attempt(self._agent.settings, len(self.turns))
        question = self._question(turn, tools)
        while True:
            text, calls = "", list[ToolCall]()
            asked = msgspec.structs.replace(question, said=said, results=tools.results)
            async with aclosing(self._ask(turn, asked)) as parts:
                async for part in parts:
                    if isinstance(part, ToolCall):
                        calls.append(part)
                        continue
                    text += part
                    for piece in cutter.append(part):
                        yield ShownPiece(piece)
            for piece in cutter.flush():
                yield ShownPiece(piece)
            if not calls:
                return
            said = f"{said} {text}".strip()
            tried, verdict = await self._tools.carry_out(tools, calls, spoken=any(map(str.isalnum, text)))
            turn.tools += tried
            turn.ends_call = verdict is Verdict.ENDS
            for each in tried:
                yield each
            if verdict is not Verdict.GO_ON:
                break
        if verdict is Verdict.GIVE_UP:
            who = f"The answerer {self._agent.answerer.name}"
            raise AnswererError(f"{who} calls tools on and on.", reason="too_many_calls", retryable=False)

    async def _ask(self, turn: TextTurn, question: Question) -> AsyncGenerator[str | ToolCall, None]:
        """Yield an answer's text and calls; count its tokens, and note when the first came."""
        async with aclosing(self._agent.answerer.answer(question)) as answer:
            async for part in answer:
                if isinstance(part, AnsweredBy):
                    continue
                if isinstance(part, Usage):
                    turn.usage = _sum(turn.usage, part)
                    continue
                if isinstance(part, str):
                    turn.first_token_s = turn.first_token_s or self._clock() - turn.asked_at
                    turn.parts += 1
                yield part

    def _question(self, turn: TextTurn, tools: AttemptTools) -> Question:
        agent = self._agent
        facts = PromptFacts(
            now=self._unix_time(),
            time_zone=agent.settings.time_zone,
            language=agent.language,
            caller=agent.caller,
            lead=self._tools.lead,
        )
        return Question(
            text=turn.caller,
            history=self.history.messages,
            prompt=facts.fill(agent.settings.prompt),
            facts=facts,
            language=agent.language,
            call_sid=self.call_sid,
            turn=len(self.turns),
            tools=tools.offered,
        )


class _Heard:
    """The heard pieces of a turn, in the history from the first one on."""

    def __init__(self, history: History, turn: TextTurn, tools: TextTools) -> None:
        self._history = history
        self._turn = turn
        self._tools = tools
        self._entry: Entry | None = None

    def add(self, piece: str) -> None:
        if self._entry is None:
            self._history.add_caller(self._turn.caller)
            self._entry = self._history.add_agent(self._tools.answered())
        self._turn.pieces.append(piece)
        self._history.set_heard(self._entry, self._turn.text)


def _sum(one: Usage | None, other: Usage) -> Usage:
    if one is None:
        return other
    return Usage(one.prompt_tokens + other.prompt_tokens, one.completion_tokens + other.completion_tokens)
