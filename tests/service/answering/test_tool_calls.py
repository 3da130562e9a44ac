"""Tool calls, however a server cuts, names and mixes their deltas."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.answering.answerer import ToolCall, ToolResult
from batkol.answering.tool_calls import ExcessError, ToolCallDelta, ToolCalls, name_of, tool_messages
from batkol.simulators.llm.tool_deltas import ScriptedCall as Scripted
from batkol.simulators.llm.tool_deltas import Untidy, tool_deltas
from support.properties import few_by_day

BOOK, LOOK = Scripted("book", '{"day": "מחר", "hour": 8}'), Scripted("look", '{"name": "דנה"}')
BARE = Scripted("look")

names = st.sampled_from(["book", "look", "save_lead"])
arguments = st.dictionaries(st.sampled_from("abc"), st.text(max_size=12) | st.integers(-9, 9) | st.none(), max_size=3)
scripted = st.builds(lambda name, given: Scripted(name, msgspec.json.encode(given).decode()), names, arguments)
# Without an index, parts that take turns belong to a call by the id that each of them has.
TIDINGS: list[tuple[Untidy, ...]] = [
    (),
    (Untidy.INTERLEAVED,),
    (Untidy.NAME_REPEATED,),
    (Untidy.ID_REPEATED, Untidy.NAME_REPEATED, Untidy.INTERLEAVED),
    (Untidy.NO_ID,),
    (Untidy.NO_ID, Untidy.INTERLEAVED),
    (Untidy.NO_INDEX,),
    (Untidy.NO_INDEX, Untidy.ID_REPEATED, Untidy.INTERLEAVED),
    (Untidy.NO_INDEX, Untidy.NO_ID, Untidy.WHOLE),
    (Untidy.SAME_INDEX, Untidy.WHOLE),
    (Untidy.SAME_INDEX, Untidy.NO_ID, Untidy.WHOLE),
    (Untidy.SAME_INDEX,),
    (Untidy.OBJECT_ARGUMENTS, Untidy.NO_INDEX),
    (Untidy.NULL_ARGUMENTS,),
    (Untidy.NULL_ARGUMENTS, Untidy.NO_ID),
]


def read(calls: list[Scripted], *untidy: Untidy) -> tuple[ToolCall, ...]:
    found = ToolCalls()
    for delta in tool_deltas([(f"c{at}", call) for at, call in enumerate(calls)], untidy):
        found.add(msgspec.json.decode(msgspec.json.encode(delta), type=ToolCallDelta))
    return found.whole()


@pytest.mark.parametrize("untidy", TIDINGS, ids=lambda some: "+".join(some) or "tidy")
@given(st.lists(scripted, min_size=1, max_size=4))
@few_by_day(6)
def test_calls_come_out_as_they_were_made(untidy: tuple[Untidy, ...], calls: list[Scripted]) -> None:
    found = read(calls, *untidy)

    assert [(each.name, msgspec.json.decode(each.arguments)) for each in found] == [
        (each.name, msgspec.json.decode(each.arguments)) for each in calls
    ]
    ids = [f"c{at}" for at in range(len(calls))]
    assert [each.id for each in found] == (["" for _ in ids] if Untidy.NO_ID in untidy else ids)


def test_a_server_with_all_its_habits_is_understood() -> None:
    assert read([BOOK, LOOK, BARE], Untidy.NO_INDEX, Untidy.NO_ID, Untidy.NAME_REPEATED) == (
        ToolCall("", "book", BOOK.arguments),
        ToolCall("", "look", LOOK.arguments),
        ToolCall("", "look", "{}"),
    )


@pytest.mark.parametrize("written", [None, "", "null", "None", " "])
def test_no_arguments_are_an_empty_object(written: str | None) -> None:
    calls = ToolCalls()
    calls.add(msgspec.convert({"index": 0, "function": {"name": "f", "arguments": written}}, ToolCallDelta))

    assert calls.whole() == (ToolCall("", "f", "{}"),)


def test_arguments_that_are_no_json_stay_as_they_were_written() -> None:
    calls = ToolCalls()
    calls.add(msgspec.convert({"function": {"name": "f", "arguments": '{"a": '}}, ToolCallDelta))

    assert calls.whole()[0].arguments == '{"a": '


def test_the_bounds_hold_to_the_byte() -> None:
    calls = ToolCalls()
    part = msgspec.convert({"index": 0, "function": {"name": "f", "arguments": "א" * 8192}}, ToolCallDelta)
    calls.add(part)
    with pytest.raises(ExcessError):
        calls.add(msgspec.convert({"index": 0, "function": {"arguments": "a"}}, ToolCallDelta))


@given(st.lists(st.text(max_size=50), max_size=8), st.integers(0, 99))
@few_by_day(50)
def test_each_call_is_told_again_under_an_id_of_its_own(ids: list[str], seed: int) -> None:
    draw = random.Random(seed)
    results = [ToolResult(ToolCall(draw.choice(ids), "f", "{}"), str(at)) for at, _ in enumerate(ids)]

    messages = list(tool_messages(results))

    if not ids:
        assert messages == []
        return
    first, *others = messages
    used = [call["id"] for call in first["tool_calls"]]
    assert len(set(used)) == len(ids)
    assert all(0 < len(each) <= 40 for each in used)
    assert [each["tool_call_id"] for each in others] == used
    assert [each["content"] for each in others] == [str(at) for at, _ in enumerate(ids)]


@pytest.mark.parametrize(
    ("named", "told_as"), [("book", "book"), ("", "unknown"), ("קבע תור", "_______"), ("x" * 99, "x" * 64)]
)
def test_a_name_is_told_again_as_servers_take_it(named: str, told_as: str) -> None:
    assert name_of(ToolCall("", named, "{}")) == told_as
