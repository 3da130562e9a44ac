"""A person who is faster than the service: what was asked for before must not come over what is asked for now."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.console.visit import visit

pytestmark = pytest.mark.nightly

SLOW_FIRST = """
window.asked = [];
window.answered = [];
const real = window.fetch;
window.fetch = (path, options) => {
  if (!path.startsWith('/v1/history/calls') && !path.startsWith('/v1/leads')) {
    return real(path, options);
  }
  window.asked.push(path);
  const slow = path.includes('SLOW');
  const name = slow ? 'SLOW' : 'FAST';
  const call = {call_sid: name, agent: name, started_at: '2026-01-31T12:00:00Z', duration_s: 1};
  const lead = {id: slow ? 1 : 2, agent: name, calls: 1, last_call_sid: name, last_call_at: '2026-01-31T12:00:00Z'};
  const whole = {call, utterances: [], replies: [], tool_calls: [], conversation: [], complete: true};
  const found = {calls: [call], leads: [lead], next: 'more'};
  const answer = Response.json(path.includes('/calls/') ? whole : found);
  const read = answer.json.bind(answer);
  answer.json = async () => {
    const value = await read();
    setTimeout(() => window.answered.push(path)); // behind what the page does with it at once
    return value;
  };
  return slow ? window.patience.then(() => answer) : Promise.resolve(answer);
};
window.patience = new Promise((resolve) => (window.letSlowCome = resolve));
void 0;
"""
"""Answers for what has `SLOW` in its address wait for `letSlowCome`. `answered` has those that the page has taken."""

NEWEST_TAKEN = "window.asked.some((path) => path.includes('SLOW')) && window.answered.at(-1) === window.asked.at(-1)"
ALL_TAKEN = "window.answered.length === window.asked.length"

PRESSED_TWICE = """
(() => {
  const buttons = [...document.querySelectorAll('.view:not([hidden]) button')];
  const older = buttons.find((each) => /^(Older|More)/.test(each.textContent));
  older.click();
  older.click();
})()
"""

THERE_AND_BACK = """
new Promise((done) => {
  const back = () => {
    location.hash = '#live';
    done();
  };
  addEventListener('hashchange', back, {once: true});
  location.hash = '#pods';
})
"""

TIMERS = """
window.timers = new Map();
const begin = window.setInterval;
const end = window.clearInterval;
window.setInterval = (work, ms) => {
  const id = begin(work, ms);
  window.timers.set(id, work);
  return id;
};
window.clearInterval = (id) => {
  window.timers.delete(id);
  end(id);
};
"""
"""`timers` has what is done again and again, of what was begun since."""

TIME_PASSES = """
new Promise((done) => {
  window.timers.forEach((work) => work());
  setTimeout(done, 0);
})
"""

MICROPHONES = """
window.opened = 0;
const microphone = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (wanted) => {
  window.opened += 1;
  return microphone(wanted);
};
"""
"""`opened` is how often a call was begun, by what each call begins with."""


@pytest.mark.parametrize("view", ["history", "leads"])
async def test_the_newest_search_is_what_is_shown_and_no_page_comes_twice(tmp_path: Path, view: str) -> None:
    rows = f".{view} tbody tr" if view == "history" else ".lead"
    async with visit(tmp_path) as at, at.page() as page:
        await page.run(SLOW_FIRST)
        await page.run(f"location.hash = '#{view}'")
        await page.sees(rows, "FAST")
        await page.fill(f"#{view}-agent", "SLOW")
        await page.press("Enter")
        await page.fill(f"#{view}-agent", "quick")
        await page.press("Enter")
        await page.until(NEWEST_TAKEN)
        await page.run("window.letSlowCome()")
        await page.until(ALL_TAKEN)
        shown = await page.run(f"[...document.querySelectorAll('{rows}')].map((each) => each.textContent)")
        assert len(shown) == 1, shown
        assert "FAST" in shown[0]

        await page.run(PRESSED_TWICE)
        await page.until(f"document.querySelectorAll('{rows}').length > 1")
        await page.until(ALL_TAKEN)
        assert await page.run(f"document.querySelectorAll('{rows}').length") == 2
        assert page.complaints == []


async def test_the_call_that_was_opened_last_is_shown(tmp_path: Path) -> None:
    async with visit(tmp_path) as at, at.page() as page:
        await page.run(SLOW_FIRST)
        await page.run("location.hash = '#history/SLOW'")
        await page.until("window.asked.some((path) => path.endsWith('SLOW'))")
        await page.run("location.hash = '#history/FAST'")
        await page.sees(".history .facts-list", "FAST")
        await page.run("window.letSlowCome()")
        await page.until(ALL_TAKEN)
        assert "FAST" in await page.text(".history .facts-list")


async def test_a_view_of_pods_that_was_left_at_once_asks_no_more(tmp_path: Path) -> None:
    async with visit(tmp_path) as at, at.page() as page:
        await page.run(TIMERS)
        await page.run(THERE_AND_BACK)
        await page.until("document.querySelector('.pods .pod') !== null")  # the answer came when the view was left
        await page.run(TIME_PASSES)
        assert len([each for each in page.requests if "/v1/status" in each]) == 1


async def test_enter_in_a_field_begins_no_second_call_beside_the_one_that_is_up(tmp_path: Path) -> None:
    async with visit(tmp_path) as at, at.page("phone") as page:
        await page.click("button", "Call")
        await at.call_sid(page)
        await page.run(MICROPHONES)
        await page.run("document.querySelector('#phone-from').focus()")
        await page.press("Enter")
        await page.click("button", "Hang up")
        await page.sees(".phone .result", "You hung up.")
        assert await page.run("window.opened") == 0
        assert len(at.up.heard.events) == 1
        assert await page.run("!document.querySelector('.dial button[type=submit]').disabled")
