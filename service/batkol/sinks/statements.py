"""The statements of a sink's view of the outbox. `$1` is the agent; `$2`, but for `NEXT` and `HELD_BACK`, the sink."""

# ruff: noqa: S608  constants of this module

from __future__ import annotations

from typing import Final

from batkol.sinks.settling import LONGEST_ASKED_S
from batkol.store.postgres.outbox_tables import sink_lock

BATCH: Final = 100
"""Events that a sink is given at once."""

BATCH_BYTES: Final = 1 << 20
"""Bytes of JSON after which it is given no more at once."""

_HORIZON: Final = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_LOCK: Final = sink_lock("$1::text", "$2::text")
_COLUMNS: Final = "transaction, position, call_sid, stream_sid, seq, agent, kind, at"

TRY_LOCK: Final = f"""
SELECT pg_try_advisory_lock({_LOCK}) AS is_held, (SELECT pod FROM sinks WHERE agent = $1 AND name = $2) AS holder
"""
UNLOCK: Final = f"SELECT pg_advisory_unlock({_LOCK})"

BEGIN: Final = f"""
INSERT INTO sinks AS known (agent, name, transaction, position, pod) VALUES ($1, $2, {_HORIZON}, 0, $3)
ON CONFLICT (agent, name) DO UPDATE SET seen_at = now(), pod = excluded.pod
RETURNING transaction, position, fault
"""
TOUCH: Final = "UPDATE sinks SET seen_at = now() WHERE agent = $1 AND name = $2"
STREAMS: Final = "SELECT stream_sid, attempts > 0 AS has_failed FROM sink_streams WHERE agent = $1 AND sink = $2"

_SIZED: Final = "sum(octet_length(data)) OVER (ORDER BY transaction, position) - octet_length(data)"
NEXT: Final = f"""
SELECT {_COLUMNS}, CASE WHEN kind = ANY($4::text[]) THEN data END AS data
FROM (
    SELECT {_COLUMNS}, data, {_SIZED} AS bytes_before
    FROM (
        SELECT {_COLUMNS}, data FROM outbox
        WHERE agent = $1 AND (transaction, position) > ($2::bigint, $3::bigint) AND transaction < {_HORIZON}
        ORDER BY transaction, position LIMIT {BATCH}
    ) AS next
) AS sized
WHERE bytes_before < {BATCH_BYTES} ORDER BY transaction, position
"""
HELD_BACK: Final = f"""
SELECT greatest(extract(epoch FROM now() - min(written_at)), 0)::float8 AS seconds, count(*) > 0 AS waits
FROM (
    SELECT written_at FROM outbox
    WHERE agent = $1 AND transaction >= {_HORIZON} AND (transaction, position) > ($2::bigint, $3::bigint)
    ORDER BY transaction, position LIMIT {BATCH}
) AS next
"""
# The database's clock may be set back. What is due later than the longest wait after now was noted before that: it is
# due, or it would wait for as long as the clock was set back.
_LONGEST: Final = "make_interval(secs => CASE WHEN is_asked THEN {asked} ELSE {own} END)"
_LETTER_LONGEST: Final = f"make_interval(secs => {LONGEST_ASKED_S})"


def _is_due(at: str, longest: str) -> str:
    return f"({at} <= now() OR {at} > now() + {longest})"


def _due_s(at: str, longest: str) -> str:
    return f"(CASE WHEN {at} > now() + {longest} THEN 0 ELSE extract(epoch FROM {at} - now()) END)"


