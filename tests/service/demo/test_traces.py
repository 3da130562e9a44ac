"""The drawn traces: as wide as the screen, and nothing of a span lost."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from batkol.demo.traces import rows
from batkol.simulators.client.otlp_collector import CollectedEvent, SpanReceived
from batkol.telemetry import names

MS = 1_000_000


def span(name: str, begun: int, ended: int, *events: tuple[str, int]) -> SpanReceived:
    rest: dict[str, Any] = {"attributes": {}, "links": [], "resource": {}, "scope": ""}
    ids: dict[str, Any] = {"trace_id": "t" * 32, "span_id": "s", "parent_id": "", "kind": "internal", "status": ""}
    happened = [CollectedEvent(each, at * MS, {}) for each, at in events]
    return SpanReceived(name=name, begun=begun * MS, ended=ended * MS, failed=False, events=happened, **ids, **rest)


ROOT = span(names.UTTERANCE, 0, 12_345)
SPEECH = span(
    f"{names.SPEECH_TO_TEXT} command_and_search",
    20,
    12_300,
    (names.PARTIAL, 3000),
    (names.PARTIAL, 6000),
    (names.PROMOTED, 9000),
)


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_a_span_is_as_wide_as_the_screen_and_has_its_bar_times_and_events(columns: int) -> None:
    bar, *notes = (line.plain for line in rows(SPEECH, ROOT, columns))

    assert cell_len(bar) <= columns
    assert bar.startswith("  speech_to_text command ")
    assert bar.endswith("   20 → 12300")
    assert (bar.count("●"), bar.count("◆")) == (2, 1)
    assert [note.strip() for note in notes] == ["2 partials", f"{names.PROMOTED} 9000"]
    assert all(cell_len(note) <= columns for note in notes)


def test_the_bar_of_the_utterance_fills_its_columns() -> None:
    (bar,) = (line.plain for line in rows(ROOT, ROOT, 80))

    assert bar.count("━") == 80 - 24 - 1 - 15
