"""Several recognizers on the page: who heard what, a change in the middle of a call, and what a pod says of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind
from batkol.simulators.soniox.server import SonioxDouble
from batkol.voices.marked.sentences import SENTENCES
from support.browser.page import Page
from support.console import microphone
from support.console.visit import Visit, visit
from support.time.waiting import until

pytestmark = pytest.mark.nightly

GOOGLE, SONIOX = "google-v1/default", "soniox/stt-rt-v5"
FIRST, SECOND, THIRD = SENTENCES[:3]
HEARD_BY = f"heard by {GOOGLE}, then {SONIOX}, then {GOOGLE}"
CHANGED = "recognizer changed, before: "
ROWS = "[...document.querySelectorAll('.recognizers li')].map((each) => each.innerText.replace(/\\s+/g, ' '))"


async def say(at: Visit, page: Page, sid: str, sentence: str) -> None:
    """Have the built-in voice say a sentence in the page's call, and wait for its final."""
    finals = len(at.up.heard.finals(sid))
    await page.click(".sentences button", sentence)
    await at.up.heard.has_finals(sid, finals + 1)


async def choose(at: Visit, recognizer: str) -> None:
    """Have the flag name that recognizer, and wait until it is in force."""
    live = at.up.service.live
    before = live.status().flags_revision
    at.up.choose(recognizer)
    await until(lambda: live.status().flags_revision != before)


async def test_the_page_shows_who_heard_what_a_change_in_mid_call_and_why_a_recognizer_is_not_used(
    tmp_path: Path,
) -> None:
    async with SonioxDouble() as soniox:
        of: dict[str, Any] = {
            "stt_recognizers_order": (GOOGLE, SONIOX),
            "soniox_api_key": "a-made-up-key",
            "soniox_url": await soniox.start(),
            "agent_replies": False,
        }
        async with visit(tmp_path, microphone=microphone.quiet(tmp_path), **of) as at, at.page("phone") as page:
            await page.click("button", "Call")
            sid = await at.call_sid(page)
            await say(at, page, sid, FIRST)
            await page.sees(".phone .chip.mode", f"streaming · {GOOGLE}")
            await choose(at, SONIOX)
            await say(at, page, sid, SECOND)
            await page.sees(".phone .utterance:nth-child(2) .chip.mode", f"streaming · {SONIOX}")
            await page.sees(".phone .utterance:nth-child(2) .chip.warn", CHANGED + GOOGLE)
            await page.click("nav a", "Pods")
            await page.sees(".recognizers li:nth-child(2)", "1 of 10")
            asked = await page.run(ROWS)

            soniox.inject(SonioxFault(kind=SonioxFaultKind.ERROR, code=401, running=True))
            await page.click("nav a", "Phone")
            await say(at, page, sid, THIRD)
            await page.sees(".phone .utterance:nth-child(3) .chip.warn", CHANGED + SONIOX)
            await page.go(f"{at.url}#live/{sid}")
            await page.sees(".detail .facts", HEARD_BY)
            await page.click("nav a", "Pods")
            await page.sees(".troubles li", f"no call uses {SONIOX}: unauthenticated")
            await page.sees(".troubles .remedy", "Set SONIOX_API_KEY to a key of the Soniox Console")
            await page.sees(".agreement .agree", f"{GOOGLE}, then {SONIOX}")
            refused = await page.run(ROWS)

            assert [final.recognizer for final in at.up.heard.finals(sid)] == [GOOGLE, SONIOX, GOOGLE]
            assert at.up.heard.texts(sid) == [FIRST, SECOND, THIRD]
            assert [row.split(" 127.0.0.1")[0] for row in asked] == [
                f"{GOOGLE} stands by",
                f"{SONIOX} new calls use it",
            ]
            assert [row.split(" 127.0.0.1")[0] for row in refused] == [
                f"{GOOGLE} new calls use it",
                f"{SONIOX} no call uses it",
            ]
            assert page.complaints == []
