"""One batch in one transaction: calls, leads, finals, revisions, events, ends; nothing of a number that was erased."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncConnection

from batkol.events.outgoing import without_person
from batkol.store.journal.framing import Frame
from batkol.store.journal.record import Who
from batkol.store.journal.records import AnyRecord, CallStatus, FinalRecord, OfStream, RevisionRecord, decode
from batkol.store.journal.reply_records import ReplyProgressRecord, ReplyRecord, ToolRecord
from batkol.store.options import OutboxSettings
from batkol.store.postgres import ends, lead_fields, order, reply_statements, statements
from batkol.store.postgres.numbers import digest
from batkol.store.postgres.outbox_rows import SAVE_EVENTS, register_sinks
from batkol.store.postgres.rows import Row, Rows, as_json, rows_of


class UnfitError(Exception):
    """No rows can be made of these records: the fault is in one of them, or in this code. What was raised is the cause.

    The connection has no part in it, and another connection does not help.
    """


class Batch(msgspec.Struct, frozen=True):
    """Records and, so that the event loop need not, what is made of them."""

    records: Sequence[AnyRecord]
    rows: Rows
    digests: dict[str, bytes]  # of the numbers in it
    finals: str
    revisions: str
    events: str
    calls: str
    statuses: str
    progress: str
    replies: str
    tool_calls: str
    lead_fields: str
    outbox: str


@contextmanager
def _ours() -> Iterator[None]:
    """Around what only computes: what fails there is `UnfitError`, and lies neither in the driver nor in the server."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise UnfitError from error


def batch_of(records: Sequence[AnyRecord]) -> Batch:
    """Make a batch of records; for a thread, since it takes some milliseconds for hundreds. Raises `UnfitError`."""
    with _ours():
        rows = rows_of(records)
        return Batch(
            records=records,
            rows=rows,
            digests={party: digest(party) for party in _parties(records)},
            finals=as_json(rows.finals.values()),
            revisions=as_json(rows.revisions.values()),
            events=as_json(rows.events.values()),
            calls=as_json(rows.calls.values()),
            statuses=as_json(rows.statuses.values()),
            progress=as_json(rows.progress.values()),
            replies=as_json(rows.replies.values()),
            tool_calls=as_json(rows.tool_calls.values()),
            lead_fields=as_json(each for each in rows.lead_fields.values() if each["fields"]),
            outbox=as_json(rows.outbox.values()),
        )


def _parties(records: Sequence[AnyRecord]) -> set[str]:
    return {record.who.party for record in records if not isinstance(record, CallStatus)}


async def save(connection: AsyncConnection, batch: Batch, handed_on: OutboxSettings | None = None) -> float:
    """Write a batch, in the transaction that is open; returns what its slowest statement took, in seconds.

    With `handed_on` its events go into the outbox. Raises what the database does, or `UnfitError`. Repeating it changes
    nothing.
    """
    clock = _Slowest()
    with clock:
        await connection.execute(statements.HOLD)
    if handed_on is not None and batch.rows.outbox:
        with clock:
            await register_sinks(connection, handed_on)
    with clock:
        erased = await _erased_by_number(connection, batch)
    batch = _without(batch, erased)
    if batch.rows.statuses:
        with clock:
            await connection.execute(ends.LOCK, _these([*batch.rows.calls, *batch.rows.statuses]))
    with clock:
        changed = (await connection.execute(statements.SAVE_CALLS, {statements.ROWS: batch.calls})).all()
    with clock:  # behind SAVE_CALLS, which waits for another writer of these calls: no mark of its can be missed
        marked = {"call_sids": list(batch.rows.calls)}
        erased_before = set((await connection.execute(statements.ERASED_CALLS, marked)).scalars())
    if new := erased - erased_before:
        with clock:
            await order.erase_calls(connection, sorted(new))
    batch = _without(batch, erased_before - erased)
    with _ours():
        leads = _leads(batch.rows, changed)
        leads_json = as_json(leads) if leads else ""
    for statement, rows in _writes(batch, leads_json, batch.outbox if handed_on is not None else ""):
        if len(rows) > len("[]"):
            with clock:
                await connection.execute(statement, {statements.ROWS: rows})
    with clock:
        await _end(connection, batch, changed)
    return clock.slowest_s


def _writes(batch: Batch, leads: str, outbox: str) -> Sequence[tuple[Executable, str]]:
    """Return the statements for the rows of a batch, in their order, each with its rows as JSON."""
    return (
        (statements.SAVE_LEADS, leads),
        (statements.SAVE_FINALS, batch.finals),
        (statements.SAVE_REVISIONS, batch.revisions),
        (statements.SAVE_EVENTS, batch.events),
        (reply_statements.SAVE_PROGRESS, batch.progress),
        (reply_statements.SAVE_REPLIES, batch.replies),
        (reply_statements.SAVE_TOOL_CALLS, batch.tool_calls),
        (lead_fields.LOCK_LEADS, batch.lead_fields),
        (lead_fields.SAVE_LEAD_FIELDS, batch.lead_fields),
        (SAVE_EVENTS, outbox),
    )


