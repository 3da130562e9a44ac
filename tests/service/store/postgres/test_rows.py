"""The rows of a batch."""

from __future__ import annotations

from batkol.events.identity import BROWSER
from batkol.store.postgres.rows import rows_of
from support.postgres.records import began, heard, over, tool, who

SAVED = '{"name": "דנה", "party": 4}'


def test_a_call_makes_its_caller_a_lead_with_the_fields_that_the_agent_saved() -> None:
    rows = rows_of([began(who(1)), tool(who(1), arguments=SAVED)])

    assert [lead["caller_number"] for lead in rows.leads.values()] == [who(1).caller]
    assert [set(lead["fields"]) for lead in rows.lead_fields.values()] == [{"name", "party"}]


def test_a_call_from_the_consoles_phone_is_recorded_and_makes_no_lead() -> None:
    """Its number is made up, and may be a real caller's, whose lead it must not change."""
    at_phone = who(1, direction=BROWSER)
    rows = rows_of([began(at_phone), heard(0, at_phone), tool(at_phone, arguments=SAVED), over(at_phone)])

    assert (rows.leads, rows.lead_fields) == ({}, {})
    assert [call["direction"] for call in rows.calls.values()] == [BROWSER]
    assert (len(rows.finals), len(rows.tool_calls)) == (1, 1)
