"""Ends of calls in the tables when their own end never comes: the pod was killed, or its volume is gone.

Of three ends the best known one stays, in whatever order they come: the newest stream's own; the one of Twilio's
status callback, on any pod; and, after `SILENT_H` hours without a sign of life, `LOST`. A status is kept
for itself too, since it may come before all records of the call's pod.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    Select,
    Text,
    bindparam,
    case,
    cast,
    column,
    func,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from batkol.store.postgres.schema import call_statuses, calls, events, replies, utterances
from batkol.twilio.call_status import FINAL

LOST: Final = "lost"
"""The end reason of a call of which nothing more was heard."""

SILENT_H: Final = 24
"""Hours without a sign of life, by the database's clock, after which a call is over: Twilio ends each after 24 h."""

AHEAD_H: Final = 1
"""Hours by which a pod's clock may be ahead, so that what it writes down is still a sign of life."""

CALL_SIDS: Final = "call_sids"
STATUSES: Final = "statuses"
_LONGEST_MS: Final = 3_600_000.0  # milliseconds that an utterance and its recognition are believed to have taken

HAS_OTHER_END: Final[ColumnElement[bool]] = func.coalesce(calls.c.end_reason.in_([*sorted(FINAL), LOST]), False)
"""Whether the end that a call has is not its newest stream's own."""

_is_open: Final = or_(calls.c.ended_at.is_(None), HAS_OTHER_END)
_these: Final = calls.c.call_sid == func.any(bindparam(CALL_SIDS, type_=ARRAY(Text)))


def _save_statuses() -> Any:
    columns = [
        column(name, kind)
        for name, kind in (
            ("call_sid", Text()), ("account_sid", Text()), ("status", Text()), ("ended_at", Float(53)),
            ("duration_s", Integer()),
        )
    ]  # fmt: skip
    rows = func.jsonb_to_recordset(cast(bindparam(STATUSES, type_=Text), JSONB))
    given = rows.table_valued(*columns).render_derived(name="given", with_types=True)
    chosen = select(
        given.c.call_sid, given.c.account_sid, given.c.status, func.to_timestamp(given.c.ended_at), given.c.duration_s
    ).order_by(given.c.call_sid)
    statement = insert(call_statuses).from_select([each.name for each in columns], chosen)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[call_statuses.c.call_sid],
        set_={name: new[name] for name in ("status", "ended_at", "duration_s")},
        where=new.ended_at < call_statuses.c.ended_at,
    )


def _apply_statuses(which: ColumnElement[bool]) -> Any:
    """Give these calls the end of Twilio's status, unless they have their own, and in any case its duration."""
    status = call_statuses.c
    is_new = or_(calls.c.ended_at.is_distinct_from(status.ended_at), calls.c.end_reason.is_distinct_from(status.status))
    return (
        update(calls)
        .where(which, status.call_sid == calls.c.call_sid)
        .where(or_(_is_open & is_new, calls.c.duration_s.is_distinct_from(status.duration_s)))
        .values(
            ended_at=case((_is_open, status.ended_at), else_=calls.c.ended_at),
            end_reason=case((_is_open, status.status), else_=calls.c.end_reason),
            duration_s=status.duration_s,
            updated_at=func.now(),
        )
    )


def _last_known() -> ColumnElement[Any]:
    """The time of a call's newest event: its newest stream's begin, a final, a revision, a reply, its end."""
    spoken_ms = cast(utterances.c.end_ms, Float(53)) - utterances.c.begin_ms
    took_ms = func.coalesce(spoken_ms, 0.0) + func.coalesce(utterances.c.final_ms, 0.0)
    bounded_ms = func.least(func.greatest(took_ms, 0.0), _LONGEST_MS)
    final_at = utterances.c.started_at + bounded_ms.op("*")(literal_column("interval '1 ms'"))
    final: Select[Any] = select(func.max(final_at)).where(utterances.c.call_sid == calls.c.call_sid)
    event: Select[Any] = select(func.max(events.c.at)).where(events.c.call_sid == calls.c.call_sid)
    replied_at = func.coalesce(replies.c.ended_at, replies.c.started_at)
    reply: Select[Any] = select(func.max(replied_at)).where(replies.c.call_sid == calls.c.call_sid)
    newest = final.scalar_subquery(), event.scalar_subquery(), reply.scalar_subquery()
    return func.greatest(calls.c.stream_started_at, *newest)


def _hours_ago(hours: int) -> ColumnElement[Any]:
    return func.now() - text(f"interval '{int(hours)} hours'")


def _is_silent() -> ColumnElement[bool]:
    """Nothing of the call was written, and nothing of it happened, for `SILENT_H` hours.

    The first is by the database's clock alone: a row is written when a stream begins, and no stream outlives a call.
    What happened is by the clocks of pods, so it counts only where these cannot be far off.
    """
    window = _hours_ago(SILENT_H), _hours_ago(-AHEAD_H)
    spoken = select(1).where(utterances.c.call_sid == calls.c.call_sid, utterances.c.started_at.between(*window))
    happened = select(1).where(events.c.call_sid == calls.c.call_sid, events.c.at.between(*window))
    return (calls.c.updated_at < window[0]) & ~spoken.exists() & ~happened.exists()


def _some(condition: ColumnElement[bool]) -> Select[Any]:
    """Choose calls without an end, once in a statement; those that a writer has in hand wait for the next time."""
    limit = bindparam("limit", type_=Integer)
    chosen = select(calls.c.call_sid).where(calls.c.ended_at.is_(None), condition)
    locked = chosen.order_by(calls.c.updated_at).limit(limit).with_for_update(of=calls, skip_locked=True)
    return select(locked.cte("chosen").c.call_sid)


SAVE_STATUSES: Final = _save_statuses()
APPLY_STATUSES: Final = _apply_statuses(_these)

CLOSE_BY_STATUS: Final = _apply_statuses(
    calls.c.call_sid.in_(_some(select(1).where(call_statuses.c.call_sid == calls.c.call_sid).exists()))
)
"""Closes at most `limit` open calls whose status came while another pod was writing their first record."""

CLOSE_LOST: Final = (
    update(calls).where(calls.c.call_sid.in_(_some(_is_silent()))).values(ended_at=_last_known(), end_reason=LOST)
)
"""Closes `limit` open and silent calls at most, at the time when anything was last known of them.

It leaves `updated_at` as it is: nothing was heard of them.
"""

LENGTHEN_LOST: Final = (
    update(calls)
    .where(_these, calls.c.end_reason == LOST)
    .values(ended_at=func.greatest(calls.c.ended_at, _last_known()))
)
"""A journal came back, with more of calls that were given up, and not their end."""

LOCK: Final = select(calls.c.call_sid).where(_these).order_by(calls.c.call_sid).with_for_update(key_share=True)
"""Two pods that get the same calls in different orders never wait for each other."""
