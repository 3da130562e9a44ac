"""Texts of people in a terminal: in isolates, in lines as wide as the screen."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from batkol.terminal_text import (
    INDENT,
    cells,
    isolated,
    isolated_behind_label,
    lines,
    newest,
    without_steering,
    wrapped,
)

ISOLATE = re.compile("\u2068([^\u2068\u2069]*)\u2069")
HEBREW = re.compile("[\u05d0-\u05ea]")
WORD = st.sampled_from(["שלום", "תור", "ב-14:30", "OK", "להתראות.", "בְּשִׂמְחָה", "👋", "אנציקלופדיות"])
WORDS = st.lists(WORD, max_size=30)


def test_a_text_is_between_the_characters_of_an_isolate_and_nothing_is_where_there_is_no_text() -> None:
    assert isolated("שלום.") == "\u2068שלום.\u2069"
    assert isolated("") == ""


@pytest.mark.parametrize("steering", ["\x1b[2J", "\u2069", "\u202e", "\u2028", "\r"])
def test_nothing_in_a_text_steers_the_terminal_or_ends_its_isolate(steering: str) -> None:
    shown = isolated(f"שלום{steering}תודה")

    assert ISOLATE.fullmatch(shown) is not None
    assert without_steering(shown[1:-1]) == shown[1:-1]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("🟢 Final: 10 שקלים.", "🟢 Final: \u206810 שקלים.\u2069"),
        ("[AGENT] reply ended: שעה: 14:30", "[AGENT] reply ended: \u2068שעה: 14:30\u2069"),
        ("[AGENT] reply ended: مرحبا!", "[AGENT] reply ended: \u2068مرحبا!\u2069"),
        ("🟢 Final: ten o'clock.", "🟢 Final: ten o'clock."),
        ("[CALL] call ended", "[CALL] call ended"),
    ],
)
def test_of_a_log_line_the_text_behind_its_label_is_isolated_if_it_is_written_from_right_to_left(
    line: str, shown: str
) -> None:
    assert isolated_behind_label(line) == shown


@given(WORDS, st.integers(24, 90))
def test_no_line_is_wider_than_the_screen_and_each_has_its_own_isolate_and_no_word_is_lost(
    words: list[str], columns: int
) -> None:
    shown = lines("🔵 Agent: ", " ".join(words), columns)

    assert all(cell_len(line) <= columns for line in shown)
    assert [word for line in shown for found in ISOLATE.findall(line) for word in found.split()] == words
    assert not any(HEBREW.search(ISOLATE.sub("", line)) for line in shown)
    assert all(line.startswith(INDENT) for line in shown[1:])


def test_a_wrapped_text_keeps_its_words_its_indent_and_its_empty_lines_and_cuts_no_path() -> None:
    path = f"/tmp/{'x' * 60}/service.log"
    text = f"\n   utterance 1 · streaming · flag on · source final\nthe log {path} of it"

    assert wrapped(text, 30) == ["", "   utterance 1 · streaming ·", "flag on · source final", "the log", path, "of it"]


@given(WORDS, st.integers(24, 90))
def test_a_growing_line_keeps_its_newest_words_and_fills_one_line(words: list[str], columns: int) -> None:
    shown = newest("🟡 Partial: ", " ".join(words), columns)
    kept = "".join(ISOLATE.findall(shown)).removeprefix("…").split()

    assert cell_len(shown) <= columns
    assert kept or not words
    if words and cell_len(f"🟡 Partial: … {words[-1]}") > columns and len(kept) == 1:
        assert words[-1].endswith(kept[0])
    else:
        assert kept == words[len(words) - len(kept) :]


def test_of_a_word_too_long_for_the_line_its_end_is_shown_and_no_point_without_its_letter() -> None:
    assert newest("🟡 Partial: ", "שלום אנציקלופדיות", 24) == "🟡 Partial: \u2068…נציקלופדיות\u2069"
    assert newest("12345678: ", "בְּשִׂמְחָה", 14) == "12345678: \u2068…מְחָה\u2069"
    assert newest("12345678: ", "שלום", 10) == "12345678:"


@pytest.mark.parametrize("text", ["בְּשִׂמְחָה", "🟢 Final: ", "👂", "☎  CA0", "⚑", "🔊", "\u2068תור\u2069", "⚪ · → –"])
def test_a_text_has_the_columns_that_rich_gives_it(text: str) -> None:
    assert cells(text) == cell_len(text)
