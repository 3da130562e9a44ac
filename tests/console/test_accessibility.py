"""Barriers in the page: axe-core finds none, in either colour scheme, and a telephone's width is enough."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.browser.page import DRAWN, Page
from support.console.scene import SHOWN, ScriptedCall, busy_morning
from support.console.visit import visit

pytestmark = pytest.mark.nightly

ROOT = Path(__file__).parents[2]
AXE = ROOT / ".tools" / "axe" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
FIND = f"""
axe.run(document, {{resultTypes: ['violations'], runOnly: {list(RULES)}}}).then(({{violations}}) =>
  violations.flatMap(({{id, nodes}}) =>
    nodes.map((node) => `${{id}}: ${{node.html.slice(0, 200)}} ${{node.failureSummary}}`)))
"""


@pytest.fixture(scope="module")
def axe() -> str:
    subprocess.run([sys.executable, ROOT / "tools" / "axe"], check=True)
    return AXE.read_text("utf-8")


async def barriers(page: Page, axe: str) -> list[str]:
    await page.run(f"window.axe ? 0 : (() => {{ {axe} ; return 1 }})()")
    found: list[str] = await page.run(FIND)
    return found


@pytest.mark.parametrize("looks", [{}, {"dark": True}, {"width": 360, "height": 780}], ids=["light", "dark", "phone"])
async def test_axe_finds_nothing_in_any_view_and_nothing_is_wider_than_the_page(
    tmp_path: Path, axe: str, looks: dict[str, Any]
) -> None:
    async with visit(tmp_path) as at, at.page(**looks) as page:
        calls = busy_morning(at.up.service.bus)
        await page.prefer(dark="dark" in looks, reduced_motion=True)
        await page.sees(".calls .from", "+972541234501")
        found: dict[str, list[str]] = {}
        for place in ("live", f"live/{calls[0].call_sid}", "history", "leads", "pods", "phone"):
            await page.go(f"{at.url}#{place}")
            await page.sees(*SHOWN[(place.partition("/")[2] and "one call") or place])
            await page.run(DRAWN)
            found[place] = await barriers(page, axe)
            assert await page.run("document.documentElement.scrollWidth <= innerWidth"), f"{place} is too wide"
        await page.click("button", "Token")
        await page.sees("dialog", "Token")
        found["token"] = await barriers(page, axe)
        for call in calls[:-1]:
            call.ends()

        assert {place: each for place, each in found.items() if each} == {}


MOVES = """
[...document.querySelectorAll('*')]
  .flatMap((each) => ['', '::before', '::after'].map((part) => getComputedStyle(each, part)))
  .filter((style) => style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0
    || style.scrollBehavior === 'smooth').length
"""
"""How many elements would move."""

WATCH = """
window.spoken = [];
const regions = document.querySelectorAll('[aria-live], [role=status], [role=alert], [role=log]');
const watch = new MutationObserver((changes) => changes.forEach(({target}) => spoken.push(target.textContent)));
regions.forEach((node) => watch.observe(node, {childList: true, characterData: true, subtree: true}));
regions.length
"""
"""Note what a screen reader would read out from now on."""


@pytest.mark.parametrize("reduced", [True, False])
async def test_nothing_moves_for_a_person_who_wants_that(tmp_path: Path, *, reduced: bool) -> None:
    async with visit(tmp_path) as at, at.page(reduced_motion=reduced) as page:
        calls = busy_morning(at.up.service.bus)
        await page.sees(".calls .from", "+972541234501")
        await page.go(f"{at.url}#live/{calls[0].call_sid}")
        await page.sees(".detail .utterance")
        calls[0].begins("אני", "אני רוצה")
        await page.sees(".detail .utterance .text", "רוצה")
        for call in calls[:-1]:
            call.ends()

        assert (await page.run(MOVES) == 0) is reduced
        assert not reduced or await page.run("document.getAnimations().length") == 0


async def test_a_screen_reader_is_told_of_whole_texts_alone_and_of_no_more_than_it_can_read(tmp_path: Path) -> None:
    async with visit(tmp_path) as at, at.page() as page:
        call = ScriptedCall(at.up.service.bus, 1)
        call.begins("שלום")
        await page.click(".call")
        await page.sees(".detail .utterance .text", "שלום")
        assert await page.run(WATCH) > 0
        for _ in range(50):
            call.begins("אני", "אני רוצה", "אני רוצה לקבוע")
        await page.until("document.querySelectorAll('.detail .utterance').length === 51")
        while_growing = await page.run("spoken")
        for number in range(20):
            call.begins("תודה")
            call.is_quiet("תודה")
            call.says(f"תודה {number}")
        await page.until("spoken.includes('Caller: תודה 19')")
        call.ends()

        spoken = await page.run("spoken")
        assert while_growing == []
        assert spoken[0] == "Caller: תודה 0"
        assert spoken[-1] == "Caller: תודה 19"
        assert len(spoken) <= 1 + 3, "the one that was read, and the newest that waited"
