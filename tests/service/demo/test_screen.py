"""The screen's lines: about replies, in their width, and in the direction of their words."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from batkol.demo.screen import Screen, print_wrapped, split, table, totals
from batkol.events.events import FinalText, PartialText, ReplyEnded, ReplySentence
from batkol.simulators.client.call_record import CallRecordRow, CallWatch, Said, Watched
from batkol.terminal_text import isolated

MS = st.floats(0, 3000, allow_nan=False)


def ended(*parts: float | None, heard: str = "שלום תודה", interrupted: bool = False) -> ReplyEnded:
    names = ("text_ms", "first_token_ms", "first_piece_ms", "first_sound_ms", "commit_ms")
    known: Any = dict(zip(names, parts or (None,) * 5, strict=True))
    total = sum(part or 0.0 for part in parts) if parts else None
    made: dict[str, Any] = {"call_sid": "CA1", "seq": 1, "at": 0.0, "reply_id": "r", "turn": 1, "latency_ms": total}
    return ReplyEnded(**made, intended="שלום תודה", heard=heard, interrupted=interrupted, **known)


@given(st.lists(MS, min_size=5, max_size=5))
def test_the_parts_of_a_latency_add_up_as_they_are_printed(parts: list[float]) -> None:
    total, *shown = map(int, re.findall(r"\d+", split(ended(*parts))))

    assert sum(shown) == total
    assert abs(total - sum(parts)) <= 1


def test_an_interrupted_reply_shows_what_was_heard_and_what_was_intended() -> None:
    printed = io.StringIO()
    screen = Screen(Console(file=printed, width=140))
    screen.reply(ended(200.0, 350.0, 20.4, 1.0, 0.0, interrupted=True), "שלום")
    screen.reply(ended(), "שלום תודה")

    assert printed.getvalue().splitlines() == [
        "👂 571 ms = text 200 + first token 350 + piece 20 + sound 1 + commit 0",
        f"   interrupted, heard 1/2 words: {isolated('שלום')}",
        f"   intended: {isolated('שלום תודה')}",
        f"👂 heard 2/2 words: {isolated('שלום תודה')}",
    ]


LONG = "מחר יש שלושה תורים. הראשון הוא בשמונה וחצי, ברחוב הרצל. השני הוא בעשר ורבע. מה מהם מתאים לכם?"
OF: dict[str, Any] = {"call_sid": "CA0123456789abcdef0123456789abcdef", "seq": 1, "at": 0.0}
UTTERANCE: dict[str, Any] = {"utterance_id": "u", "index": 0}
ISOLATE = re.compile("\u2068[^\u2068\u2069]*\u2069")


def shown(columns: int) -> str:
    """Return what the demo prints of one of each, in so many columns."""
    printed = io.StringIO()
    screen = Screen(Console(file=printed, width=columns))
    screen.note(f"Batkol http://127.0.0.1:40000 · its log /tmp/{'x' * 30}/service.log and some more words behind it")
    screen.event(PartialText(**OF, **UTTERANCE, text=LONG, stability=0.5, number=1))
    screen.event(ReplySentence(**OF, reply_id="r", turn=1, index=0, text=LONG, begin_ms=0))
    screen.reply(ended(1200.0, 350.0, 111.0, 37.0, 120.0, heard=LONG, interrupted=True), LONG)
    screen.reply(ended(heard=LONG), LONG)
    figures: dict[str, Any] = {"begin_ms": 0, "end_ms": 900, "words": 18, "partials": 4, "latency_ms": 1234.0}
    final = FinalText(
        **OF, **UTTERANCE, text=LONG, source="interim", mode="streaming", first_partial_ms=1234.0, **figures
    )
    row = CallRecordRow(Said(tuple(LONG.split()), 0, 900), [Watched(0, final=final)])
    print_wrapped(screen.console, totals([row], CallWatch(OF["call_sid"])))
    screen.console.print(table([row], columns))
    return printed.getvalue()


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_no_line_is_wider_than_the_screen(columns: int) -> None:
    widths = [cell_len(line) for line in shown(columns).splitlines()]

    assert len(widths) > 15
    assert max(widths) <= columns


def test_all_hebrew_is_in_isolates_that_end_in_their_line() -> None:
    printed = shown(80)

    assert len(ISOLATE.findall(printed)) > 8
    assert re.search("[\u05d0-\u05ea\u2068\u2069]", ISOLATE.sub("", printed)) is None


def test_an_address_or_a_path_is_never_cut() -> None:
    printed = io.StringIO()
    print_wrapped(Console(file=printed, width=40), f"the log /tmp/{'x' * 60}/service.log")

    assert f"/tmp/{'x' * 60}/service.log" in printed.getvalue().splitlines()
