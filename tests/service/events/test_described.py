"""The description of the events, their structs, their schemas and the page: one and the same."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from batkol.events.described import COMMON, EVENTS
from batkol.events.events import CallStarted, Event, ReplyEvent, UtteranceEvent, encode
from batkol.events.order import BEGIN, REPLY, UTTERANCE
from batkol.events.schema import STRUCTS, event_schemas, name_of, rights_of
from batkol.rights import Right
from support.events.schemas import validator

ROOT = Path(__file__).parents[3]
EVENT = {"call_sid": "CA1", "stream_sid": "MZ1", "seq": 1, "at": 0.5}


def concrete(kind: type[Event]) -> Iterator[type[Event]]:
    """Every event that something may publish, wherever it is defined."""
    for each in kind.__subclasses__():
        if each.__struct_config__.tag not in (each.__name__, None):
            yield each
        yield from concrete(each)


def fields(struct: type[Event]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)} | {"type"}


def tool() -> ModuleType:
    """Return `tools/events_page.py` as a module."""
    spec = importlib.util.spec_from_file_location("events_page", ROOT / "tools" / "events_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_event_is_one_that_readers_know() -> None:
    assert {name_of(each) for each in concrete(Event)} == {name_of(each) for each in STRUCTS} == set(EVENTS)


@pytest.mark.parametrize("struct", STRUCTS, ids=name_of)
def test_every_field_is_described_and_in_the_schema_and_the_other_way_round(struct: type[Event]) -> None:
    described = {*COMMON, *EVENTS[name_of(struct)].fields}
    schema = event_schemas("#/{name}")[struct.__name__]

    assert fields(struct) == described == set(schema["properties"]) == set(schema["required"])
    assert all(field["description"].endswith((".", "…")) for field in schema["properties"].values())


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    """Run `python tools/events_page.py` after a change."""
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    made = tool().page(page)

    assert made == page
    for struct in STRUCTS:
        section = made.partition(f"### `{name_of(struct)}`")[2].partition("\n### ")[0]
        assert [name for name in fields(struct) - set(COMMON) if f"| `{name}` |" not in section] == []


def test_each_right_is_one_that_a_token_has_and_stands_in_the_schema() -> None:
    rights = {right for struct in STRUCTS for right in rights_of(struct).values()}
    final = event_schemas("#/{name}")["FinalText"]["properties"]

    assert rights == {Right.NUMBERS, Right.TEXTS}
    assert rights_of(CallStarted) == {"from": "numbers", "to": "numbers", "parameters": "numbers"}
    assert (final["text"]["x-right"], "x-right" in final["source"]) == ("texts", False)


def test_the_order_is_about_every_event_of_an_utterance_and_of_a_reply() -> None:
    utterance = {name_of(each) for each in STRUCTS if issubclass(each, UtteranceEvent)}
    reply = {name_of(each) for each in STRUCTS if issubclass(each, ReplyEvent)}

    assert (set(UTTERANCE), set(REPLY)) == (utterance | {BEGIN}, reply | {BEGIN})
    assert set().union(*UTTERANCE.values()) == utterance
    assert set().union(*REPLY.values()) == reply


def test_a_schema_refuses_what_is_no_such_event() -> None:
    started = CallStarted(**EVENT, agent="a", direction="inbound", streaming=True, from_="+1", to="+2")  # type: ignore[arg-type]
    given = json.loads(encode(started))
    of_started = validator("CallStarted")

    of_started.validate(given)
    for wrong in ({**given, "seq": "1"}, {**given, "type": "final"}, {**given, "more": 1}, {"type": "call.started"}):
        assert not of_started.is_valid(wrong)
    assert not validator("FinalText").is_valid(given)