_OWN: Final = _LONGEST.format(asked=LONGEST_ASKED_S, own="$4::float8")
DUE: Final = f"""
WITH due AS (
    SELECT stream_sid, attempts, due_at FROM sink_streams
    WHERE agent = $1 AND sink = $2 AND stream_sid <> ALL($3::text[]) AND {_is_due("due_at", _OWN)}
)
(SELECT stream_sid, attempts FROM due WHERE attempts = 0 ORDER BY due_at LIMIT $5::int)
UNION ALL
(SELECT stream_sid, attempts FROM due WHERE attempts > 0 ORDER BY due_at LIMIT $6::int)
"""
OF_STREAMS: Final = f"""
SELECT {_COLUMNS}, data
FROM (
    SELECT {_COLUMNS}, data, {_SIZED} AS bytes_before
    FROM (
        SELECT outbox.* FROM sink_streams AS held JOIN outbox USING (agent, call_sid, stream_sid)
        WHERE held.agent = $1 AND held.sink = $2 AND held.stream_sid = ANY($3::text[])
            AND (outbox.transaction, outbox.position) > (held.transaction, held.position)
            AND (outbox.transaction, outbox.position) <= ($4::bigint, $5::bigint) AND outbox.kind = ANY($6::text[])
        ORDER BY outbox.transaction, outbox.position LIMIT {BATCH}
    ) AS due
) AS sized
WHERE bytes_before < {BATCH_BYTES} ORDER BY transaction, position
"""
AGAIN: Final = f"""
SELECT {_COLUMNS}, CASE WHEN kind = ANY($3::text[]) THEN data END AS data, attempts
FROM (
    SELECT {_COLUMNS}, data, attempts, {_SIZED} AS bytes_before
    FROM (
        SELECT outbox.*, letters.attempts FROM sink_letters AS letters JOIN outbox USING (agent, position)
        WHERE letters.agent = $1 AND letters.sink = $2 AND {_is_due("letters.again_at", _LETTER_LONGEST)}
            AND outbox.stream_sid <> ALL($4::text[])
        ORDER BY outbox.transaction, outbox.position LIMIT {BATCH}
    ) AS due
) AS sized
WHERE bytes_before < {BATCH_BYTES} ORDER BY transaction, position
"""
WAITS: Final = f"""
SELECT
    (SELECT min({_due_s("due_at", _OWN)})::float8 FROM sink_streams
     WHERE agent = $1 AND sink = $2 AND stream_sid <> ALL($3::text[])) AS stream_s,
    (SELECT min({_due_s("again_at", _LETTER_LONGEST)})::float8 FROM sink_letters
     WHERE agent = $1 AND sink = $2 AND again_at IS NOT NULL) AS letter_s
"""
NOTE: Final = """
UPDATE sinks SET transaction = $3, position = $4, delivered = delivered + $5, fault = $6,
    seen_at = now(), pod = $7
WHERE agent = $1 AND name = $2 RETURNING 1
"""
HOLD: Final = """
INSERT INTO sink_streams
    (agent, sink, stream_sid, call_sid, transaction, position, attempts, due_at, is_asked, reason)
SELECT $1, $2, stream_sid, call_sid, transaction, position, attempts, now() + make_interval(secs => wait_s), is_asked,
    reason
FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::int[], $8::float8[], $9::bool[], $10::text[])
    AS held (stream_sid, call_sid, transaction, position, attempts, wait_s, is_asked, reason)
ON CONFLICT (agent, sink, stream_sid) DO UPDATE SET transaction = excluded.transaction, position = excluded.position,
    attempts = excluded.attempts, due_at = excluded.due_at, is_asked = excluded.is_asked, reason = excluded.reason
"""
FREE: Final = """
DELETE FROM sink_streams AS held WHERE agent = $1 AND sink = $2 AND stream_sid = ANY($3::text[]) AND NOT EXISTS (
    SELECT 1 FROM outbox WHERE outbox.agent = held.agent AND outbox.call_sid = held.call_sid
        AND outbox.stream_sid = held.stream_sid AND outbox.kind = ANY($6::text[])
        AND (outbox.transaction, outbox.position) > (held.transaction, held.position)
        AND (outbox.transaction, outbox.position) <= ($4::bigint, $5::bigint)
)
RETURNING stream_sid
"""
RELEASE: Final = """
UPDATE sink_streams SET due_at = now() WHERE agent = $1 AND sink = $2 AND due_at > now() AND NOT is_asked
"""
# An event may have been deleted meanwhile, for its age: there is nothing to refuse then.
REFUSE: Final = """
INSERT INTO sink_letters (agent, sink, position, reason)
SELECT $1, $2, position, reason FROM unnest($3::bigint[], $4::text[]) AS refused (position, reason)
WHERE EXISTS (SELECT 1 FROM outbox WHERE outbox.position = refused.position)
ON CONFLICT (agent, sink, position) DO UPDATE
    SET reason = excluded.reason, noted_at = now(), again_at = NULL, attempts = 0
"""
SENT: Final = "DELETE FROM sink_letters WHERE agent = $1 AND sink = $2 AND position = ANY($3::bigint[])"
POSTPONE: Final = """
UPDATE sink_letters AS letters
SET again_at = now() + make_interval(secs => later.wait_s),
    attempts = letters.attempts + (letters.position = later.position)::int
FROM unnest($3::bigint[], $4::float8[]) AS later (position, wait_s)
    JOIN outbox AS failed ON failed.position = later.position, outbox AS other
WHERE letters.agent = $1 AND letters.sink = $2 AND letters.again_at IS NOT NULL AND other.position = letters.position
    AND other.call_sid = failed.call_sid AND other.stream_sid = failed.stream_sid
    AND (other.transaction, other.position) >= (failed.transaction, failed.position)
"""

