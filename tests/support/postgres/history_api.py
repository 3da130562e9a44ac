"""The API of what is kept, on a real Postgres and a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from batkol.rights import ALL_RIGHTS, Grant, Right
from batkol.store.journal.records import AnyRecord
from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres.address import Address
from batkol.store.postgres.connections import Database
from batkol.store.store import NoStore, Store
from batkol.web import history, limits
from batkol.web.access import Access, trusted
from batkol.web.connections import Connections
from batkol.web.server import listening
from support.postgres.records import began, heard, over, who
from support.postgres.sql import sql
from support.postgres.store_parts import Kept

TOKEN = "a-made-up-token"
READERS: dict[str, frozenset[Right]] = {
    "a-token-of-leads": frozenset({Right.LEADS}),
    "a-token-of-leads-and-numbers": frozenset({Right.LEADS, Right.NUMBERS}),
    "a-token-of-leads-and-texts": frozenset({Right.LEADS, Right.TEXTS}),
    "a-token-of-all-but-leads": ALL_RIGHTS - {Right.LEADS},
}
"""Further tokens with their rights."""
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
PATIENCE = DatabaseTimeouts(connect_s=5.0, statement_s=10.0, command_s=15.0)


@dataclass
class Past:
    http: httpx.AsyncClient
    database: Database
    port: int

    async def read(self, path: str, **asked: Any) -> Any:
        answer = await self.http.get(path, params={name.rstrip("_"): value for name, value in asked.items()})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def pages(self, path: str, of: str, **asked: Any) -> list[dict[str, Any]]:
        """All rows, page by page."""
        found: list[dict[str, Any]] = []
        rest: str | None = ""
        while rest is not None:
            page = await self.read(path, **asked, **({"cursor": rest} if rest else {}))
            found += page[of]
            rest = page["next"]
        return found


@asynccontextmanager
async def past(
    kept: Kept, where: Address | None = None, *, patience: DatabaseTimeouts = PATIENCE, pool_size: int = 3
) -> AsyncIterator[Past]:
    """The API over what is kept, or over another road to it."""
    database = Database(where or kept.where, pool_size=pool_size, patience=patience)
    store = Store(database, kept.journal, kept.dead_letters, kept.confirmed, "pod-1")
    try:
        async with serving(store) as (http, port):
            yield Past(http, database, port)
    finally:
        await database.close()


@asynccontextmanager
async def serving(store: Store | NoStore, token: str = TOKEN) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    app = FastAPI(title="Batkol, internal")
    access = Access([Grant("test", token, ALL_RIGHTS), *(Grant(name, name, may) for name, may in READERS.items())])
    app.include_router(history.routes(store=store, access=access))
    connections = Connections("internal", limits.internal(), trusted=trusted(access))
    async with listening(app, "127.0.0.1", 0, connections) as port:
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, timeout=30, verify=False, headers=AUTHORIZED) as http:
            yield http, port


def whole(call: int, finals: int = 2, slow: float = 420.0, mode: str = "streaming", **fields: Any) -> list[AnyRecord]:
    """The records of a call."""
    of = who(call, **fields)
    said = [heard(index, of, final_ms=slow, mode=mode) for index in range(finals)]
    return [began(of, mode=mode), *said, over(of)]


FILL = """
INSERT INTO calls (call_sid, account_sid, stream_sid, stream_sids, agent, caller_number, called_number, direction,
                   started_at, stream_started_at, ended_at, end_reason, mode, pod, slowest_final_ms, figures)
SELECT 'CA' || lpad(to_hex(n), 32, '0'), 'AC0', 'MZ' || lpad(to_hex(n), 32, '0'),
       ARRAY['MZ' || lpad(to_hex(n), 32, '0')], 'agent-' || n % 20, '+9725' || lpad((n % 30000)::text, 8, '0'),
       '+9723000000' || n % 20, 'inbound', '2026-01-01'::timestamptz + n * interval '7 s',
       '2026-01-01'::timestamptz + n * interval '7 s', NULL, 'stop',
       CASE WHEN n % 3 = 0 THEN 'single' ELSE 'streaming' END, 'pod-1', CASE WHEN n % 50 = 0 THEN 1500 ELSE 400 END,
       '{}'
FROM generate_series(1, $1::int) AS n
"""
FILL_UTTERANCES = """
INSERT INTO utterances (call_sid, stream_sid, index, utterance_id, started_at, text, source, mode, words, final_ms, seq)
SELECT 'CA' || lpad(to_hex(n), 32, '0'), 'MZ' || lpad(to_hex(n), 32, '0'), i, 'U' || n || '-' || i,
       '2026-01-01'::timestamptz + n * interval '7 s' + i * interval '1 s', 'משפט', 'final', 'streaming', 1,
       CASE WHEN n % 50 = 0 AND i = 1 THEN 1500 ELSE 400 END, i
FROM generate_series(1, $1::int) AS n, generate_series(1, $2::int) AS i
"""
FILL_LEADS = """
INSERT INTO leads (agent, caller_number, first_call_at, last_call_at, last_call_sid, calls)
SELECT agent, caller_number, min(started_at), max(started_at), max(call_sid), count(*)
FROM calls GROUP BY agent, caller_number
"""


FILL_STREAMS = """
INSERT INTO events (call_sid, stream_sid, seq, at, kind, pod, detail)
SELECT call_sid, stream_sid, 1, started_at, 'call.started', pod, '{"stream": 1}' FROM calls
"""
FILL_REPLIES = """
INSERT INTO replies (call_sid, stream_sid, reply_id, turn, kind, started_at, intended, heard)
SELECT call_sid, stream_sid, stream_sid || '-r1', 1, 'answer', started_at, 'כן', 'כן' FROM calls
"""
FILL_TOOL_CALLS = """
INSERT INTO tool_calls (call_sid, stream_sid, seq, turn, at, name, arguments, outcome, duration_ms)
SELECT call_sid, stream_sid, 9, 1, started_at, 'save_lead', '{}', 'done', 5 FROM calls
"""
FILL_SUMMARIES = """
INSERT INTO summaries (call_sid, agent, state, text, attempts, due_at, of_end)
SELECT call_sid, agent, 'done', 'סיכום', 1, started_at, started_at FROM calls
"""


async def fill(where: Address, calls: int, utterances_each: int) -> None:
    """Fill the tables, by what Postgres makes up itself."""
    await sql(where, FILL, calls)
    await sql(where, FILL_UTTERANCES, calls, utterances_each)
    for statement in (FILL_LEADS, FILL_STREAMS, FILL_REPLIES, FILL_TOOL_CALLS, FILL_SUMMARIES):
        await sql(where, statement)
    await sql(where, "ANALYZE")
