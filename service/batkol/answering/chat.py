"""OpenAI's chat completions: the request, and the answer as it streams. Pure: bytes and structs, no connection.

https://platform.openai.com/docs/api-reference/chat. Servers that imitate it are untidy: null for what is not there,
chunks without choices (usage, filter results), roles alone, comments. What has no text says nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from batkol.answering import refusals
from batkol.answering.answerer import AnswererError, Question, Tool, Usage
from batkol.answering.sse import EndlessError, EventReader
from batkol.answering.tool_calls import ExcessError, ToolCallDelta, ToolCalls, tool_messages
from batkol.answers import UNREADABLE

LARGEST: Final = 4 << 20
"""Bytes of one streamed answer; 40 tokens are some 10 kB."""
LONGEST_TEXT: Final = 50_000
"""Characters of one answer: an hour of speech."""

_DONE: Final = b"[DONE]"
_COMPLETION_TOKENS: Final = re.compile(r"(^|/)(gpt-5|o[1-9])")
"""Models that refuse `max_tokens` and want `max_completion_tokens`."""


_NULL: Final = msgspec.Raw(b"null")


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None
    index: int | None = 0


class _Usage(msgspec.Struct):
    prompt_tokens: float | None = 0
    completion_tokens: float | None = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


_DECODER: Final = msgspec.json.Decoder(_Chunk)


def request_body(question: Question, *, model: str, prompt: str, options: Mapping[str, Any]) -> bytes:
    """Return the request as JSON: the system prompt, the history, the turn's text, and its tool calls so far.

    Turns of the history without text (nothing was heard of them) and without tool calls are left out. `options` are
    further parameters.
    """
    messages: list[dict[str, Any]] = []
    if told_first := question.prompt or prompt:
        messages.append({"role": "system", "content": told_first})
    for each in question.history:
        messages += tool_messages(each.results)
        if each.text.strip():
            messages.append({"role": each.role.value, "content": each.text})
    messages.append({"role": "user", "content": question.text})
    messages += tool_messages(question.results, question.said)
    tools = {"tools": [_offered(tool) for tool in question.tools]} if question.tools else {}
    return msgspec.json.encode({"model": model, "messages": messages, "stream": True, **tools, **options})


def _offered(tool: Tool) -> dict[str, Any]:
    about = {"description": tool.description} if tool.description else {}
    return {"type": "function", "function": {"name": tool.name, **about, "parameters": tool.parameters}}


def limit_of_tokens(model: str, most: int) -> dict[str, int]:
    """Return the parameter that limits an answer's tokens, under the name that the model takes."""
    return {"max_completion_tokens" if _COMPLETION_TOKENS.search(model) else "max_tokens": most}


class ChatStream:
    """One streamed answer: bytes in, in pieces of any size; text out. `who` is for errors."""

    def __init__(self, who: str) -> None:
        self.finish_reason = ""
        self.done = False
        """Whether `[DONE]` has come: nothing after it counts."""
        self.calls = ToolCalls()
        """Tool calls so far; they are whole at the end."""
        self.usage: Usage | None = None
        """Tokens, if the server says so: at the end, or more from chunk to chunk."""
        self.parts_of_calls = 0
        """Chunks that had parts of tool calls."""
        self.characters = 0
        """Characters of text so far."""
        self._who = who
        self._events = EventReader()
        self._received = 0

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yield the text of the chunks that this piece completes. Raises `AnswererError`, after the text before it."""
        self._received += len(piece)
        if self._received > LARGEST:
            raise self._malformed(f"it is longer than {LARGEST} bytes", reason="too_long")
        try:
            for data in self._events.feed(piece):
                if self.done or data == _DONE:
                    self.done = True
                    return
                if text := self._text(data):
                    yield text
        except EndlessError as error:
            raise self._malformed(str(error), reason="too_long") from None

    def end(self) -> None:
        """The server has ended the answer. Raises `AnswererError` if that was too early, or if a filter ended it."""
        if self.finish_reason == "content_filter":
            raise refusals.filtered(self._who)
        if not (self.done or self.finish_reason):
            if not self._received:
                raise self._malformed("it is empty")
            raise AnswererError(
                f"{self._who} ended its answer before the answer's end. The fault is the server's, or a proxy's.",
                reason="cut_off",
                retryable=True,
            )

    def _text(self, data: bytes) -> str:
        try:
            chunk = _DECODER.decode(data)
        except UNREADABLE:
            raise self._malformed("a chunk of it is not the expected JSON") from None  # the cause may quote it
        if chunk.error != _NULL:
            raise refusals.failed(self._who, bytes(chunk.error))
        if chunk.usage != _NULL:
            self._take_usage(chunk.usage)
        return "".join(self._of_choice(choice) for choice in chunk.choices or () if not choice.index)

    def _of_choice(self, choice: _Choice) -> str:
        self.finish_reason = choice.finish_reason or self.finish_reason
        if choice.delta is None:
            return ""
        if choice.delta.tool_calls:
            self._add_calls(choice.delta.tool_calls)
        text = choice.delta.content or ""
        self.characters += len(text)
        if self.characters > LONGEST_TEXT:
            raise self._malformed(f"it has more than {LONGEST_TEXT} characters", reason="too_long")
        return text

    def _take_usage(self, written: msgspec.Raw) -> None:
        try:
            usage = msgspec.json.decode(written, type=_Usage)
        except UNREADABLE:
            return  # the answer stands without it
        self.usage = Usage(max(0, int(usage.prompt_tokens or 0)), max(0, int(usage.completion_tokens or 0)))

    def _add_calls(self, deltas: list[ToolCallDelta]) -> None:
        self.parts_of_calls += 1
        try:
            for delta in deltas:
                self.calls.add(delta)
        except ExcessError as error:
            raise self._malformed(str(error), reason=error.reason) from None

    def _malformed(self, why: str, reason: str = "malformed") -> AnswererError:
        return AnswererError(
            f"{self._who} sent an answer that cannot be used: {why}. Is its URL an OpenAI-compatible API's?",
            reason=reason,
            retryable=False,
        )
