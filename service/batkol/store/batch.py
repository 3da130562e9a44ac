"""One batch in one transaction: calls, leads, finals, revisions, events, and nothing of a number that was erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from batkol.store import statements
from batkol.store.numbers import digest
from batkol.store.records import AnyRecord, Heard, Revised
from batkol.store.rows import Row, Rows, as_json, rows_of


class Batch(msgspec.Struct, frozen=True):
    """Records and, so that the event loop need not, what is made of them."""

    records: Sequence[AnyRecord]
    rows: Rows
    digests: dict[str, bytes]  # of the numbers in it
    finals: str
    revisions: str
    events: str
    calls: str


def batch_of(records: Sequence[AnyRecord]) -> Batch:
    """Make a batch of records; for a thread, since it takes some milliseconds for hundreds."""
    rows = rows_of(records)
    return Batch(
        records=records,
        rows=rows,
        digests={party: digest(party) for party in {record.who.party for record in records}},
        finals=as_json(rows.finals.values()),
        revisions=as_json(rows.revisions.values()),
        events=as_json(rows.events.values()),
        calls=as_json(rows.calls.values()),
    )


async def save(connection: AsyncConnection, batch: Batch) -> None:
    """Write a batch, in the transaction that is open. Raises what the database does. Repeating it changes nothing."""
    await connection.execute(statements.HOLD)
    scrubbed = _scrubbed(batch, await _erased(connection, batch))
    if scrubbed is not None:
        batch = batch_of(scrubbed)
    changed = (await connection.execute(statements.SAVE_CALLS, {statements.ROWS: batch.calls})).all()
    leads = _leads(batch.rows, [(row.call_sid, row.started_at.timestamp()) for row in changed if row.is_new])
    for statement, rows in (
        (statements.SAVE_LEADS, as_json(leads) if leads else ""),
        (statements.SAVE_FINALS, batch.finals),
        (statements.SAVE_REVISIONS, batch.revisions),
        (statements.SAVE_EVENTS, batch.events),
    ):
        if len(rows) > len("[]"):
            await connection.execute(statement, {statements.ROWS: rows})


def _leads(rows: Rows, new: Sequence[tuple[str, float]]) -> list[Row]:
    """Return what the new calls add to their callers, one row for each caller."""
    found: dict[tuple[str, str], Row] = {}
    for call_sid, started_at in new:
        caller = rows.leads.get(call_sid)
        if caller is None:
            continue
        key = caller["agent"], caller["caller_number"]
        lead = found.setdefault(
            key, {**caller, "first_call_at": started_at, "last_call_at": started_at, "last_call_sid": "", "calls": 0}
        )
        lead["calls"] += 1
        lead["first_call_at"] = min(lead["first_call_at"], started_at)
        if started_at >= lead["last_call_at"]:
            lead["last_call_at"], lead["last_call_sid"] = started_at, call_sid
    return list(found.values())


async def _erased(connection: AsyncConnection, batch: Batch) -> tuple[dict[bytes, float], set[str]]:
    """Return the erasures that may concern the batch: by number and when, and by call."""
    digests: dict[str, Any] = {"digests": list(batch.digests.values())}
    by_number = (await connection.execute(statements.ERASED, digests)).all()
    call_sids = (await connection.execute(statements.ERASED_CALLS, {"call_sids": list(batch.rows.calls)})).scalars()
    return {row.digest: row.erased_at.timestamp() for row in by_number}, set(call_sids)


def _scrubbed(batch: Batch, erased: tuple[dict[bytes, float], set[str]]) -> list[AnyRecord] | None:
    """Return the records without what was erased, or None if nothing of them was."""
    by_number, by_call = erased
    if not by_number and not by_call:
        return None
    return [
        scrub(record)
        if record.who.call_sid in by_call
        or record.who.started_at <= by_number.get(batch.digests[record.who.party], 0.0)
        else record
        for record in batch.records
    ]


def scrub(record: AnyRecord) -> AnyRecord:
    """Return the record without the number of the person, and without what was said."""
    who = record.who
    number = "called" if who.party == who.called and who.direction.startswith("outbound") else "caller"
    record = msgspec.structs.replace(record, who=msgspec.structs.replace(who, **{number: ""}))
    return msgspec.structs.replace(record, text="") if isinstance(record, (Heard, Revised)) else record
