"""Tool calls in an answer's stream: as OpenAI sends them, and as servers do that imitate it and are untidy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from itertools import zip_longest
from typing import Any, Final

import msgspec

_PIECE: Final = 5  # characters of arguments in a delta


class Untidy(StrEnum):
    """Ways in which servers deviate from OpenAI. Several may come together."""

    NO_ID = "no_id"
    NO_INDEX = "no_index"
    SAME_INDEX = "same_index"  # 0 for each call
    ID_REPEATED = "id_repeated"  # in each delta of a call
    NAME_REPEATED = "name_repeated"
    NULL_ARGUMENTS = "null_arguments"  # for a call without arguments
    OBJECT_ARGUMENTS = "object_arguments"  # JSON, and no text of it; in one delta
    WHOLE = "whole"  # each call comes in one delta
    INTERLEAVED = "interleaved"  # the calls' deltas take turns
    STOP = "stop"  # the finish_reason is `stop`
    BESIDE_TEXT = "beside_text"  # the calls' deltas and the text's tokens take turns, in the place of following it


class ScriptedCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function that the model calls."""

    name: str
    arguments: str = "{}"
    """JSON, as models write it: a string."""


def tool_deltas(calls: Sequence[tuple[str, ScriptedCall]], untidy: Collection[Untidy] = ()) -> Iterator[dict[str, Any]]:
    """Yield the deltas of the calls, each with its id, in the order in which they are sent."""
    each = [list(_of_one(at, call_id, call, untidy)) for at, (call_id, call) in enumerate(calls)]
    if Untidy.INTERLEAVED in untidy:
        for row in zip_longest(*each):
            yield from (delta for delta in row if delta is not None)
    else:
        for deltas in each:
            yield from deltas


def _of_one(at: int, call_id: str, call: ScriptedCall, untidy: Collection[Untidy]) -> Iterator[dict[str, Any]]:
    first: dict[str, Any] = {"id": call_id, "type": "function"}
    pieces: list[Any] = ["", *(call.arguments[at : at + _PIECE] for at in range(0, len(call.arguments), _PIECE))]
    if Untidy.WHOLE in untidy:
        pieces = [call.arguments]
    if Untidy.OBJECT_ARGUMENTS in untidy:
        pieces = [msgspec.Raw(call.arguments.encode())]
    if Untidy.NULL_ARGUMENTS in untidy and call.arguments == "{}":
        pieces = [None]
    for number, piece in enumerate(pieces):
        delta: dict[str, Any] = {"index": 0 if Untidy.SAME_INDEX in untidy else at}
        function: dict[str, Any] = {"arguments": piece}
        if not number or Untidy.ID_REPEATED in untidy:
            delta |= first
        if not number or Untidy.NAME_REPEATED in untidy:
            function = {"name": call.name, **function}
        if Untidy.NO_INDEX in untidy:
            del delta["index"]
        if Untidy.NO_ID in untidy:
            delta.pop("id", None)
        yield {**delta, "function": function}