FOREIGN: Final = """
WITH newest AS (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS id)
SELECT EXISTS (SELECT 1 FROM outbox, newest WHERE agent = $1 AND transaction >= newest.id)
    OR EXISTS (SELECT 1 FROM sinks, newest WHERE agent = $1 AND transaction >= newest.id) AS is_foreign
"""
WITHOUT_LIMIT: Final = "SET LOCAL statement_timeout = 0"
ADOPT_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('batkol.outbox/' || $1::text, 0))"
ADOPT: Final = """
WITH moved AS (
    UPDATE sinks SET transaction = 3, position = coalesce(
        (SELECT min(position) - 1 FROM outbox WHERE outbox.agent = sinks.agent
            AND (outbox.transaction, outbox.position) > (sinks.transaction, sinks.position)),
        (SELECT max(position) FROM outbox), 0)
    WHERE agent = $1
), moved_streams AS (
    UPDATE sink_streams AS held SET transaction = 3, position = coalesce(
        (SELECT min(outbox.position) - 1 FROM outbox WHERE outbox.agent = held.agent AND outbox.call_sid = held.call_sid
            AND outbox.stream_sid = held.stream_sid
            AND (outbox.transaction, outbox.position) > (held.transaction, held.position)), held.position)
    WHERE agent = $1
)
UPDATE outbox SET transaction = 3 WHERE agent = $1
"""


COUNTED: Final = 100_000
"""Events behind a sink's position that are looked at to count those that it wants; more take the database too long."""


def backlog(counted: int) -> str:
    """Return the statement that counts what waits; `$3` are the types that the sink wants."""
    return f"""
SELECT least(fresh.events + waiting.events, {counted})::bigint AS pending,
    greatest(coalesce(extract(epoch FROM now() - least(fresh.oldest, waiting.oldest)), 0), 0)::float8 AS oldest_s,
    (SELECT count(*) FROM sink_streams WHERE agent = sinks.agent AND sink = sinks.name AND attempts > 0) AS streams,
    (SELECT count(*) FROM sink_letters WHERE agent = sinks.agent AND sink = sinks.name AND again_at IS NULL)
        AS dead_letters,
    (SELECT count(*) FROM sink_letters WHERE agent = sinks.agent AND sink = sinks.name AND again_at IS NOT NULL)
        AS replays,
    sinks.delivered, sinks.expired
FROM sinks, LATERAL (
    SELECT count(*) FILTER (WHERE is_wanted) AS events, min(written_at) FILTER (WHERE is_wanted) AS oldest FROM (
        SELECT written_at, kind = ANY($3::text[]) AS is_wanted FROM outbox WHERE outbox.agent = sinks.agent
            AND (outbox.transaction, outbox.position) > (sinks.transaction, sinks.position)
        ORDER BY outbox.transaction, outbox.position LIMIT {counted}
    ) AS counted
) AS fresh, LATERAL (
    SELECT count(*) AS events, min(written_at) AS oldest FROM (
        SELECT outbox.written_at FROM sink_streams AS held JOIN outbox USING (agent, call_sid, stream_sid)
        WHERE held.agent = sinks.agent AND held.sink = sinks.name AND outbox.kind = ANY($3::text[])
            AND (outbox.transaction, outbox.position) > (held.transaction, held.position)
            AND (outbox.transaction, outbox.position) <= (sinks.transaction, sinks.position)
        LIMIT {counted}
    ) AS counted
) AS waiting
WHERE sinks.agent = $1 AND sinks.name = $2
"""


BACKLOG: Final = backlog(COUNTED)
