"""The seam to the answerers: a question in, pieces of text and calls of tools out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Protocol, TypeAlias

import msgspec

from batkol.errors import UpstreamError


class Role(StrEnum):
    """The speakers of a conversation, as chat APIs call them."""

    CALLER = "user"
    AGENT = "assistant"


class Tool(msgspec.Struct, frozen=True):
    """A tool that the answerer may call."""

    name: str
    description: str
    parameters: msgspec.Raw
    """JSON Schema of its arguments: an object."""


class ToolCall(msgspec.Struct, frozen=True):
    """A call of a tool, whole. Nothing is carried out before the turn is committed."""

    id: str
    """The answerer's own name of the call; may be empty."""
    name: str
    arguments: str
    """JSON as the answerer wrote it, which may be none."""


class ToolResult(msgspec.Struct, frozen=True):
    """The result of a tool call, a text for the model."""

    call: ToolCall
    content: str


class HistoryMessage(msgspec.Struct, frozen=True):
    """One turn of a conversation so far. An agent's text is what the caller heard of it."""

    role: Role
    text: str
    results: tuple[ToolResult, ...] = ()
    """Calls of tools in an agent's turn, and what came of them. They came before its text, which may be empty."""


class Usage(msgspec.Struct, frozen=True):
    """Tokens that an answer cost, if the server says so."""

    prompt_tokens: int
    completion_tokens: int


class AnsweredBy(msgspec.Struct, frozen=True):
    """The answerer that all further parts come from, where one of several may answer."""

    name: str
    """The name in the settings."""


AnswerPart: TypeAlias = str | ToolCall | Usage | AnsweredBy


class PromptFiller(Protocol):
    """The facts of a call (`batkol.prompt_facts`): all that an answerer knows of them is that they fill a prompt."""

    def fill(self, prompt: str) -> str:
        """Return the prompt with the facts in the place of their names."""
        ...


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question to an answerer: the turn's text, and what was said before it."""

    text: str
    history: tuple[HistoryMessage, ...] = ()
    prompt: str = ""
    """The agent's instructions; empty: the answerer's own."""
    language: str = "he-IL"
    call_sid: str = ""
    turn: int = 0
    """The turn's number in its call, from 1."""
    tools: tuple[Tool, ...] = ()
    said: str = ""
    """The answer's text so far, where tools were called in mid-answer."""
    facts: PromptFiller | None = None
    """The facts that a prompt may name; those of `prompt` are in it already. None: nothing is known."""
    results: tuple[ToolResult, ...] = ()
    """The calls of tools in this turn so far, and what came of them: the answer goes on from there."""


class AnswererError(UpstreamError):
    """The answerer gave no answer, or no more of one. `reason` is a short word for metrics."""


class Answerer(Protocol):
    """One for the process; asked by many calls at once."""

    @property
    def name(self) -> str:
        """The name in settings, metrics and events."""
        ...

    def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """Yield the answer in pieces of text, as they come, and calls of tools. `Usage` may be the last part.

        Where one of several may answer, `AnsweredBy` comes before the first of them, the last one says which it is.

        Closing the generator cancels the request: nothing of it is read or paid for any more than was sent by then.
        Raises `AnswererError`; what was yielded before stands. An answer without a piece is an empty answer, no error.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