async def _end(connection: AsyncConnection, batch: Batch, changed: Sequence[Any]) -> None:
    """Give the calls of this batch their end by status or loss, as far as they have none of their own."""
    if batch.rows.statuses:
        await connection.execute(ends.SAVE_STATUSES, {ends.STATUSES: batch.statuses})
    if touched := {row.call_sid for row in changed} | set(batch.rows.statuses):
        await connection.execute(ends.APPLY_STATUSES, _these(touched))
    if lost := [row.call_sid for row in changed if row.end_reason == ends.LOST]:
        await connection.execute(ends.LENGTHEN_LOST, _these(lost))


def _these(call_sids: Iterable[str]) -> dict[str, Any]:
    return {ends.CALL_SIDS: list(call_sids)}


class _Slowest:
    """The longest of several stretches of time."""

    slowest_s = 0.0

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.slowest_s = max(self.slowest_s, time.perf_counter() - self._begun)


def _leads(rows: Rows, changed: Sequence[Any]) -> list[Row]:
    """Return what the calls of a batch change of their callers, one row for each caller.

    A call adds to its caller once. If its second stream was written first, the first stream gives it an earlier start.
    """
    found: dict[tuple[str, str], Row] = {}
    for row in changed:
        call_sid, started_at = row.call_sid, row.started_at.timestamp()
        caller = rows.leads.get(call_sid)
        if caller is None or not (row.is_new or row.streams > 1):
            continue
        key = caller["agent"], caller["caller_number"]
        lead = found.setdefault(
            key, {**caller, "first_call_at": started_at, "last_call_at": started_at, "last_call_sid": "", "calls": 0}
        )
        lead["calls"] += row.is_new
        lead["first_call_at"] = min(lead["first_call_at"], started_at)
        if started_at >= lead["last_call_at"]:
            lead["last_call_at"], lead["last_call_sid"] = started_at, call_sid
    return list(found.values())


async def _erased_by_number(connection: AsyncConnection, batch: Batch) -> set[str]:
    """Return the calls with a stream that began before the erasure of its caller's number, or at an unknown time."""
    digests: dict[str, Any] = {"digests": list(batch.digests.values())}
    erased: dict[bytes, int] = {
        row.digest: row.number for row in (await connection.execute(order.ERASED, digests)).all()
    }
    if not erased:
        return set()
    newest: int = (await connection.execute(order.NEWEST)).scalar_one()

    def is_erased(who: Who) -> bool:
        """A number that the database has not given yet is of another database, or of one that was there once."""
        known = who.after_erasure if who.after_erasure <= newest else 0
        return known < erased.get(batch.digests[who.party], 0)

    return {record.who.call_sid for record in _of_streams(batch) if is_erased(record.who)}


def _of_streams(batch: Batch) -> list[OfStream]:
    """Return the records that name their caller; a status of Twilio's names only the call."""
    return [record for record in batch.records if not isinstance(record, CallStatus)]


def _without(batch: Batch, call_sids: AbstractSet[str]) -> Batch:
    """Return the batch without the numbers and texts of these calls. Raises `UnfitError`."""
    if not call_sids:
        return batch
    with _ours():
        records = [
            scrub(each) if not isinstance(each, CallStatus) and each.who.call_sid in call_sids else each
            for each in batch.records
        ]
    return batch_of(records)


_WORDS: Final[Mapping[type, tuple[str, ...]]] = {
    FinalRecord: ("text",),
    RevisionRecord: ("text",),
    ReplyProgressRecord: ("heard", "sentence"),
    ReplyRecord: ("intended", "heard"),
    ToolRecord: ("arguments", "result"),
}
"""Fields with words of a call, by the kind of the record."""


def scrub(record: OfStream) -> OfStream:
    """Return the record without the person's number and words."""
    who = record.who
    number = "called" if who.party == who.called and who.direction.startswith("outbound") else "caller"
    record = msgspec.structs.replace(record, who=msgspec.structs.replace(who, **{number: ""}))
    changed: dict[str, Any] = dict.fromkeys(_WORDS.get(type(record), ()), "")
    if not isinstance(record.event, msgspec.UnsetType):
        try:
            changed["event"] = without_person(record.event)
        except msgspec.DecodeError:  # of a newer version: no telling where its words are
            changed["event"] = msgspec.UNSET
    return msgspec.structs.replace(record, **changed)


def prepared(frames: Sequence[Frame]) -> tuple[Batch, list[tuple[Frame, str]]]:
    """Read the records; those that are none, or of a newer version, come back with the reason. Raises `UnfitError`."""
    records: list[AnyRecord] = []
    refused: list[tuple[Frame, str]] = []
    for frame in frames:
        try:
            records.append(decode(frame.payload))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with one of them, the others are written
            refused.append((frame, type(error).__name__))
    return batch_of(records), refused
