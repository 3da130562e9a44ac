"""Erasure in the outbox: what is still there of an erased call goes out without the person, if it goes out again."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Text, any_, bindparam, cast, column, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from batkol.events.outgoing import without_person
from batkol.store.postgres.outbox_tables import outbox

CHUNK: Final = 1000
"""Events that are changed by one statement."""

_LEFT: Final = (
    select(outbox.c.position, outbox.c.data)
    .where(outbox.c.call_sid == any_(bindparam("call_sids", type_=ARRAY(Text))), ~outbox.c.is_erased)
    .order_by(outbox.c.call_sid, outbox.c.stream_sid, outbox.c.seq)
    .limit(bindparam("chunk"))
    .with_for_update()
)
_CHANGED: Final = (
    func.jsonb_to_recordset(cast(bindparam("rows", type_=Text), JSONB))
    .table_valued(column("position", outbox.c.position.type), column("data", Text))
    .render_derived(name="changed", with_types=True)
)
_CHANGE: Final = (
    update(outbox).where(outbox.c.position == _CHANGED.c.position).values(data=_CHANGED.c.data, is_erased=True)
)
_DELETE: Final = delete(outbox).where(
    outbox.c.position == any_(bindparam("positions", type_=ARRAY(outbox.c.position.type)))
)


async def erase_events(connection: AsyncConnection, call_sids: list[str], *, chunk: int = CHUNK) -> int:
    """Take the person out of the events of these calls; return how many events had one.

    Dead letters and replays have the events of the outbox. An event that this version cannot read is deleted. Raises
    what the database does.
    """
    erased = 0
    while found := (await connection.execute(_LEFT, {"call_sids": call_sids, "chunk": chunk})).all():
        changed: list[dict[str, Any]] = []
        unreadable: list[int] = []
        for row in found:
            try:
                changed.append({"position": row.position, "data": without_person(row.data)})
            except msgspec.DecodeError:
                unreadable.append(row.position)
        if changed:
            await connection.execute(_CHANGE, {"rows": msgspec.json.encode(changed).decode()})
        if unreadable:
            await connection.execute(_DELETE, {"positions": unreadable})
        erased += len(found)
    return erased
