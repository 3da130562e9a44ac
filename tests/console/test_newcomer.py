"""A newcomer: `make demo ARGS=--stay`, the address that it prints, and a talk with the agent by what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.browser.chromium import chromium
from support.demo.staying import staying
from support.process.clones import open_place


@pytest.mark.nightly
@pytest.mark.timeout(600)
async def test_a_newcomer_talks_to_the_agent_by_what_the_demo_and_the_page_say(tmp_path: Path) -> None:
    with open_place() as place, staying(place) as (_, printed):
        address = re.search(r"http://\S+", printed)
        assert address is not None, printed
        assert 'choose "Phone" in the console, and let the built-in voice' in printed
        async with chromium(tmp_path / "profile") as browser, browser.page() as page:
            await page.go(address[0])
            await page.sees(".connection", "live")
            await page.click("nav a", "Phone")
            await page.sees(".double", "Let the built-in voice speak into the call")
            await page.click("button", "Call")
            await page.sees(".phone .result", "The call is up")
            sentence = await page.text(".sentences button")
            await page.click(".sentences button", sentence)
            await page.sees(".phone .utterance .text", sentence)
            await page.sees(".phone .reply .numbers", "first token")
            await page.click("button", "Hang up")
            await page.sees(".phone .result", "You hung up.")

            assert page.complaints == []
