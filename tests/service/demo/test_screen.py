"""The screen's lines about replies."""

from __future__ import annotations

import io
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from batkol.demo.screen import Screen, split
from batkol.events.events import ReplyEnded

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
        "👂 571 ms = text 200 + first token 350 + piece 20 + sound 1 + commit 0 · interrupted, heard 1/2 words: שלום",
        "   intended: שלום תודה",
        "👂 heard 2/2 words: שלום תודה",
    ]
