"""Queries of the store: calls and leads by pages, one call, all calls for an export.

Newest first everywhere, and each in the order of an index, so that a page costs what it shows and not what there is. A
page is asked for by the place where the one before it ended (keyset), never by how many were shown: what is written
meanwhile moves nothing. https://use-the-index-luke.com/no-offset
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    Subquery,
    Text,
    Update,
    and_,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    tuple_,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from batkol.store.postgres.conversation_queries import event_id_of, stream_numbers
from batkol.store.postgres.lead_fields import PLAIN_FIELDS, SHOWN_NAME
from batkol.store.postgres.schema import SLOW_MS, calls, corrections, leads, replies, summaries, utterances

Ordered = tuple[ColumnElement[Any], ColumnElement[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """A filter of calls. None: any. `number` is either end's; `since` is included, `before` is not.

    `slow_ms` is at least `SLOW_MS`: the indexes of slow finals begin there. `words` and `slow_reply_ms` have no index:
    call after call is looked at, in the order of the page, so both cost what the other filters leave.
    """

    agent: str | None = None
    number: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    mode: str | None = None
    slow_ms: float | None = None
    slow_reply_ms: float | None = None
    words: str | None = None


@dataclass(frozen=True, slots=True)
class PagePosition:
    """The end of a page: the last row's time, and its key among rows of that time."""

    at: datetime
    key: str | int


_SUMMARY: Final = select(summaries.c.text).where(summaries.c.call_sid == calls.c.call_sid).scalar_subquery()
_OF_CALLS: Final[Sequence[ColumnElement[Any]]] = [
    *(
        calls.c[name]
        for name in (
            "call_sid", "stream_sids", "account_sid", "agent", "caller_number", "called_number", "direction",
            "started_at", "ended_at", "end_reason", "duration_s", "mode", "pod", "slowest_final_ms", "figures",
            "erased_at",
        )
    ),
    _SUMMARY.label("summary"),
]  # fmt: skip
_NO: Final[ColumnElement[bool]] = literal_column("false")


_OF_UTTERANCES: Final[Sequence[ColumnElement[Any]]] = [
    *(
        utterances.c[name]
        for name in (
            "stream_sid", "index", "utterance_id", "started_at", "begin_ms", "end_ms", "text", "revised_text",
            "source", "recognizer", "mode", "words", "partials", "first_partial_ms", "final_ms", "revised_ms",
            "trace_id",
        )
    ),
    func.coalesce(utterances.c.unvoiced, _NO).label("unvoiced"),
    func.coalesce(utterances.c.revised_unconfirmed, utterances.c.unconfirmed, _NO).label("unconfirmed"),
    event_id_of(utterances, "seq").label("event_id"),
    event_id_of(utterances, "revised_seq").label("revised_event_id"),
    corrections.c.text.label("correction"),
    corrections.c.corrected_by,
    corrections.c.corrected_at,
]  # fmt: skip
_IS_CORRECTION: Final = and_(
    *(corrections.c[name] == utterances.c[name] for name in ("call_sid", "stream_sid", "index"))
)
_OF_LEADS: Final[Sequence[ColumnElement[Any]]] = [
    *(
        leads.c[name]
        for name in (
            "id", "agent", "caller_number", "first_call_at", "last_call_at", "last_call_sid", "calls",
        )
    ),
    type_coerce(literal_column(SHOWN_NAME), Text).label("name"),
    leads.c.notes,
    leads.c.last_summary,
    type_coerce(literal_column(PLAIN_FIELDS), JSONB).label("fields"),
    leads.c.updated_at,
]  # fmt: skip


def page_of_calls(wanted: CallFilter, after: PagePosition | None, limit: int) -> Select[Any]:
    """Return the calls after a place, `limit` at most."""
    return _calls(wanted, _OF_CALLS, after=after, limit=limit)


def all_calls(wanted: CallFilter) -> Select[Any]:
    """Return all calls that match the filter."""
    return _calls(wanted, _OF_CALLS)


def one_call(call_sid: str) -> Select[Any]:
    """Return a call, or nothing."""
    return select(*_OF_CALLS).where(calls.c.call_sid == call_sid)


def utterances_of(call_sid: str, limit: int) -> Select[Any]:
    """Return a call's utterances, stream after stream, `limit` at most."""
    streams = stream_numbers(call_sid)
    stream_began = func.min(utterances.c.started_at).over(partition_by=utterances.c.stream_sid)
    return (
        select(*_OF_UTTERANCES)
        .select_from(
            utterances.outerjoin(streams, streams.c.stream_sid == utterances.c.stream_sid).outerjoin(
                corrections, _IS_CORRECTION
            )
        )
        .where(utterances.c.call_sid == call_sid)
        .order_by(streams.c.place, stream_began, utterances.c.stream_sid, utterances.c.index)
        .limit(limit)
    )


def one_utterance(call_sid: str, stream_sid: str, index: int) -> Select[Any]:
    """Return an utterance, or nothing."""
    key = (utterances.c.call_sid == call_sid, utterances.c.stream_sid == stream_sid, utterances.c.index == index)
    return select(*_OF_UTTERANCES).select_from(utterances.outerjoin(corrections, _IS_CORRECTION)).where(*key)


