"""The picture of the demo: of the lines that were printed, with Hebrew the right way round."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.text import Text

from batkol.terminal_text import isolated
from support.browser.chromium import chromium
from support.demo.picture import excerpt, for_readme, in_readme, svg

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "demo.svg"
README = ROOT / "README.md"
ISOLATE = re.compile("\u2068[^\u2068\u2069]*\u2069")
PRINTED = [
    Text(line)
    for line in (
        "Starting",
        "   utterance 1 · streaming",
        f"🟡 Partial: {isolated('שלום')}",
        f"🟡 Partial: {isolated('שלום אני')}",
        f"🟢 Final: {isolated('שלום אני.')}",
        "👂 600 ms = text 1",
        f"   interrupted, heard 2/3 words: {isolated('מחר יש')}",
        f"   {isolated('תור.')}",
        f"   intended: {isolated('מחר יש תור.')}",
        "   utterance 2 · streaming",
        f"🟡 Partial: {isolated('לא')}",
        f"🟢 Final: {isolated('לא <ערב> & OK.')}",
        "",
        "⚑  flags.json rewritten",
    )
]


def texts(picture: str) -> list[str]:
    """Return what stands in each line of a picture."""
    root = ET.fromstring(picture)
    return ["".join(line.itertext()) for line in root.iter("{http://www.w3.org/2000/svg}text")]


def test_the_excerpt_is_the_first_turns_with_the_partials_of_the_first_utterance() -> None:
    assert [line.plain for line in excerpt(PRINTED)] == [
        line.plain for number, line in enumerate(PRINTED) if 0 < number < 12 and number != 10
    ]


def test_the_picture_has_each_line_as_it_was_printed_and_no_invisible_character_in_its_file() -> None:
    lines = excerpt(PRINTED)
    made = svg(lines)

    assert texts(made) == [line.plain for line in lines]
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069]", made)


def test_the_lines_of_the_readme_are_what_is_said_and_heard() -> None:
    lines = for_readme(excerpt(PRINTED))

    assert lines == [
        "🟡 Partial: שלום אני",
        "🟢 Final: שלום אני.",
        "👂 600 ms = text 1",
        "   interrupted, heard 2/3 words: מחר יש",
        "   תור.",
    ]
    page = in_readme("a\n<!-- demo: begin -->\nold\n<!-- demo: end -->\nb\n", lines[:1])
    assert page == "a\n<!-- demo: begin -->\n```\n🟡 Partial: שלום אני\n```\n<!-- demo: end -->\nb\n"


def test_the_picture_of_the_readme_and_its_lines_are_of_one_run() -> None:
    pictured = [Text(line) for line in texts(PICTURE.read_text("utf-8"))]
    readme = README.read_text("utf-8")

    assert in_readme(readme, for_readme(pictured)) == readme
    assert 9 <= len(for_readme(pictured)) <= 12
    assert all(re.search("[\u05d0-\u05ea]", ISOLATE.sub("", line.plain)) is None for line in pictured)
    assert f"]({PICTURE.relative_to(ROOT)})" in readme


@pytest.mark.nightly
async def test_a_browser_draws_hebrew_from_right_to_left_behind_its_label(tmp_path: Path) -> None:
    """By the places of the letters: the first one is the rightmost, and the full stop is left of all."""
    found = """[...document.querySelectorAll('text')].map((line) => {
        const letters = [...line.textContent];
        const at = (index) => line.getStartPositionOfChar(letters.slice(0, index).join('').length).x;
        const hebrew = letters.flatMap((each, index) => /[א-ת]/.test(each) ? [at(index)] : []);
        const dots = letters.flatMap((each, index) => each === '.' && index === letters.length - 2 ? [at(index)] : []);
        return [hebrew, dots, at(0)];
    })"""
    async with chromium(tmp_path / "profile") as browser, browser.page() as page:
        await page.go(PICTURE.as_uri())
        lines = await page.run(found)

    seen = [line for line in lines if line[0]]
    assert len(seen) >= 10
    for hebrew, dots, label in seen:
        assert hebrew == sorted(hebrew, reverse=True)
        assert all(label < dot < hebrew[-1] for dot in dots)
