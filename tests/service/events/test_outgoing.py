from typing import Any

import msgspec
import pytest

from batkol.events.events import CallStarted, FinalText, ReplyEnded, ToolCalled, encode
from batkol.events.outgoing import LARGEST, LONGEST_TEXT, OUTGOING, decode, outgoing, seen_with, without_person
from batkol.rights import ALL_RIGHTS, Right
from batkol.store.journal.records import KEPT
from support.postgres.records import ended_event, final_event, revised_event

STARTED = CallStarted(
    call_sid="CA1", stream_sid="MZ1", seq=1, at=1.5, agent="reception", direction="inbound", streaming=True,
    from_="+972541234567", to="+97231234567", parameters={"name": "דנה"},
)  # fmt: skip
TOOL = ToolCalled(
    call_sid="CA1", stream_sid="MZ1", seq=9, at=2.5, turn=1, name="save_lead", arguments='{"a": 1}', outcome="done",
    duration_ms=5.0, result="נשמר",
)  # fmt: skip


@pytest.mark.parametrize("event", [STARTED, TOOL, final_event(0), revised_event(0), ended_event()])
def test_an_event_goes_out_as_the_feed_has_it(event: Any) -> None:
    assert outgoing(event).encode() == encode(event)
    assert decode(outgoing(event)) == event


def test_what_the_store_keeps_something_of_is_what_goes_out() -> None:
    kept = {str(kind.__struct_config__.tag) for kind in KEPT}
    assert kept - set(OUTGOING) == {"reply.started"}, "of which nothing is kept by itself"
    assert set(OUTGOING) <= kept


def test_the_texts_of_an_event_that_is_too_large_are_cut() -> None:
    event = decode(outgoing(final_event(0, text="א" * LARGEST)))
    assert isinstance(event, FinalText)
    assert len(event.text) == LONGEST_TEXT
    assert event.text.endswith("א…")
    assert len(outgoing(final_event(0, text="א" * LARGEST))) < LARGEST
    assert outgoing(final_event(0, text="a" * 200_000)) == encode(final_event(0, text="a" * 200_000)).decode()


def test_half_a_character_is_no_reason_to_raise() -> None:
    event = decode(outgoing(final_event(0, text="שלום \ud800")))
    assert isinstance(event, FinalText)
    assert event.text == "שלום ?"
    started = decode(outgoing(msgspec.structs.replace(STARTED, parameters={"\ud800": "\ud800"})))
    assert isinstance(started, CallStarted)
    assert started.parameters == {"?": "?"}


@pytest.mark.parametrize(
    ("direction", "left"), [("inbound", ("", "+97231234567")), ("outbound-api", ("+972541234567", ""))]
)
def test_without_the_person_our_own_number_is_left(direction: str, left: tuple[str, str]) -> None:
    event = decode(without_person(outgoing(msgspec.structs.replace(STARTED, direction=direction))))
    assert isinstance(event, CallStarted)
    assert (event.from_, event.to) == left
    assert event.parameters == {}
    assert (event.agent, event.seq, event.id) == ("reception", 1, "MZ1-1")


def test_without_the_person_no_words_are_left() -> None:
    tool = decode(without_person(outgoing(TOOL)))
    assert isinstance(tool, ToolCalled)
    assert (tool.arguments, tool.result, tool.outcome) == ("", "", "done")
    said = decode(without_person(outgoing(final_event(0))))
    assert isinstance(said, FinalText)
    assert (said.text, said.words) == ("", 2)


def test_a_reader_with_fewer_rights_sees_less() -> None:
    data = outgoing(STARTED)
    shown = decode(seen_with(data, frozenset({Right.TEXTS})))
    assert isinstance(shown, CallStarted)
    assert (shown.from_, shown.to) == ("", "")
    assert seen_with(data, ALL_RIGHTS) == data
    assert ReplyEnded.__struct_config__.tag in OUTGOING


def test_an_event_of_a_newer_version_cannot_be_shown_in_part() -> None:
    with pytest.raises(msgspec.DecodeError):
        without_person('{"type": "call.sang", "song": "שיר"}')
