"""The statements of the writer: each takes the rows of a whole batch as one JSON parameter.

All of them have the same result when they are repeated, in any order: the key of a call or an utterance decides
which row it is, and the newer value stays.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Float,
    Select,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    case,
    cast,
    column,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.dialects.postgresql.dml import Insert
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.types import TypeEngine

from batkol.store.postgres.ends import HAS_OTHER_END, LOST
from batkol.store.postgres.schema import calls, events, leads, utterances

ERASING: Final = 0x6261746B6F6C01
"""Advisory lock: writers hold it together, who erases holds it alone, so no record passes between the two."""

ROWS: Final = "rows"


def _given(table: Table, names: tuple[str, ...]) -> TableValuedAlias:
    """Return the JSON parameter as a table; times are in Unix seconds."""
    columns = [column(name, _as_json(table.c[name].type)) for name in names]
    rows = func.jsonb_to_recordset(cast(bindparam(ROWS, type_=Text), JSONB))
    return rows.table_valued(*columns).render_derived(name="given", with_types=True)


def _as_json(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return Float(53) if isinstance(kind, DateTime) else kind


def _values(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Select the parameter's rows, in the order of their keys: two writers then never wait for each other."""
    given = _given(table, names)
    chosen = [
        func.to_timestamp(given.c[name]) if isinstance(table.c[name].type, DateTime) else given.c[name]
        for name in names
    ]
    return select(*chosen).order_by(given.c.call_sid)


def upsert(table: Table, names: tuple[str, ...]) -> Insert:
    """Return an insertion of the JSON parameter's rows into these columns."""
    return insert(table).from_select(list(names), _values(table, names))


_NO: Final[ColumnElement[bool]] = literal_column("false")
_ALL_STREAMS: Final[ColumnElement[Any]] = literal_column(
    "calls.stream_sids || ARRAY(SELECT unnest(excluded.stream_sids) EXCEPT SELECT unnest(calls.stream_sids))"
)


def _save_calls() -> Any:
    names = (
        "call_sid", "account_sid", "stream_sid", "stream_sids", "agent", "caller_number", "called_number", "direction",
        "started_at", "stream_started_at", "ended_at", "end_reason", "mode", "pod", "slowest_final_ms", "figures",
    )  # fmt: skip
    statement = upsert(calls, names)
    new = statement.excluded
    slowest = func.greatest(calls.c.slowest_final_ms, new.slowest_final_ms)
    changes = or_(
        ~calls.c.stream_sids.contains(new.stream_sids),
        ~calls.c.figures.contains(new.figures),
        slowest.is_distinct_from(calls.c.slowest_final_ms),
        calls.c.mode.is_(None) & new.mode.is_not(None),
        func.coalesce(calls.c.end_reason == LOST, _NO),
    )
    return statement.on_conflict_do_update(
        index_elements=[calls.c.call_sid],
        set_={
            **{name: _of_newest_stream(name, new) for name in ("stream_sid", "stream_started_at", "pod")},
            **{name: _end_of_stream(name, new) for name in ("ended_at", "end_reason")},
            "stream_sids": _ALL_STREAMS,
            "started_at": func.least(calls.c.started_at, new.started_at),
            "mode": func.coalesce(calls.c.mode, new.mode),
            "slowest_final_ms": slowest,
            "figures": calls.c.figures + new.figures,
            "updated_at": func.now(),
        },
        where=changes,
    ).returning(
        calls.c.call_sid,
        calls.c.started_at,
        calls.c.end_reason,
        literal_column("calls.xmax = 0").label("is_new"),
        func.cardinality(calls.c.stream_sids).label("streams"),
    )


def _of_newest_stream(name: str, new: ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]) -> ColumnElement[Any]:
    return case((new.stream_started_at > calls.c.stream_started_at, new[name]), else_=calls.c[name])


def _end_of_stream(name: str, new: ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]) -> ColumnElement[Any]:
    """A later record does not undo a stream's own end, only an end from another source. A newer stream has its own."""
    newer = new.stream_started_at > calls.c.stream_started_at
    same = new.stream_sid == calls.c.stream_sid
    known = case(
        (HAS_OTHER_END, func.coalesce(new[name], calls.c[name])), else_=func.coalesce(calls.c[name], new[name])
    )
    return case((newer, new[name]), (same, known), else_=calls.c[name])


def _save_leads() -> Any:
    """Add new calls to their callers. A row with 0 calls has the earlier start of a call that was added before."""
    names = ("agent", "caller_number", "first_call_at", "last_call_at", "last_call_sid", "calls")
    given = _given(leads, names)
    times = {"first_call_at", "last_call_at"}
    chosen = [func.to_timestamp(given.c[name]) if name in times else given.c[name] for name in names]
    known = exists().where(leads.c.agent == given.c.agent, leads.c.caller_number == given.c.caller_number)
    wanted = select(*chosen).where(or_(given.c.calls > 0, known))
    ordered = wanted.order_by(given.c.agent, given.c.caller_number)
    statement = insert(leads).from_select(list(names), ordered)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[leads.c.agent, leads.c.caller_number],
        set_={
            "first_call_at": func.least(leads.c.first_call_at, new.first_call_at),
            "last_call_at": case(
                (new.last_call_sid == leads.c.last_call_sid, new.last_call_at),
                else_=func.greatest(leads.c.last_call_at, new.last_call_at),
            ),
            "last_call_sid": case(
                (new.last_call_at >= leads.c.last_call_at, new.last_call_sid), else_=leads.c.last_call_sid
            ),
            "calls": leads.c.calls + new.calls,
            "updated_at": func.now(),
        },
    )


def _save_utterances(names: tuple[str, ...], seq: str) -> Any:
    """Set the values of a final, or of its revision; the first of them inserts the row."""
    key = ("call_sid", "stream_sid", "index")
    statement = upsert(utterances, names)
    new = statement.excluded
    kept = {*key, "utterance_id"} | ({"started_at"} if seq == "revised_seq" else set())
    return statement.on_conflict_do_update(
        index_elements=[utterances.c[name] for name in key],
        set_={name: new[name] for name in names if name not in kept},
        where=func.coalesce(utterances.c[seq], -1) < new[seq],
    )


_KEY: Final = ("call_sid", "stream_sid", "index", "utterance_id", "started_at")
_OF_FINALS: Final = (
    "begin_ms", "end_ms", "text", "source", "recognizer", "mode", "words", "partials", "first_partial_ms", "final_ms",
    "trace_id", "unvoiced", "unconfirmed", "seq",
)  # fmt: skip
_OF_EVENTS: Final = ("call_sid", "stream_sid", "seq", "at", "kind", "pod", "detail")

SAVE_CALLS: Final = _save_calls()
"""Returns the calls that changed, or had been given up: SID, when it began, why it ended, and whether it is new."""

SAVE_LEADS: Final = _save_leads()
"""Adds to the leads of each caller: so each new call may be given only once."""

SAVE_FINALS: Final = _save_utterances((*_KEY, *_OF_FINALS), "seq")
SAVE_REVISIONS: Final = _save_utterances(
    (*_KEY, "revised_text", "revised_ms", "revised_unconfirmed", "revised_seq"), "revised_seq"
)
SAVE_EVENTS: Final = upsert(events, _OF_EVENTS).on_conflict_do_nothing()

HOLD: Final = select(func.pg_advisory_xact_lock_shared(ERASING))

ERASED_CALLS: Final = select(calls.c.call_sid).where(
    calls.c.call_sid == func.any(bindparam("call_sids", type_=ARRAY(Text))), calls.c.erased_at.is_not(None)
)
