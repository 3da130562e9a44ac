"""Tool calls of a streamed answer, put together of their deltas; and the messages of those of earlier answers. Pure.

OpenAI names a call once, by `index`, `id` and `name`, and then sends pieces of its arguments under that index. Servers
that imitate it leave out the index or the id, give each call the index 0, repeat the name, or send null, nothing or an
object where a text of arguments belongs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from batkol.answering.answerer import ToolCall, ToolResult
from batkol.answers import UNREADABLE
from batkol.errors import BatkolError

MOST_CALLS: Final = 8
"""Tool calls of one answer."""
LARGEST_ARGUMENTS: Final = 16 * 1024
"""Bytes of the arguments of one tool call."""
_LONGEST_ID: Final = 40  # that OpenAI takes back
_LONGEST_NAME: Final = 64
_NONE: Final = ("", "null", "None")


class ExcessError(BatkolError):
    """An answer calls too many tools, or one with too much. The text is a clause about the answer."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class FunctionDelta(msgspec.Struct):
    """A part of a tool call: its name, and a piece of its arguments."""

    name: str | None = None
    arguments: Any = None


class ToolCallDelta(msgspec.Struct):
    """A part of a tool call, as it comes."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""
    size: int = 0  # of the arguments, in bytes


class ToolCalls:
    """The tool calls of one answer as they grow."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, delta: ToolCallDelta) -> None:
        """Take a part. Raises `ExcessError`."""
        function = delta.function or FunctionDelta()
        arguments = _text(function.arguments)
        name = (function.name or "")[: _LONGEST_NAME + 1]
        call = self._call_of(delta, name, arguments)
        call.id = call.id or delta.id or ""
        if name and name != call.name and not call.arguments:
            call.name += name
        call.size += len(arguments.encode("utf-8", "surrogatepass"))
        if call.size > LARGEST_ARGUMENTS:
            raise ExcessError(f"a tool call has more than {LARGEST_ARGUMENTS} bytes of arguments", "too_long")
        call.arguments += arguments

    def whole(self) -> tuple[ToolCall, ...]:
        """Return the calls, now that no part follows. Arguments that are none are an empty object."""
        return tuple(ToolCall(each.id, each.name, _given(each.arguments)) for each in self._calls)

    def _call_of(self, delta: ToolCallDelta, name: str, arguments: str) -> _Call:
        found = self._known(delta)
        another = found is None or _begins_another(found, delta, name, arguments)
        if found is None or another:
            if len(self._calls) == MOST_CALLS:
                raise ExcessError(f"it calls more than {MOST_CALLS} tools", "too_many_calls")
            found = _Call()
            self._calls.append(found)
        if delta.index is not None:
            self._by_index[delta.index] = found
        return found

    def _known(self, delta: ToolCallDelta) -> _Call | None:
        if delta.index is not None:
            return self._by_index.get(delta.index)
        if delta.id:
            return next((each for each in self._calls if each.id == delta.id), None)
        return self._calls[-1] if self._calls else None


def _begins_another(call: _Call, delta: ToolCallDelta, name: str, arguments: str) -> bool:
    """Whether a part that seems to belong to a call begins another one: under the same index, or without one."""
    if delta.id and call.id and delta.id != call.id:
        return True
    if not name or not call.name:
        return False
    if call.arguments and name != call.name:
        return True
    is_whole = bool(call.arguments) and is_object(call.arguments)
    return is_whole and bool(arguments.strip())


def _text(arguments: Any) -> str:
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else msgspec.json.encode(arguments).decode()


def _given(arguments: str) -> str:
    return "{}" if arguments.strip() in _NONE else arguments


def is_object(text: str) -> bool:
    """Whether a text is a JSON object."""
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except UNREADABLE:
        return False


def tool_messages(results: Sequence[ToolResult], said: str = "") -> Iterator[dict[str, Any]]:
    """Yield the messages of tool calls and their results; `said` is the text that came with the calls.

    Each call has an id of its own, whatever the server gave: none, one twice, or one that is too long. Servers put the
    arguments into a template and refuse those that are no object, so such arguments are not returned.
    """
    if not results:
        return
    ids = tuple(_ids(each.call.id for each in results))
    calls = [
        {
            "id": call_id,
            "type": "function",
            "function": {
                "name": name_of(each.call),
                "arguments": each.call.arguments if is_object(each.call.arguments) else "{}",
            },
        }
        for call_id, each in zip(ids, results, strict=True)
    ]
    yield {"role": "assistant", "content": said or None, "tool_calls": calls}
    for call_id, each in zip(ids, results, strict=True):
        yield {"role": "tool", "tool_call_id": call_id, "content": each.content}


def name_of(call: ToolCall) -> str:
    """Return a name that servers take, of whatever the model called."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in call.name)
    return kept[:_LONGEST_NAME] or "unknown"


def _ids(given: Iterable[str]) -> Iterator[str]:
    used: set[str] = set()
    for number, each in enumerate(given):
        mine = each if each and len(each) <= _LONGEST_ID and each not in used else f"call_{number}"
        while mine in used:
            mine += "_"
        used.add(mine)
        yield mine
