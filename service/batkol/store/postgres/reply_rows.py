"""Rows of the agent's side of a batch: replies under way, replies that are over, calls of tools."""

from __future__ import annotations

from typing import Any, Final

from batkol.store.journal.reply_records import ReplyProgressRecord, ReplyRecord, ToolRecord

Row = dict[str, Any]
ReplyKey = tuple[str, str, str]
_WORD: Final = 2**31 - 1  # of Postgres's integer
_OF_END: Final = (
    "intended", "heard", "interrupted", "latency_ms", "text_ms", "first_token_ms", "first_piece_ms", "first_sound_ms",
    "commit_ms", "answerer", "voice", "answerer_variant", "voice_variant", "fault",
)  # fmt: skip


def add_progress(rows: dict[ReplyKey, Row], record: ReplyProgressRecord) -> None:
    """Add how far a reply was heard: of several, the one of which the most was heard."""
    row = {
        **_begun(record),
        "intended": " ".join(filter(None, (record.heard, record.sentence))),
        "heard": record.heard,
        "latency_ms": record.latency_ms,
    }
    known = rows.get(_key(record))
    if known is not None:
        for name in ("intended", "heard"):
            row[name] = max(known[name], row[name], key=len)
        row["started_at"] = min(known["started_at"], row["started_at"])
    rows[_key(record)] = row


def add_end(rows: dict[ReplyKey, Row], record: ReplyRecord) -> None:
    """Add a reply that is over."""
    known = rows.get(_key(record))
    if known is None or known["seq"] <= record.seq:
        rows[_key(record)] = {
            **_begun(record),
            **{name: getattr(record, name) for name in _OF_END},
            "ended_at": record.at,
            "attempts": _bounded(record.attempts),
            "prompt_tokens": _bounded(record.prompt_tokens),
            "completion_tokens": _bounded(record.completion_tokens),
            "seq": _bounded(record.seq),
        }


def add_tool_call(rows: dict[tuple[str, str, int], Row], record: ToolRecord) -> None:
    """Add a call of a tool."""
    key = record.who.call_sid, record.who.stream_sid, _bounded(record.seq)
    rows[key] = {
        "call_sid": key[0],
        "stream_sid": key[1],
        "seq": key[2],
        "turn": _bounded(record.turn),
        "at": record.at,
        "name": record.name,
        "arguments": record.arguments,
        "outcome": record.outcome,
        "duration_ms": record.duration_ms,
        "result": record.result,
    }


def _key(record: ReplyProgressRecord | ReplyRecord) -> ReplyKey:
    return record.who.call_sid, record.who.stream_sid, record.reply_id


def _begun(record: ReplyProgressRecord | ReplyRecord) -> Row:
    return {
        "call_sid": record.who.call_sid,
        "stream_sid": record.who.stream_sid,
        "reply_id": record.reply_id,
        "turn": _bounded(record.turn),
        "kind": record.reply_kind,
        "phrase": record.phrase,
        "started_at": record.started_at,
    }


def _bounded(number: int) -> int:
    return max(-_WORD, min(_WORD, number))
