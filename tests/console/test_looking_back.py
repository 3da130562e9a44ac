"""The history, the leads and the pods on the page, beside a real Postgres."""

from __future__ import annotations

from pathlib import Path

import pytest

from batkol.events.events import ReplyEnded
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import script
from support.console.visit import visit
from support.postgres.server import database, running_server
from support.service.stack import stored

pytestmark = pytest.mark.nightly

CALLER = "+972541234567"
LATER = "+972541234568"
WORDS = ["שלום", "תודה", "בבקשה"]

OVERLAPS = """
(() => {
  const boxes = [...document.querySelectorAll('.history .search input')].map((each) => each.getBoundingClientRect());
  return boxes.flatMap((one, at) => boxes.slice(at + 1).filter((other) =>
    one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom));
})()
"""
"""Fields of the search that lie on one another."""

WRAPPED = """
[...document.querySelectorAll('.history .search label')]
  .filter((each) => each.offsetHeight > 2.2 * parseFloat(getComputedStyle(each).fontSize))
  .map((each) => each.textContent)
"""
"""Labels of the search that take two lines."""

TABLE_IS_WHOLE = "document.querySelector('.table').clientHeight >= document.querySelector('.table table').offsetHeight"


SEARCHES = (
    ("agent", "nobody", "test"),
    ("from", "2099-01-01T00:00", "2020-01-01T00:00"),
    ("to", "2020-01-01T00:00", "2099-01-01T00:00"),
    ("slow_reply_ms", "600000", "1"),
    ("slow_ms", "600000", ""),
)
"""Fields of the search, each with a value for which there is no call, and one for which there is."""

SET = "void (document.getElementById('history-{field}').value = '{value}')"


async def test_a_stored_call_is_found_read_and_exported_and_its_lead_changed(
    tmp_path: Path, postgres_data: Path
) -> None:
    with running_server(postgres_data) as server:
        async with (
            database(server) as where,
            visit(
                tmp_path,
                **stored(tmp_path, where),
            ) as at,
        ):
            up = at.up

            async def talk(caller: Caller) -> None:
                await caller.say(script([WORDS]).mulaw)
                await up.heard.until(lambda: up.heard.of(caller.plan.call_sid, ReplyEnded))

            report = await up.call(script=talk, caller=CALLER, called="+97231234567")
            await up.service.store.writer.flush(20)  # type: ignore[union-attr]
            async with at.page("history") as page:
                await page.sees("td", CALLER)
                await page.fill("#history-words", "רופא")
                await page.press("Enter")
                await page.sees(".history .result", "No call matches.")
                await page.fill("#history-words", WORDS[1])
                await page.fill("#history-number", CALLER)
                await page.press("Enter")
                await page.sees("td", CALLER)
                for field, none, some in SEARCHES:
                    await page.run(SET.format(field=field, value=none))
                    await page.click(".search button", "Search")
                    await page.sees(".history .result", "No call matches.")
                    await page.run(SET.format(field=field, value=some))
                    await page.click(".search button", "Search")
                    await page.sees("td", CALLER)
                await page.click("td a")
                await page.sees(".history .utterance .text", " ".join(WORDS))
                await page.sees(".history .reply .numbers", "first token")
                await page.sees(".history .facts-list", report.call_sid)
                await page.sees(".history .facts-list", "Heard bygoogle-v1/default")
                await page.sees(".history .chip.mode", "streaming · google-v1/default")
                await page.click("a", "All calls")
                await page.send("Browser.setDownloadBehavior", behavior="deny")
                await page.click(".exports button", "utterances CSV")
                await page.sees(".history .result", "utterances.csv is saved.")

                for width in (1200, 360):
                    await page.resize(width, 720)
                    assert await page.run(OVERLAPS) == [], width
                    assert await page.run(TABLE_IS_WHOLE), width
                    assert await page.run(WRAPPED) == [], width
                    assert await page.run("document.documentElement.scrollWidth <= innerWidth"), width
                await page.resize(1280, 800)
                await page.fill("#history-words", "")
                await page.fill("#history-number", "")
                await page.click("nav a", "Leads")
                await page.sees(".lead h2", CALLER)
                await up.call(script=talk, caller=LATER, called="+97231234567")
                await up.service.store.writer.flush(20)  # type: ignore[union-attr]
                await page.click("nav a", "History")
                await page.sees("td", LATER)
                await page.click("nav a", "Leads")
                await page.sees(".lead h2", LATER)
                await page.fill("#leads-number", CALLER)
                await page.press("Enter")
                await page.until("document.querySelectorAll('.lead').length === 1")
                await page.fill(".lead input[name=name]", "דנה לוי")
                await page.click(".lead button", "Save")
                await page.sees(".lead .result", "Saved.")
                await page.fill(".lead textarea[name=notes]", "not saved yet")
                await page.click("nav a", "Pods")
                await page.click("nav a", "Leads")
                assert await page.run("document.querySelector('.lead textarea[name=notes]').value") == "not saved yet"
                await page.click(".leads-view .search button", "Search")
                await page.until("document.querySelector('.lead input[name=name]').value === 'דנה לוי'")
                assert page.complaints == []


async def test_pods_show_their_places_their_breakers_and_whether_they_agree(tmp_path: Path) -> None:
    async with visit(tmp_path) as at, at.page("pods") as page:
        await page.sees(".pod .gauge", "Calls")
        await page.sees(".pod", "calls may use every recognizer")
        await page.sees(".recognizers .good", "new calls use it")
        await page.sees(".agreement .agree", "Tuning")
        (at.up.live / "flags.json").write_text('{"flags": {"streaming-stt": {"state": "ENABLED"}}}')
        await page.sees(".troubles", "is refused")
        assert page.complaints == []
