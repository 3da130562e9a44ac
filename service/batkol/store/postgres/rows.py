"""Rows of one batch of records, for each table, as JSON that one statement takes.

A key appears once in each list (Postgres would refuse to touch a row twice in one statement), with the newest
record of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from batkol.store.journal.record import Who
from batkol.store.journal.records import (
    AnyRecord,
    CallBegan,
    CallOver,
    CallStatus,
    FinalRecord,
    OfStream,
    RevisionRecord,
)
from batkol.store.journal.reply_records import ReplyProgressRecord, ReplyRecord, ToolRecord
from batkol.store.postgres.lead_fields import add_lead_fields
from batkol.store.postgres.numbers import makes_lead
from batkol.store.postgres.outbox_rows import add_event
from batkol.store.postgres.reply_rows import add_end, add_progress, add_tool_call

Row = dict[str, Any]
_WORD: Final = 2**31 - 1  # of Postgres's integer


@dataclass(slots=True)
class Rows:
    """The rows of a batch, by table. `leads` is by call: who becomes a lead by a call that was not known before."""

    calls: dict[str, Row] = field(default_factory=dict)
    leads: dict[str, Row] = field(default_factory=dict)
    finals: dict[tuple[str, str, int], Row] = field(default_factory=dict)
    revisions: dict[tuple[str, str, int], Row] = field(default_factory=dict)
    events: dict[tuple[str, str, int], Row] = field(default_factory=dict)
    statuses: dict[str, Row] = field(default_factory=dict)
    progress: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    replies: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    tool_calls: dict[tuple[str, str, int], Row] = field(default_factory=dict)
    lead_fields: dict[tuple[str, str], Row] = field(default_factory=dict)
    outbox: dict[tuple[str, str, int], Row] = field(default_factory=dict)


def rows_of(records: Iterable[AnyRecord]) -> Rows:
    """Return the rows of a batch, in the order of its records."""
    rows = Rows()
    for record in records:
        if isinstance(record, CallStatus):
            _status(rows, record)
            continue
        _call(rows, record)
        add_event(rows.outbox, record)
        match record:
            case FinalRecord():
                _newer(rows.finals, record, _final(record))
            case RevisionRecord():
                _newer(rows.revisions, record, _revision(record))
                _event(rows, record, {"index": record.index, "revised_ms": record.revised_ms})
            case CallBegan():
                _event(rows, record, {"mode": record.mode, "stream": record.who.stream})
            case ReplyProgressRecord():
                add_progress(rows.progress, record)
            case ReplyRecord():
                add_end(rows.replies, record)
            case ToolRecord():
                add_tool_call(rows.tool_calls, record)
                add_lead_fields(rows.lead_fields, record)
            case CallOver():
                _event(rows, record, {"reason": record.reason, **record.figures})
    return rows


def as_json(rows: Iterable[Row]) -> str:
    """Return rows as Postgres reads them."""
    return msgspec.json.encode(list(rows)).decode()


def _status(rows: Rows, record: CallStatus) -> None:
    """Twilio may send a status twice, and to two pods: the earliest stays."""
    known = rows.statuses.get(record.call_sid)
    if known is None or record.ended_at < known["ended_at"]:
        rows.statuses[record.call_sid] = {
            "call_sid": record.call_sid,
            "account_sid": record.account_sid,
            "status": record.status,
            "ended_at": record.ended_at,
            "duration_s": record.duration_s,
        }


def _call(rows: Rows, record: OfStream) -> None:
    """Every record creates its call, so that none depends on another record having come."""
    who = record.who
    sid = who.call_sid
    known = rows.calls.get(sid)
    if known is None or who.started_at > known["stream_started_at"]:
        rows.calls[sid] = row = _call_row(who)
        if known is not None:
            _keep_of_earlier(row, known)
    else:
        row = known
    _merge(row, record)
    if sid not in rows.leads and makes_lead(who):
        rows.leads[sid] = {"call_sid": sid, "agent": who.agent, "caller_number": who.party}


def _call_row(who: Who) -> Row:
    return {
        "call_sid": who.call_sid,
        "account_sid": who.account_sid,
        "stream_sid": who.stream_sid,
        "stream_sids": [],
        "agent": who.agent,
        "caller_number": who.caller,
        "called_number": who.called,
        "direction": who.direction,
        "started_at": who.started_at,
        "stream_started_at": who.started_at,
        "ended_at": None,
        "end_reason": None,
        "mode": None,
        "pod": who.pod,
        "slowest_final_ms": None,
        "figures": {},
    }


def _keep_of_earlier(row: Row, known: Row) -> None:
    """The batch has an earlier stream of the same call, too."""
    for name in ("stream_sids", "started_at", "mode", "slowest_final_ms", "figures"):
        row[name] = known[name]


def _merge(row: Row, record: OfStream) -> None:
    stream_sid = record.who.stream_sid
    if stream_sid not in row["stream_sids"]:
        row["stream_sids"].append(stream_sid)
    row["started_at"] = min(row["started_at"], record.who.started_at)
    match record:
        case CallBegan():
            row["mode"] = row["mode"] or record.mode
        case FinalRecord():
            row["slowest_final_ms"] = max(row["slowest_final_ms"] or 0.0, record.final_ms)
        case CallOver():
            row["figures"][stream_sid] = record.figures
            if row["stream_sid"] == stream_sid:
                row["ended_at"], row["end_reason"] = record.at, record.reason


def _key(record: FinalRecord | RevisionRecord) -> Row:
    who = record.who
    return {
        "call_sid": who.call_sid,
        "stream_sid": who.stream_sid,
        "index": _bounded(record.index),
        "utterance_id": record.utterance_id,
    }


def _final(record: FinalRecord) -> Row:
    spoken_s = (record.final_ms + record.end_ms - record.begin_ms) / 1000  # ago, when the final came
    return {
        **_key(record),
        "started_at": record.at - spoken_s,
        "begin_ms": _bounded(record.begin_ms),
        "end_ms": _bounded(record.end_ms),
        "text": record.text,
        "source": record.source,
        "recognizer": record.recognizer or None,
        "mode": record.mode,
        "words": _bounded(record.words),
        "partials": _bounded(record.partials),
        "first_partial_ms": record.first_partial_ms,
        "final_ms": record.final_ms,
        "trace_id": record.trace_id,
        "unvoiced": record.unvoiced,
        "unconfirmed": record.unconfirmed,
        "seq": _bounded(record.seq),
    }


def _revision(record: RevisionRecord) -> Row:
    return {
        **_key(record),
        "started_at": record.at,
        "revised_text": record.text,
        "revised_ms": record.revised_ms,
        "revised_unconfirmed": record.unconfirmed,
        "revised_seq": _bounded(record.seq),
    }


def _newer(rows: dict[tuple[str, str, int], Row], record: FinalRecord | RevisionRecord, row: Row) -> None:
    key = row["call_sid"], row["stream_sid"], row["index"]
    name = "seq" if isinstance(record, FinalRecord) else "revised_seq"
    if key not in rows or rows[key][name] <= row[name]:
        rows[key] = row


def _event(rows: Rows, record: OfStream, detail: Row) -> None:
    who = record.who
    key = who.call_sid, who.stream_sid, _bounded(record.seq)
    rows.events[key] = {
        "call_sid": key[0],
        "stream_sid": key[1],
        "seq": key[2],
        "at": record.at,
        "kind": str(type(record).__struct_config__.tag),
        "pod": who.pod,
        "detail": detail,
    }


def _bounded(number: int) -> int:
    return max(-_WORD, min(_WORD, number))
