from typing import get_args

import msgspec
import pytest

from batkol.events.events import Event, PartialText
from batkol.store.journal.record import CUT, LONGEST_TEXT, bounded
from batkol.store.journal.records import (
    KEPT,
    AnyRecord,
    CallOver,
    FinalRecord,
    RevisionRecord,
    decode,
    encode,
    record_of,
    status_record,
)
from batkol.twilio.call_status import FinalStatus
from support.postgres.records import (
    began,
    ended_event,
    final_event,
    heard,
    over,
    replied,
    replying,
    revised,
    revised_event,
    started_event,
    status,
    tool,
    who,
)

ALL = (began(), heard(), revised(), replying(), replied(), tool(), over(), status())
EXAMPLES = {type(each): each for each in ALL}


def test_every_kind_of_record_is_read_back_as_it_was() -> None:
    assert set(EXAMPLES) == set(get_args(AnyRecord))
    for record in EXAMPLES.values():
        assert decode(encode(record)) == record


@pytest.mark.parametrize("event", [started_event(), final_event(), revised_event(), ended_event()])
def test_what_is_kept_of_an_event_says_whose_it_is_and_when(event: Event) -> None:
    record = record_of(event, who(), "ab" * 16)

    assert record is not None
    assert type(event) in KEPT
    assert (record.who, record.seq, record.at) == (who(), event.seq, event.at)


def test_a_final_is_kept_with_its_words_times_and_trace() -> None:
    record = record_of(final_event(3), who(), "ab" * 16)

    assert record == heard(3)


def test_the_figures_of_a_call_are_those_of_its_last_event() -> None:
    record = record_of(ended_event(), who(), None)

    assert isinstance(record, CallOver)
    assert record.reason == "stop"
    assert record.figures["finals"] == {"final": 2}
    assert not {"call_sid", "seq", "at", "reason"} & set(record.figures)


def test_of_a_status_callback_no_number_is_kept_and_its_time_is_twilios_where_twilio_gives_one() -> None:
    told = FinalStatus(call_sid="CA1", account_sid="AC1", status="busy", ended_at=5.0, duration_s=None)

    assert msgspec.to_builtins(status_record(told, 7.0)) == {
        "kind": "call.status", "call_sid": "CA1", "account_sid": "AC1", "status": "busy", "ended_at": 5.0,
        "duration_s": None, "at": 7.0,
    }  # fmt: skip
    assert status_record(msgspec.structs.replace(told, ended_at=None), 7.0).ended_at == 7.0
    odd = status_record(msgspec.structs.replace(told, call_sid="C\x00" * 600), 7.0)
    assert len(odd.call_sid) == 480
    assert "\x00" not in odd.call_sid


def test_of_a_partial_nothing_is_kept() -> None:
    partial = PartialText(
        call_sid="CA", seq=2, at=1.0, utterance_id="CA-0", index=0, text="של", stability=0.9, number=1
    )

    assert type(partial) not in KEPT
    assert record_of(partial, who(), None) is None


@pytest.mark.parametrize("make", [final_event, lambda **f: msgspec.structs.replace(revised_event(), **f)])
def test_a_text_that_is_too_long_is_cut_and_says_so(make: object) -> None:
    assert callable(make)
    record = record_of(make(text="א" * (LONGEST_TEXT + 1)), who(), None)

    assert isinstance(record, FinalRecord | RevisionRecord)
    assert len(record.text) == LONGEST_TEXT
    assert record.text.endswith("א" + CUT)
    kept = record_of(make(text="א" * LONGEST_TEXT), who(), None)
    assert isinstance(kept, FinalRecord | RevisionRecord)
    assert kept.text == "א" * LONGEST_TEXT


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a\x00b", "a\ufffdb"), ("\x00", "\ufffd"), ("של\ud800ום", "של?ום"), ("a\ud800", "a?"), ("שלום 👋", "שלום 👋")],
)
def test_what_postgres_refuses_is_replaced(given: str, kept: str) -> None:
    assert bounded(given, 100) == kept


def test_what_is_no_record_is_an_error_of_its_own() -> None:
    for payload in (b"", b"\xc1", msgspec.msgpack.encode({"kind": "of a newer version"})):
        with pytest.raises(msgspec.DecodeError):
            decode(payload)


@pytest.mark.parametrize(
    ("direction", "party"),
    [("inbound", "caller"), ("outbound-api", "called"), ("outbound-dial", "called"), ("", "caller")],
)
def test_the_person_is_who_is_not_us(direction: str, party: str) -> None:
    assert who(direction=direction, caller="caller", called="called").party == party
