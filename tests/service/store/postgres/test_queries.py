"""Each query of the API takes its index, on tables that are large.

60,000 utterances in `make test`, and a million in `make nightly`. Postgres chooses a plan by what it knows
of the table, and knows a parameter's value only at first: both its kinds of plan are looked at.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from batkol.store.postgres import queries
from batkol.store.postgres.address import Address
from batkol.store.postgres.conversation_queries import conversation_of, newest_messages
from batkol.store.postgres.queries import CallFilter, PagePosition
from batkol.store.postgres.reply_queries import all_replies, all_tool_calls, replies_of, tool_calls_of
from support.postgres.history_api import fill
from support.postgres.records import sid
from support.postgres.sql import connection

EACH = 10
LIMIT = 51
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
AGENT, NUMBER, OURS = "agent-7", "+972500000007", "+97230000007"


@dataclass(frozen=True)
class Tables:
    """How many calls they have, and what lies in their middle. `fill` has 30,000 numbers call, in turn."""

    calls: int

    @property
    def middle(self) -> PagePosition:
        return PagePosition(BEGAN + timedelta(seconds=7 * self.calls // 2), sid(self.calls // 2))

    @property
    def middle_lead(self) -> PagePosition:
        leads = min(self.calls, 30_000)
        return PagePosition(BEGAN + timedelta(seconds=7 * (self.calls - leads // 2)), leads // 2)

    @property
    def day(self) -> CallFilter:
        at = self.middle.at
        return CallFilter(since=at, before=at + timedelta(days=1))


CORRECT_HALF = """
INSERT INTO corrections (call_sid, stream_sid, index, text, corrected_by)
SELECT call_sid, stream_sid, index, 'שלום', 'dana' FROM utterances WHERE index % 2 = 0;
ANALYZE corrections
"""
"""As the other tables are: an empty one is gone through, for that is the cheapest."""


def pages(day: CallFilter) -> dict[str, tuple[CallFilter, set[str] | None]]:
    """Filters of the list of calls, and the indexes that they may take."""
    return {
        "all": (CallFilter(), {"calls_by_time"}),
        "an agent's": (CallFilter(agent=AGENT), {"calls_by_agent"}),
        "a caller's": (CallFilter(number=NUMBER), {"calls_by_caller", "calls_by_called"}),
        "a line's": (CallFilter(number=OURS), {"calls_by_caller", "calls_by_called"}),
        "a day's": (day, {"calls_by_time"}),
        "an agent's day": (replace(day, agent=AGENT), {"calls_by_agent"}),
        "by mode": (CallFilter(mode="single"), {"calls_by_mode", "calls_by_time"}),
        "slow": (CallFilter(slow_ms=1200), {"calls_slow"}),
        "an agent's slow": (CallFilter(agent=AGENT, slow_ms=1000), {"calls_slow", "calls_by_agent"}),
        "all at once": (replace(day, agent=AGENT, number=NUMBER, mode="single", slow_ms=1000), None),
    }


def exports(day: CallFilter) -> dict[str, tuple[Any, set[str]]]:
    """Statements of exports, and the indexes that they take."""
    of_a_line = {"calls_by_caller", "calls_by_called"}
    of_utterances = {"utterances_pkey", "corrections_pkey"}
    return {
        "calls": (queries.all_calls(CallFilter()), {"calls_by_time", "summaries_pkey"}),
        "a line's calls": (queries.all_calls(CallFilter(number=OURS)), of_a_line | {"summaries_pkey"}),
        "slow calls": (queries.all_calls(CallFilter(slow_ms=1000)), {"calls_slow", "summaries_pkey"}),
        "replies": (all_replies(CallFilter()), {"calls_by_time", "replies_pkey"}),
        "a line's tool calls": (all_tool_calls(CallFilter(number=OURS)), of_a_line | {"tool_calls_pkey"}),
        "utterances": (queries.all_utterances(CallFilter()), {"calls_by_time", *of_utterances}),
        "an agent's utterances": (
            queries.all_utterances(CallFilter(agent=AGENT)), {"calls_by_agent", *of_utterances},
        ),
        "a day's utterances": (queries.all_utterances(day), {"calls_by_time", *of_utterances}),
        "a line's utterances": (queries.all_utterances(CallFilter(number=OURS)), of_a_line | of_utterances),
        "slow utterances": (queries.all_utterances(CallFilter(slow_ms=1000)), {"calls_slow", *of_utterances}),
        "leads": (queries.all_leads(None, None), {"leads_by_time"}),
        "an agent's leads": (queries.all_leads(AGENT, None), {"leads_by_agent"}),
    }  # fmt: skip


def _looked_at(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _looked_at(below)


async def plans(on: asyncpg.Connection, statement: Any, *, run: bool) -> Iterable[list[dict[str, Any]]]:
    """The nodes of its plan, with the values of its parameters and without them."""
    compiled = statement.compile(dialect=dialect())  # type: ignore[no-untyped-call]
    values = [compiled.params[name] for name in compiled.positiontup or ()]
    given = ", ".join("'" + str(value).replace("'", "''") + "'" for value in values)
    found = []
    for kind in ("custom", "generic"):
        await on.execute(f"SET LOCAL plan_cache_mode = force_{kind}_plan")
        await on.execute(f"PREPARE asked AS {compiled}")
        how = "ANALYZE, TIMING OFF, " if run else ""
        execute = f"EXECUTE asked({given})" if given else "EXECUTE asked"
        (explained,) = json.loads(await on.fetchval(f"EXPLAIN ({how}FORMAT JSON) {execute}"))
        found.append(list(_looked_at(explained["Plan"])))
        await on.execute("DEALLOCATE asked")
    return found


def indexes(nodes: list[dict[str, Any]]) -> set[str]:
    return {node["Index Name"] for node in nodes if "Index Name" in node}


def scanned(nodes: list[dict[str, Any]]) -> float:
    """Rows that were looked at in tables; what is combined of two indexes before is no row yet."""
    scans = [node for node in nodes if "Relation Name" in node and node["Node Type"] != "ModifyTable"]
    found: float = sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) for node in scans
    )
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("utterances", [60_000, pytest.param(1_000_000, marks=pytest.mark.nightly)])
async def test_every_query_takes_its_index(where: Address, utterances: int) -> None:
    """One test, for the tables take long to fill."""
    tables = Tables(utterances // EACH)
    await fill(where, tables.calls, EACH)
    async with connection(where) as on, on.transaction():
        assert await on.fetchval("SELECT count(*) FROM utterances") == utterances
        await on.execute(CORRECT_HALF)
        await _every_page_costs_what_it_shows(on, tables)
        await _so_do_one_call_its_utterances_and_the_leads(on, tables)
        await _an_export_takes_rows_as_its_index_has_them_and_sorts_no_table(on, tables)


async def _every_page_costs_what_it_shows(on: asyncpg.Connection, tables: Tables) -> None:
    for name, (wanted, expected) in pages(tables.day).items():
        for after in (None, tables.middle):
            for nodes in await plans(on, queries.page_of_calls(wanted, after, LIMIT), run=True):
                assert not [node for node in nodes if node["Node Type"] == "Seq Scan"], name
                assert scanned(nodes) < 100 * LIMIT, name
                if expected is not None:
                    assert indexes(nodes) <= expected | {"summaries_pkey"}, name
                    assert indexes(nodes), name


async def _so_do_one_call_its_utterances_and_the_leads(on: asyncpg.Connection, tables: Tables) -> None:
    middle = sid(tables.calls // 2)
    cases = [
        (queries.one_call(middle), "calls_pkey summaries_pkey"),
        (queries.utterances_of(middle, 5001), "utterances_pkey events_pkey corrections_pkey"),
        (replies_of(middle, 5001), "replies_pkey events_pkey"),
        (tool_calls_of(middle, 5001), "tool_calls_pkey events_pkey"),
        (conversation_of(middle, 5001), "utterances_pkey replies_pkey tool_calls_pkey events_pkey"),
        (newest_messages(middle), "utterances_pkey replies_pkey tool_calls_pkey events_pkey"),
        (queries.page_of_leads(None, None, tables.middle_lead, LIMIT), "leads_by_time"),
        (queries.page_of_leads(AGENT, None, None, LIMIT), "leads_by_agent"),
        (queries.page_of_leads(AGENT, None, tables.middle_lead, LIMIT), "leads_by_agent"),
        (queries.page_of_leads(None, NUMBER, tables.middle_lead, LIMIT), "leads_by_caller"),
        (queries.page_of_leads(AGENT, NUMBER, tables.middle_lead, LIMIT), "leads_by_caller leads_by_number"),
        (queries.one_lead(5), "leads_pkey"),
        (queries.change_lead(5, {"name": "x"}), "leads_pkey"),
    ]
    for statement, expected in cases:
        for nodes in await plans(on, statement, run=True):
            assert indexes(nodes)
            assert indexes(nodes) <= set(expected.split())
            assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]
            assert scanned(nodes) < 10 * LIMIT


async def _an_export_takes_rows_as_its_index_has_them_and_sorts_no_table(
    on: asyncpg.Connection, tables: Tables
) -> None:
    await on.execute(str(queries.IN_ORDER))
    for name, (statement, expected) in exports(tables.day).items():
        for nodes in await plans(on, statement, run=False):
            kinds = {node["Node Type"] for node in nodes}
            assert not kinds & {"Seq Scan", "Sort", "Hash", "Bitmap Heap Scan", "Materialize"}, (name, kinds)
            assert indexes(nodes) == expected, name
