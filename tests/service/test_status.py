"""The structs of the status: all of them sent, and read from a service of any version."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import msgspec
import pytest

from batkol import status
from batkol.speech.breaker import BreakerState
from batkol.status import (
    BreakerStatus,
    DrainStatus,
    LiveStatus,
    RefusedDefinition,
    ServiceStatus,
    SourceStatus,
    TaskStatus,
    UnownedStatus,
    UpstreamStatus,
)
from batkol.store_status import NO_STORE, NoStoreStatus, SinkStatus, StoreStatus

SERVICE = Path(status.__file__).parent
STRUCTS: dict[str, type[msgspec.Struct]] = {
    name: each for name, each in vars(status).items() if inspect.isclass(each) and issubclass(each, msgspec.Struct)
}
SHORT = {NoStoreStatus: {"kind"}, UnownedStatus: {"deaths", "last_fault"}}
"""Those of which only some fields are sent."""
NEEDED = {**SHORT, SourceStatus: {"state"}, UpstreamStatus: {"state"}}
"""Those that need not be made with all their fields: a source says what it knows, a server what it has answered."""

FULL = ServiceStatus(
    version="0.1.0",
    draining=True,
    drain=DrainStatus(calls_left=2),
    active_calls=2,
    max_calls=100,
    live=LiveStatus(refusals=(RefusedDefinition("tuning.json", None, "it is no JSON"),), refused={"tuning.json": 1}),
    store=StoreStatus(kind="postgres", state="idle"),
    sinks={"crm": SinkStatus(kind="webhook", state="delivering", holder="pod-1", pending=3, fault="It answered 503")},
    tasks={"live": TaskStatus(state="running", since="2026-11-28T10:00:00.000+00:00")},
)


def constructions() -> dict[str, tuple[ast.Call, type[msgspec.Struct]]]:
    """Every place in the service that makes one of the structs, defaults in `status.py` left out."""
    found = {}
    for path in sorted(SERVICE.rglob("*.py")):
        if path != Path(status.__file__):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
                if isinstance(node, ast.Call) and name in STRUCTS:
                    found[f"{path.relative_to(SERVICE)}:{node.lineno}"] = (node, STRUCTS[name])
    return found


def test_the_service_leaves_no_field_of_its_status_at_a_default() -> None:
    """The defaults are for answers of other versions; a field that is forgotten here would be a lie on the wire."""
    made = constructions()
    forgotten = {}
    for where, (call, struct) in made.items():
        fields = struct.__struct_fields__
        given = {*fields[: len(call.args)], *(keyword.arg for keyword in call.keywords)}
        if missing := NEEDED.get(struct, set(fields)) - given:
            forgotten[where] = missing

    assert {struct for _, struct in made.values()} == set(STRUCTS.values())
    assert forgotten == {}


def test_what_is_sent_is_what_is_read() -> None:
    assert msgspec.json.decode(msgspec.json.encode(FULL), type=ServiceStatus) == FULL


def test_no_store_and_unowned_work_are_sent_in_short_and_read_as_the_others() -> None:
    store, unowned = NoStoreStatus(kind=NO_STORE), UnownedStatus(deaths=0, last_fault=None)

    assert msgspec.json.encode(store) == b'{"kind":"none"}'
    assert msgspec.json.encode(unowned) == b'{"deaths":0,"last_fault":null}'
    assert msgspec.json.decode(msgspec.json.encode(store), type=StoreStatus) == StoreStatus(kind="none")
    assert msgspec.json.decode(msgspec.json.encode(unowned), type=TaskStatus) == TaskStatus()


@pytest.mark.parametrize("struct", [each for each in STRUCTS.values() if each not in SHORT], ids=str)
def test_an_older_service_that_sends_less_and_a_newer_one_that_sends_more_are_read(
    struct: type[msgspec.Struct],
) -> None:
    least = {"version": "9", "draining": False, "active_calls": 1, "max_calls": 2} if struct is ServiceStatus else {}

    read = msgspec.json.decode(msgspec.json.encode({**least, "of_a_newer_version": {"a": [1]}}), type=struct)

    assert isinstance(read, struct)


def test_a_word_that_only_a_newer_service_knows_is_read() -> None:
    assert msgspec.json.decode(b'{"state":"warming_up"}', type=BreakerStatus).state == "warming_up"
    assert msgspec.json.decode(b'{"kind":"sqlite","state":"idle"}', type=StoreStatus).kind == "sqlite"


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"status":"ready"}', b'{"version":"1","draining":false}'])
def test_another_json_document_is_no_status(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=ServiceStatus)


def test_every_struct_is_frozen() -> None:
    assert [name for name, each in STRUCTS.items() if not each.__struct_config__.frozen] == []


@pytest.mark.parametrize("state", BreakerState)
def test_a_breaker_s_state_is_said_in_words_too_also_of_a_service_that_sends_none(state: BreakerState) -> None:
    """`closed` is the healthy state, and a newcomer reads it as a fault."""
    read = msgspec.json.decode(msgspec.json.encode({"state": state, "reason": ""}), type=BreakerStatus)

    assert read.used_by == {"closed": "every call", "open": "no call", "half_open": "one call, on trial"}[state]
    assert BreakerStatus().used_by == ""
