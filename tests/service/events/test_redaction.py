"""Every event type and every right: what a reader without the right must never see is in no byte that it gets."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from batkol.events.events import AnyEvent, CallStarted, Event, PartialText, encode
from batkol.events.redaction import redacted, view
from batkol.rights import ALL_RIGHTS, Right

NUMBER, WORDS = "+972541234567", "תור לרופא"
PLANTED = {Right.NUMBERS: NUMBER, Right.TEXTS: WORDS}

KINDS: tuple[type[Event], ...] = get_args(AnyEvent)
HIDDEN: dict[str, dict[str, Right]] = {
    "call.started": {"from_": Right.NUMBERS, "to": Right.NUMBERS, "parameters": Right.NUMBERS},
    "utterance.started": {},
    "utterance.ended": {},
    "partial": {"text": Right.TEXTS},
    "tentative": {"text": Right.TEXTS},
    "withdrawn": {},
    "final": {"text": Right.TEXTS},
    "revised": {"text": Right.TEXTS},
    "reply.started": {},
    "reply.sentence": {"text": Right.TEXTS},
    "reply.interrupted": {"heard": Right.TEXTS},
    "reply.resumed": {},
    "reply.ended": {"intended": Right.TEXTS, "heard": Right.TEXTS},
    "reply.failed": {},
    "tool.called": {"arguments": Right.TEXTS, "result": Right.TEXTS},
    "dtmf": {"digit": Right.TEXTS},
    "mark": {},
    "call.ended": {},
}
"""The fields of each event that want a right."""

OPEN = {
    "call_sid", "stream_sid", "id", "agent", "direction", "utterance_id", "mode", "flag_variant", "flag_reason",
    "reason", "source", "reply_id", "phrase", "part", "name", "finals", "fault", "kind", "outcome",
    "answerer", "voice", "answerer_variant", "voice_variant", "recognizer", "trace_id",
}  # fmt: skip
"""The fields that can hold text and are shown to every reader of events: names, and words of the service's own."""


def tag(kind: type[Event]) -> str:
    return str(kind.__struct_config__.tag)


def holds_text(hint: Any) -> bool:
    return hint is str or str in get_args(hint) or any(holds_text(inner) for inner in get_args(hint))


def value(hint: Any, planted: str) -> Any:
    """Return a value of this type, with the planted text in it."""
    if hint is str:
        return planted
    if hint == dict[str, str]:
        return {planted: planted}
    if hint == dict[str, int]:
        return {"final": 1}
    return None if type(None) in get_args(hint) else hint(1)


def planted(kind: type[Event]) -> Event:
    hidden = HIDDEN[tag(kind)]
    texts = {name: PLANTED[right] for name, right in hidden.items()}
    return kind(**{name: value(hint, texts.get(name, "open")) for name, hint in get_type_hints(kind).items()})


VIEWS = [frozenset(some) for some in chain.from_iterable(combinations(Right, n) for n in range(len(Right) + 1))]


@pytest.mark.parametrize("kind", KINDS, ids=tag)
def test_a_field_that_can_hold_text_is_open_or_wants_a_right(kind: type[Event]) -> None:
    """A new event or field has to be put into the table above."""
    texts = {name for name, hint in get_type_hints(kind).items() if holds_text(hint)}

    assert texts - OPEN == HIDDEN[tag(kind)].keys()


@pytest.mark.parametrize("kind", KINDS, ids=tag)
def test_what_a_reader_may_not_see_is_in_no_byte_of_an_event(kind: type[Event]) -> None:
    event = planted(kind)
    for may in VIEWS:
        sent = encode(redacted(event, may)).decode()
        for right, text in PLANTED.items():
            assert (text in sent) == (right in may and right in HIDDEN[tag(kind)].values())
        shown = msgspec.json.decode(sent, type=kind)
        hidden = {name for name, right in HIDDEN[tag(kind)].items() if right not in may}
        assert [name for name in hidden if getattr(shown, name)] == []
        for name in set(kind.__struct_fields__) - hidden:
            assert getattr(shown, name) == getattr(event, name)


def test_a_reader_who_may_see_everything_gets_the_event_itself() -> None:
    for kind in KINDS:
        event = planted(kind)
        assert redacted(event, ALL_RIGHTS) is event


def test_other_rights_make_no_other_view() -> None:
    """So a feed encodes an event four times at most, however many readers it has."""
    assert len({view(may) for may in VIEWS}) == 4
    assert view(ALL_RIGHTS) == {Right.NUMBERS, Right.TEXTS}


def test_an_event_has_an_id_of_its_stream_and_number_and_keeps_one_that_was_read() -> None:
    given: dict[str, Any] = {"call_sid": "CA1", "at": 0.0, "agent": "", "direction": "inbound", "streaming": True}
    made = CallStarted(**given, stream_sid="MZ1", seq=7)

    assert made.id == "MZ1-7"
    assert msgspec.json.decode(encode(made))["id"] == "MZ1-7"
    assert msgspec.json.decode(encode(made), type=CallStarted) == made
    assert redacted(made, frozenset()).id == "MZ1-7"
    assert msgspec.structs.replace(made, id="other").id == "other"


def test_the_wire_has_the_callers_number_under_from() -> None:
    sent = msgspec.json.decode(encode(planted(CallStarted)))

    assert (sent["from"], sent["to"], sent["parameters"]) == (NUMBER, NUMBER, {NUMBER: NUMBER})
    assert tag(PartialText) == "partial"
