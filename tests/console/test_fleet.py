"""Two pods of one agent on the page of one: their calls, what they disagree on, a drain, and a pod that hangs."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from support.browser.chromium import chromium
from support.console.visit import has_token
from support.fleet.processes import API_TOKEN, on_the_line, processes
from support.service.stack import write_flag

pytestmark = pytest.mark.nightly

GOOGLE, SEARCH = "google-v1/default", "google-v1/command_and_search"


async def test_a_page_shows_the_calls_of_all_pods_whether_they_agree_and_which_one_drains_or_hangs(
    tmp_path: Path,
) -> None:
    order = f"{GOOGLE},{SEARCH}"
    async with (
        processes(tmp_path, 2, STT_RECOGNIZERS_ORDER=order) as pods,
        on_the_line(pods, 0, 1) as lines,
        chromium(tmp_path / "profile") as browser,
        browser.page() as page,
    ):
        await has_token(page, API_TOKEN)
        await page.go(f"{pods.up[0].internal}/console/")
        await page.sees(".calls .agent-name", "pod-0")
        await page.sees(".calls .agent-name", "pod-1")
        await page.click("nav a", "Pods")
        await page.until("document.querySelectorAll('.pod .recognizers li').length === 4")
        await page.sees(".agreement .agree", f"Recognizers{GOOGLE}, then {SEARCH}")
        write_flag(tmp_path / "pod-1" / "live", on=False)
        await page.sees(".agreement .differ", "the pods differ")

        pods.up[1].tell(signal.SIGSTOP)
        await page.sees(".pod.away .bad", "It did not answer within 1 s.")
        pods.up[1].tell(signal.SIGCONT)
        await page.until("!document.querySelector('.pod.away')")
        pods.up[1].tell(signal.SIGTERM)
        await page.sees(".pod .state.warn", "draining: 1 call left")
        lines[1].hang_up()
        await page.sees(".pod.away")

        assert page.complaints == []