def all_utterances(wanted: CallFilter) -> Select[Any]:
    """Return all utterances of the calls that match the filter; with `slow_ms`, only the slow ones."""
    chosen = chosen_calls(wanted)
    found = (
        select(chosen.c.call_sid, chosen.c.agent, *_OF_UTTERANCES)
        .select_from(
            chosen.join(utterances, utterances.c.call_sid == chosen.c.call_sid).outerjoin(corrections, _IS_CORRECTION)
        )
        .order_by(
            chosen.c.started_at.desc(), chosen.c.call_sid.desc(), utterances.c.stream_sid.desc(), utterances.c.index
        )
    )
    if wanted.slow_ms is None:
        return found
    # In words that `utterances_slow` does not have: it is by time, and would be gone through once for every call.
    return found.where(func.coalesce(utterances.c.final_ms, 0.0) >= wanted.slow_ms)


def chosen_calls(wanted: CallFilter) -> Subquery:
    """Return SID, agent and start of the calls that match the filter, for what is exported of them."""
    return _calls(wanted, [calls.c.call_sid, calls.c.agent, calls.c.started_at]).subquery("chosen")


def page_of_leads(agent: str | None, number: str | None, after: PagePosition | None, limit: int) -> Select[Any]:
    """Return the leads after a place, `limit` at most: who called last comes first."""
    order = leads.c.last_call_at, leads.c.id
    return all_leads(agent, number).where(*_after(order, after)).limit(limit)


def all_leads(agent: str | None, number: str | None) -> Select[Any]:
    """Return all leads that match the filter."""
    found = select(*_OF_LEADS).order_by(leads.c.last_call_at.desc(), leads.c.id.desc())
    return found.where(*_equal((leads.c.agent, agent), (leads.c.caller_number, number)))


def one_lead(lead_id: int) -> Select[Any]:
    """Return a lead, or nothing."""
    return select(*_OF_LEADS).where(leads.c.id == lead_id)


def change_lead(lead_id: int, changes: dict[str, str | None]) -> Any:
    """Set what an agent sets (name, notes, last_summary), and return the lead, or nothing where there is none."""
    changed: Update = update(leads).where(leads.c.id == lead_id).values({**changes, "updated_at": func.now()})
    return changed.returning(*_OF_LEADS)


def _calls(
    wanted: CallFilter,
    columns: Sequence[ColumnElement[Any]],
    *,
    after: PagePosition | None = None,
    limit: int | None = None,
) -> Select[Any]:
    """A number is looked for at both ends, each in its own index: one `OR` would sort all that it finds."""
    branches = [select(*columns).where(*_conditions(wanted), *end) for end in _ends(wanted.number)]
    order = calls.c.started_at, calls.c.call_sid
    pages = [
        branch.where(*_after(order, after)).order_by(*(column.desc() for column in order)).limit(limit)
        for branch in branches
    ]
    if len(pages) == 1:
        return pages[0]
    both = union_all(*pages).subquery("both_ends")
    return select(both).order_by(both.c.started_at.desc(), both.c.call_sid.desc()).limit(limit)


def _conditions(wanted: CallFilter) -> Iterable[ColumnElement[bool]]:
    yield from _equal((calls.c.agent, wanted.agent), (calls.c.mode, wanted.mode))
    if wanted.since is not None:
        yield calls.c.started_at >= wanted.since
    if wanted.before is not None:
        yield calls.c.started_at < wanted.before
    if wanted.slow_ms is not None:
        # In the index's own words too: a prepared statement does not know how large its parameter will be.
        yield literal_column(f"calls.slowest_final_ms >= {SLOW_MS}")
        yield calls.c.slowest_final_ms >= wanted.slow_ms
    if wanted.slow_reply_ms is not None:
        of_call = replies.c.call_sid == calls.c.call_sid
        yield exists().where(of_call, replies.c.latency_ms >= wanted.slow_reply_ms)
    if wanted.words is not None:
        yield _has_words(wanted.words)


def _has_words(words: str) -> ColumnElement[bool]:
    """Whether the caller said the words, or heard them of the agent: as they stand, in upper or lower case."""
    said = func.coalesce(utterances.c.revised_text, utterances.c.text)
    of_caller = exists().where(utterances.c.call_sid == calls.c.call_sid, said.icontains(words, autoescape=True))
    of_agent = exists().where(replies.c.call_sid == calls.c.call_sid, replies.c.heard.icontains(words, autoescape=True))
    return or_(of_caller, of_agent)


def _ends(number: str | None) -> list[list[ColumnElement[bool]]]:
    if number is None:
        return [[]]
    caller, called = calls.c.caller_number, calls.c.called_number
    return [[caller == number], [called == number, caller != number]]


def _equal(*pairs: tuple[Column[Any], str | None]) -> Iterable[ColumnElement[bool]]:
    return [column == value for column, value in pairs if value is not None]


def _after(order: Ordered, place: PagePosition | None) -> list[ColumnElement[bool]]:
    if place is None:
        return []
    at, key = order
    return [tuple_(at, key) < tuple_(literal(place.at, at.type), literal(place.key, key.type))]


IN_ORDER: Final = text(
    "SELECT set_config(name, 'off', true) FROM unnest(ARRAY["
    "'enable_seqscan', 'enable_sort', 'enable_hashjoin', 'enable_mergejoin', 'enable_bitmapscan', 'jit']) AS name"
)
"""Before an export, in its transaction: take rows as the index has them, the first at once, and sort no table."""
