"""Fields of leads that agents save by a tool: the newest value of each field stays.

Which one is newer is decided by the events: within a call by the number of the stream and of the event in it, which no
clock decides; between two calls of a caller by when the streams began. A null clears a field, and so it stays among
them: an older value that comes later does not come back.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import text

from batkol.store.journal.record import LONGEST_NAME, LONGEST_TEXT, bounded
from batkol.store.journal.reply_records import ToolRecord
from batkol.store.postgres.numbers import makes_lead
from batkol.tools.definition import SAVE_LEAD

DONE: Final = "done"
"""The outcome of a call of a tool that was carried out."""

MOST: Final = 100
"""Fields that one call of the tool may save; the others are left out."""

DEEPEST: Final = 8
"""Levels of a value; what is below is left out."""

_LARGEST: Final = 2**53
"""The largest number that JSON has exactly, everywhere; a larger one is kept as its digits."""

Row = dict[str, Any]

LOCK_LEADS: Final = text("""
SELECT leads.id FROM leads
JOIN jsonb_to_recordset(CAST(:rows AS jsonb)) AS given (agent text, caller_number text) USING (agent, caller_number)
ORDER BY leads.agent, leads.caller_number FOR NO KEY UPDATE OF leads
""")
"""After this statement `SAVE_LEAD_FIELDS` sees what another writer saved."""

SAVE_LEAD_FIELDS: Final = text("""
UPDATE leads SET fields = leads.fields || newer.fields, updated_at = now()
FROM (
    SELECT leads.id, jsonb_object_agg(new.key, new.value) AS fields
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given (agent text, caller_number text, fields jsonb)
    JOIN leads USING (agent, caller_number)
    CROSS JOIN jsonb_each(given.fields) AS new
    CROSS JOIN LATERAL (SELECT leads.fields -> new.key AS value) AS old
    WHERE old.value IS NULL
       OR CASE WHEN old.value -> 'call' = new.value -> 'call'
               THEN ((old.value ->> 'stream')::bigint, (old.value ->> 'seq')::bigint)
                  < ((new.value ->> 'stream')::bigint, (new.value ->> 'seq')::bigint)
               ELSE ((old.value ->> 'began')::float8, old.value ->> 'call')
                  < ((new.value ->> 'began')::float8, new.value ->> 'call') END
    GROUP BY leads.id
) AS newer
WHERE leads.id = newer.id
""")

ERASE_LEAD_FIELDS: Final = text("""
UPDATE leads
SET fields = (
        SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(leads.fields)
        WHERE NOT value ->> 'call' = ANY(CAST(:call_sids AS text[]))
    ),
    last_summary = CASE WHEN last_summary IN (
        SELECT summaries.text FROM summaries WHERE summaries.call_sid = ANY(CAST(:call_sids AS text[]))
    ) THEN NULL ELSE last_summary END,
    updated_at = now()
FROM calls
WHERE calls.call_sid = ANY(CAST(:call_sids AS text[])) AND leads.agent = calls.agent
  AND leads.caller_number IN (calls.caller_number, calls.called_number)
""")
"""Takes from leads that stay what came from these calls; before the calls lose their numbers."""

PLAIN_FIELDS: Final = """(
    SELECT coalesce(jsonb_object_agg(key, value -> 'value'), '{}') FROM jsonb_each(leads.fields)
    WHERE value -> 'value' <> 'null'
)"""
"""The fields of a lead as a reader sees them: name and value."""

SHOWN_NAME: Final = """coalesce(leads.name, (
    SELECT nullif(left(btrim(saved #>> '{}'), 480), '')
    FROM (SELECT leads.fields -> 'name' -> 'value' AS saved) AS field WHERE jsonb_typeof(saved) = 'string'
))"""
"""The name of a lead as a reader sees it: the one that was set; else the text that the agent saved as `name`, as far
as a name goes (`LONGEST_NAME`)."""


def add_lead_fields(rows: dict[tuple[str, str], Row], record: ToolRecord) -> None:
    """Add the fields that a call of the tool saves, to those of the same lead in this batch."""
    who = record.who
    if record.name != SAVE_LEAD or record.outcome != DONE or not makes_lead(who):
        return
    key = who.agent, who.party
    lead = rows.setdefault(key, {"agent": who.agent, "caller_number": who.party, "fields": {}})
    for name, value in _saved(record.arguments).items():
        field = {
            "value": value,
            "call": who.call_sid,
            "stream": who.stream,
            "seq": record.seq,
            "began": who.started_at,
        }
        known = lead["fields"].get(name)
        if known is None or _is_newer(field, known):
            lead["fields"][name] = field


def _is_newer(field: Row, known: Row) -> bool:
    if field["call"] == known["call"]:
        return bool((field["stream"], field["seq"]) > (known["stream"], known["seq"]))
    return bool((field["began"], field["call"]) > (known["began"], known["call"]))


def _saved(arguments: str) -> dict[str, Any]:
    """Return the fields of the arguments, or nothing if they are no JSON object: a model wrote them."""
    try:
        found = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {bounded(name, LONGEST_NAME): _stored(value, 0) for name, value in list(found.items())[:MOST]}


def _stored(value: Any, depth: int) -> Any:
    """Return a value as JSONB takes it."""
    match value:
        case str():
            return bounded(value, LONGEST_TEXT)
        case dict() if depth < DEEPEST:
            return {bounded(name, LONGEST_NAME): _stored(each, depth + 1) for name, each in value.items()}
        case list() if depth < DEEPEST:
            return [_stored(each, depth + 1) for each in value]
        case bool() | float():
            return value
        case int():
            return value if abs(value) <= _LARGEST else str(value)
    return None
