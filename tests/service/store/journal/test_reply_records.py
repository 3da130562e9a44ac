"""What is kept of replies, from their events."""

from __future__ import annotations

from typing import Any

from batkol.events.events import (
    Event,
    ReplyEnded,
    ReplyInterrupted,
    ReplyResumed,
    ReplySentence,
    ReplyStarted,
    ToolCalled,
)
from batkol.store.journal.record import Record
from batkol.store.journal.reply_records import REMEMBERED, ReplyProgressRecord, ReplyRecord, ReplyRecords
from support.postgres.records import AT, sid, tool, who

PIECES = ("בשמחה.", "יש תור ביום שני.", "מתאים?")


def about(reply: int, seq: int, kind: str = "r") -> dict[str, Any]:
    stream = who().stream_sid
    of = {"call_sid": sid(), "stream_sid": stream, "seq": seq, "at": AT + seq}
    return {**of, "reply_id": f"{stream}-{kind}{reply}", "turn": reply}


def begins(reply: int, seq: int, index: int, **fields: Any) -> ReplySentence:
    return ReplySentence(**about(reply, seq, **fields), index=index, text=PIECES[index], begin_ms=index * 900)


def ended(reply: int, seq: int, heard: str) -> ReplyEnded:
    parts: dict[str, Any] = dict.fromkeys(
        ("text_ms", "first_token_ms", "first_piece_ms", "first_sound_ms", "commit_ms"), 1.0
    )
    return ReplyEnded(
        **about(reply, seq), intended=" ".join(PIECES), heard=heard, interrupted=True, latency_ms=740.0, **parts
    )


def kept_of(*events: Event, records: ReplyRecords | None = None) -> list[Record]:
    records = ReplyRecords() if records is None else records
    made = [records.record_of(event, who()) for event in events]
    return [record for record in made if record is not None]


def progress(*events: Event) -> list[tuple[str, str]]:
    """Return what was heard, and the sentence that begins, of each record."""
    found = [record for record in kept_of(*events) if isinstance(record, ReplyProgressRecord)]
    return [(record.heard, record.sentence) for record in found]


def test_each_sentence_that_begins_says_what_was_heard_before_it() -> None:
    started = ReplyStarted(**about(1, 2), phrase=None, latency_ms=740.0)

    assert progress(started, *(begins(1, 3 + index, index) for index in range(3))) == [
        ("", PIECES[0]),
        (PIECES[0], PIECES[1]),
        (f"{PIECES[0]} {PIECES[1]}", PIECES[2]),
    ]


def test_an_interruption_says_to_a_word_what_was_heard_and_a_reply_that_goes_on_repeats_its_sentence() -> None:
    cut = ReplyInterrupted(**about(1, 5), heard="בשמחה. יש תור")
    resumed = ReplyResumed(**about(1, 6), index=1)

    assert progress(begins(1, 3, 0), begins(1, 4, 1), cut, resumed, begins(1, 7, 1), begins(1, 8, 2))[1:] == [
        (PIECES[0], PIECES[1]),
        ("בשמחה. יש תור", ""),
        (PIECES[0], PIECES[1]),
        (f"{PIECES[0]} {PIECES[1]}", PIECES[2]),
    ]


def test_the_end_of_a_reply_has_its_beginning_and_what_its_event_says() -> None:
    started = ReplyStarted(**about(1, 2), phrase="greeting", latency_ms=None)
    (record,) = kept_of(started, ended(1, 9, "בשמחה."))

    assert isinstance(record, ReplyRecord)
    assert (record.started_at, record.at, record.seq, record.phrase) == (AT + 2, AT + 9, 9, "greeting")
    assert (record.intended, record.heard, record.interrupted) == (" ".join(PIECES), "בשמחה.", True)


def test_a_call_of_a_tool_is_kept_with_what_its_event_says() -> None:
    of = {name: value for name, value in about(1, 7).items() if name != "reply_id"}
    (record,) = kept_of(
        ToolCalled(**of, name="save_lead", arguments='{"a": 1}', outcome="done", duration_ms=80.5, result="saved")
    )

    assert record == tool(seq=7, at=AT + 7, arguments='{"a": 1}')


def test_the_kind_is_known_before_the_end() -> None:
    greeting = ReplyStarted(**about(1, 2), phrase="greeting", latency_ms=None)
    records = kept_of(greeting, begins(1, 3, 0), begins(2, 4, 0), begins(3, 5, 0, kind="a"))

    kinds = [record.reply_kind for record in records if isinstance(record, ReplyProgressRecord)]
    assert kinds == ["phrase", "answer", "announcement"]


def test_nothing_is_remembered_of_replies_that_are_over_and_little_of_those_that_never_end() -> None:
    records = ReplyRecords()
    kept_of(*(each for n in range(50) for each in (begins(n, n, 0), ended(n, n, ""))), records=records)
    assert len(records) == 0
    kept_of(*(begins(n, n, 0) for n in range(50)), records=records)

    assert len(records) == REMEMBERED
