"""Queries of one call's conversation, in its order: stream by stream, and in each by time.

Each stream has the clock of its own pod, and no stream begins before the one before it has ended.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    ColumnElement,
    Select,
    Subquery,
    Table,
    Text,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from batkol.answering.answerer import Role
from batkol.store.postgres.schema import events, replies, tool_calls, utterances

MOST: Final = 200
"""Messages that are returned of one call; the oldest are left out."""


_SAID: Final[ColumnElement[Any]] = func.coalesce(utterances.c.revised_text, utterances.c.text)


def newest_messages(call_sid: str) -> Select[Any]:
    """Return the newest messages of a call, the newest first.

    An utterance that the agent must not reply to is none, nor is a reply of which nothing was heard, unless tools were
    called for it: these are in `tools`, lists of name, arguments, outcome and result.
    """
    said, streams = _said(call_sid).subquery("said"), stream_numbers(call_sid)
    return (
        select(said.c.role, said.c.text, said.c.tools)
        .outerjoin_from(said, streams, streams.c.stream_sid == said.c.stream_sid)
        .where((said.c.text != "") | said.c.tools.is_not(None))
        .order_by(*(column.desc() for column in (streams.c.place, said.c.stream_sid, said.c.at, said.c.role)))
        .limit(MOST)
    )


def stream_numbers(call_sid: str) -> Subquery:
    """Return the place of each stream among those of a call.

    It is the stream's own number, which no clock decides; a stream of a version without numbers has the first place,
    and among several of these the time decides.
    """
    number = func.coalesce(events.c.detail["stream"].as_integer(), 0)
    place = func.row_number().over(order_by=(number, events.c.at)).label("place")
    began = select(events.c.stream_sid, place)
    return began.where(events.c.call_sid == call_sid, events.c.kind == "call.started").subquery("streams")


def _said(call_sid: str) -> Any:
    text = func.coalesce(_SAID, "")
    caller, no_tools = literal(Role.CALLER.value).label("role"), cast(null(), JSON).label("tools")
    by_caller = select(
        utterances.c.stream_sid, utterances.c.started_at.label("at"), caller, text.label("text"), no_tools
    )
    return union_all(
        by_caller.where(utterances.c.call_sid == call_sid, utterances.c.unvoiced.is_not(True)), _by_agent(call_sid)
    )


def _by_agent(call_sid: str) -> Select[Any]:
    """Return what was heard of each reply with the tools that were called for it; or the tools alone."""
    each = func.json_build_array(
        tool_calls.c.name, tool_calls.c.arguments, tool_calls.c.outcome, tool_calls.c.result, type_=JSON
    )
    done = (
        select(
            tool_calls.c.stream_sid,
            tool_calls.c.turn,
            func.min(tool_calls.c.at).label("at"),
            func.json_agg(aggregate_order_by(each, tool_calls.c.seq), type_=JSON).label("tools"),
        )
        .where(
            tool_calls.c.call_sid == call_sid,
            (tool_calls.c.arguments != "") | (tool_calls.c.result != ""),  # neither: the call was erased
        )
        .group_by(tool_calls.c.stream_sid, tool_calls.c.turn)
        .subquery("done")
    )
    heard = (
        select(replies.c.stream_sid, replies.c.turn, replies.c.started_at.label("at"), replies.c.heard)
        .where(replies.c.call_sid == call_sid)
        .subquery("heard")
    )
    same_turn = (heard.c.stream_sid == done.c.stream_sid) & (heard.c.turn == done.c.turn)
    return select(
        func.coalesce(heard.c.stream_sid, done.c.stream_sid).label("stream_sid"),
        func.coalesce(heard.c.at, done.c.at).label("at"),
        literal(Role.AGENT.value).label("role"),
        func.coalesce(heard.c.heard, "").label("text"),
        done.c.tools,
    ).select_from(heard.outerjoin(done, same_turn, full=True))


def conversation_of(call_sid: str, limit: int) -> Select[Any]:
    """Return what was said and done in a call, `limit` entries at most."""
    tool_call = event_id_of(tool_calls, "seq")
    said = union_all(
        _entries("utterance", utterances, utterances.c.utterance_id, utterances.c.started_at, _SAID),
        _entries("reply", replies, replies.c.reply_id, replies.c.started_at, replies.c.heard),
        _entries("tool_call", tool_calls, tool_call, tool_calls.c.at, null()),
    ).subquery("said")
    streams = stream_numbers(call_sid)
    return (
        select(*(said.c[name] for name in ("kind", "stream_sid", "id", "at", "text")))
        .outerjoin_from(said, streams, streams.c.stream_sid == said.c.stream_sid)
        .where(said.c.call_sid == call_sid)
        .order_by(streams.c.place, said.c.stream_sid, said.c.at, said.c.id)
        .limit(limit)
    )


def event_id_of(table: Table, seq: str) -> ColumnElement[Any]:
    """Return the id of the event that a value came from, as `batkol.events.events.event_id` makes it; or null."""
    return table.c.stream_sid + literal_column("'-'") + cast(table.c[seq], Text)


def _entries(
    kind: str, table: Table, key: ColumnElement[Any], at: ColumnElement[Any], text: ColumnElement[Any]
) -> Select[Any]:
    columns = literal(kind).label("kind"), key.label("id"), at.label("at"), text.label("text")
    return select(table.c.call_sid, table.c.stream_sid, *columns)
