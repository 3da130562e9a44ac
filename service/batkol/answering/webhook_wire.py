"""The wire of a bot that is asked by webhook: the question as JSON, and the answer in each form that it may have.

Pure: bytes and structs, no connection. An answer is plain text, whole or as it comes; server-sent events, each with one
part of it as JSON; or one part, or a list of them, as JSON. docs/agents.md has all of it, for those who write a bot.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, Final, Protocol

import msgspec

from batkol.answering.answerer import AnswererError, AnswerPart, HistoryMessage, Question, ToolCall, ToolResult
from batkol.answering.sse import EndlessError, EventReader
from batkol.answers import UNREADABLE

LARGEST: Final = 1 << 20
"""Bytes of one answer."""
LONGEST_TEXT: Final = 50_000
"""Characters of one answer: an hour of speech."""
MOST_CALLS: Final = 16
"""Calls of tools in one answer."""

_REMEDY: Final = "The fault is the bot's; docs/agents.md says what an answer may be."
_NULL: Final = msgspec.Raw(b"null")


class _Part(msgspec.Struct):
    """One part of an answer. Keys that are not here mean nothing."""

    text: str | None = None
    tool: str | None = None
    arguments: msgspec.Raw = msgspec.Raw(b"{}")
    id: str = ""
    end: bool = False


_PART: Final = msgspec.json.Decoder(_Part)
_PARTS: Final = msgspec.json.Decoder(_Part | list[_Part])
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


def request_body(question: Question) -> bytes:
    """Return the question as JSON. What it does not have, it does not name, but history and tools."""
    asked: dict[str, Any] = {
        "call": question.call_sid,
        "turn": question.turn,
        "text": question.text,
        "history": [_said(each) for each in question.history if each.text.strip() or each.results],
        "tools": [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in question.tools
        ],
        "language": question.language,
    }
    if question.prompt:
        asked["prompt"] = question.prompt
    if question.results:
        asked |= {"said": question.said, "results": list(map(_result, question.results))}
    return msgspec.json.encode(asked)


def _said(message: HistoryMessage) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role.value, "text": message.text}
    return said | {"results": list(map(_result, message.results))} if message.results else said


def _result(result: ToolResult) -> dict[str, Any]:
    call = result.call
    arguments: Any = call.arguments  # as another answerer wrote them, they may be no JSON
    try:
        _OBJECT.decode(call.arguments)
        arguments = msgspec.Raw(call.arguments.encode())
    except UNREADABLE:
        pass
    return {"id": call.id, "tool": call.name, "arguments": arguments, "content": result.content}


class AnswerReader(Protocol):
    """One answer: bytes in, in pieces of any size; parts out. Both raise `AnswererError`, after the parts before."""

    @property
    def characters(self) -> int:
        """Characters of text so far."""
        ...

    @property
    def done(self) -> bool:
        """Whether the bot has said that its answer ends here: nothing after it counts."""
        ...

    def feed(self, piece: bytes) -> Iterator[AnswerPart]: ...
    def end(self) -> Iterator[AnswerPart]:
        """The bot has ended the answer."""
        ...


def reader(who: str, content_type: str) -> AnswerReader:
    """Return the reader for an answer of that type; without one it is plain text. Raises `AnswererError`."""
    kind, _, parameters = content_type.partition(";")
    charset = next((each for each in parameters.lower().split(";") if each.strip().startswith("charset=")), "")
    if charset and charset.partition("=")[2].strip(' "') not in {"utf-8", "utf8", "us-ascii"}:
        raise malformed(who, "it is not in UTF-8")
    match kind.strip().lower():
        case "" | "text/plain":
            return _TextReader(who)
        case "text/event-stream":
            return _EventsReader(who)
        case "application/json":
            return _JsonReader(who)
        case _:
            raise malformed(who, "its Content-Type is none of text/plain, text/event-stream and application/json")


def malformed(who: str, why: str, reason: str = "malformed") -> AnswererError:
    """Return the error for an answer that cannot be used. `why` quotes nothing of it."""
    return AnswererError(f"{who} sent an answer that cannot be used: {why}. {_REMEDY}", reason=reason, retryable=False)


class _Bounds:
    """The size of an answer so far."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.characters = 0
        self.done = False
        self._received = 0
        self._calls = 0

    def receive(self, piece: bytes) -> None:
        self._received += len(piece)
        if self._received > LARGEST:
            raise malformed(self.who, f"it is longer than {LARGEST} bytes", "too_long")

    def said(self, text: str) -> str:
        self.characters += len(text)
        if self.characters > LONGEST_TEXT:
            raise malformed(self.who, f"it has more than {LONGEST_TEXT} characters", "too_long")
        return text

    def parts_of(self, part: _Part) -> Iterator[AnswerPart]:
        """Yield what a part says."""
        if part.text is None and part.tool is None and not part.end:
            raise malformed(self.who, "a part of it has neither `text` nor `tool` nor `end`")
        if part.text:
            yield self.said(part.text)
        if part.tool is not None:
            yield self._call(part.tool, part)
        self.done = self.done or part.end

    def _call(self, name: str, part: _Part) -> ToolCall:
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise malformed(self.who, f"it has more than {MOST_CALLS} calls of tools", "too_long")
        arguments = b"{}" if part.arguments == _NULL else bytes(part.arguments)
        if not arguments.lstrip().startswith(b"{"):
            raise malformed(self.who, "the `arguments` of a tool are no JSON object")
        return ToolCall(part.id, name, arguments.decode())


class _TextReader(_Bounds):
    """Text as it comes."""

    def __init__(self, who: str) -> None:
        super().__init__(who)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()

    def feed(self, piece: bytes) -> Iterator[AnswerPart]:
        self.receive(piece)
        yield from self._texts(piece, final=False)

    def end(self) -> Iterator[AnswerPart]:
        yield from self._texts(b"", final=True)

    def _texts(self, piece: bytes, *, final: bool) -> Iterator[AnswerPart]:
        try:
            text = self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            raise malformed(self.who, "it is not in UTF-8") from None
        if text:
            yield self.said(text)


class _EventsReader(_Bounds):
    """Server-sent events, each with the JSON of one part as its data."""

    def __init__(self, who: str) -> None:
        super().__init__(who)
        self._events = EventReader()

    def feed(self, piece: bytes) -> Iterator[AnswerPart]:
        self.receive(piece)
        try:
            for data in self._events.feed(piece):
                if self.done:
                    return
                yield from self.parts_of(self._part(data))
        except EndlessError as error:
            raise malformed(self.who, str(error), "too_long") from None

    def end(self) -> Iterator[AnswerPart]:
        yield from ()

    def _part(self, data: bytes) -> _Part:
        try:
            return _PART.decode(data)
        except UNREADABLE:
            raise malformed(self.who, "an event of it is no JSON object with `text`, `tool` or `end`") from None


class _JsonReader(_Bounds):
    """One part, or a list of them, once all of it is there."""

    def __init__(self, who: str) -> None:
        super().__init__(who)
        self._body = bytearray()

    def feed(self, piece: bytes) -> Iterator[AnswerPart]:
        self.receive(piece)
        self._body += piece
        yield from ()

    def end(self) -> Iterator[AnswerPart]:
        try:
            found = _PARTS.decode(self._body)
        except UNREADABLE:
            raise malformed(self.who, "it is no JSON object with `text` or `tool`, and no list of them") from None
        for part in found if isinstance(found, list) else [found]:
            yield from self.parts_of(part)
