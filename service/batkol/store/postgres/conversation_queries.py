"""Queries of one call's conversation, in its order: stream by stream, and in each by time.

Each stream has the clock of its own pod, and no stream begins before the one before it has ended.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
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

from batkol.answering.answerer import Role
from batkol.store.postgres.schema import events, replies, tool_calls, utterances

MOST: Final = 200
"""Messages that are returned of one call; the oldest are left out."""


_SAID: Final[ColumnElement[Any]] = func.coalesce(utterances.c.revised_text, utterances.c.text)


def newest_messages(call_sid: str) -> Select[Any]:
    """Return the newest messages of a call, the newest first.

    An utterance that the agent must not reply to is none, nor is a reply of which nothing was heard.
    """
    said, streams = _said(call_sid).subquery("said"), stream_numbers(call_sid)
    return (
        select(said.c.role, said.c.text)
        .outerjoin_from(said, streams, streams.c.stream_sid == said.c.stream_sid)
        .where(said.c.text != "")
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
    caller, agent = (literal(role.value).label("role") for role in (Role.CALLER, Role.AGENT))
    by_caller = select(utterances.c.stream_sid, utterances.c.started_at.label("at"), caller, text.label("text"))
    by_agent = select(replies.c.stream_sid, replies.c.started_at.label("at"), agent, replies.c.heard.label("text"))
    return union_all(
        by_caller.where(utterances.c.call_sid == call_sid, utterances.c.unvoiced.is_not(True)),
        by_agent.where(replies.c.call_sid == call_sid),
    )


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
