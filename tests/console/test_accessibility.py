"""Barriers in the page: axe-core finds none, in either colour scheme, and a telephone's width is enough."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.browser.page import Page
from support.console.scene import busy_morning
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
            await page.until("document.readyState === 'complete'")
            await page.run("new Promise((resolve) => setTimeout(resolve, 300))")
            found[place] = await barriers(page, axe)
            assert await page.run("document.documentElement.scrollWidth <= innerWidth"), f"{place} is too wide"
        await page.click("button", "Token")
        await page.sees("dialog", "Token")
        found["token"] = await barriers(page, axe)
        for call in calls[:-1]:
            call.ends()

        assert {place: each for place, each in found.items() if each} == {}
