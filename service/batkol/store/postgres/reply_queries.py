"""Queries of the agent's side: the replies and the calls of tools of one call, and of all calls for an export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, select

from batkol.store.postgres.conversation_queries import event_id_of, stream_numbers
from batkol.store.postgres.queries import CallFilter, chosen_calls
from batkol.store.postgres.schema import replies, tool_calls

_OF_REPLIES: Final[Sequence[ColumnElement[Any]]] = [
    *(
        replies.c[name]
        for name in (
            "stream_sid", "reply_id", "turn", "kind", "phrase", "started_at", "ended_at", "intended", "heard",
            "interrupted", "latency_ms", "text_ms", "first_token_ms", "first_piece_ms", "first_sound_ms", "commit_ms",
            "attempts", "answerer", "voice", "answerer_variant", "voice_variant", "prompt_tokens", "completion_tokens",
            "fault",
        )
    ),
    event_id_of(replies, "seq").label("event_id"),
]  # fmt: skip
_OF_TOOL_CALLS: Final[Sequence[ColumnElement[Any]]] = [
    tool_calls.c.stream_sid,
    tool_calls.c.turn,
    tool_calls.c.at,
    tool_calls.c.name.label("tool"),
    tool_calls.c.arguments,
    tool_calls.c.outcome,
    tool_calls.c.duration_ms,
    tool_calls.c.result,
    event_id_of(tool_calls, "seq").label("event_id"),
]


def replies_of(call_sid: str, limit: int) -> Select[Any]:
    """Return a call's replies, stream after stream, `limit` at most."""
    return _of_call(replies, _OF_REPLIES, replies.c.started_at, call_sid).limit(limit)


def tool_calls_of(call_sid: str, limit: int) -> Select[Any]:
    """Return a call's calls of tools, stream after stream, `limit` at most."""
    return _of_call(tool_calls, _OF_TOOL_CALLS, tool_calls.c.seq, call_sid).limit(limit)


def all_replies(wanted: CallFilter) -> Select[Any]:
    """Return all replies of the calls that match the filter."""
    return _of_calls(replies, _OF_REPLIES, replies.c.started_at, wanted)


def all_tool_calls(wanted: CallFilter) -> Select[Any]:
    """Return all calls of tools in the calls that match the filter."""
    return _of_calls(tool_calls, _OF_TOOL_CALLS, tool_calls.c.seq, wanted)


def _of_call(
    table: Table, columns: Sequence[ColumnElement[Any]], order: ColumnElement[Any], call_sid: str
) -> Select[Any]:
    streams = stream_numbers(call_sid)
    return (
        select(*columns)
        .outerjoin_from(table, streams, streams.c.stream_sid == table.c.stream_sid)
        .where(table.c.call_sid == call_sid)
        .order_by(streams.c.place, table.c.stream_sid, order)
    )


def _of_calls(
    table: Table, columns: Sequence[ColumnElement[Any]], order: ColumnElement[Any], wanted: CallFilter
) -> Select[Any]:
    chosen = chosen_calls(wanted)
    return (
        select(chosen.c.call_sid, chosen.c.agent, *columns)
        .join_from(chosen, table, table.c.call_sid == chosen.c.call_sid)
        .order_by(chosen.c.started_at.desc(), chosen.c.call_sid.desc(), table.c.stream_sid.desc(), order)
    )
