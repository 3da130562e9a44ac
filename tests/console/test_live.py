"""Live calls on the page: texts in their direction, what is not sure yet, the line's buttons, reconnecting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batkol.events.events import ReplyEnded
from support.console.scene import SHOWN, ScriptedCall, busy_morning
from support.console.visit import has_token, visit
from support.network.relay import relaying

pytestmark = pytest.mark.nightly

LEFT_OF = """
(() => {
  const said = document.querySelector('.detail .utterance:last-child .text');
  const walker = document.createTreeWalker(said, NodeFilter.SHOW_TEXT);
  const box = (text) => {
    for (walker.currentNode = walker.root; walker.nextNode(); ) {
      const at = walker.currentNode.data.indexOf(text);
      if (at >= 0) {
        const range = document.createRange();
        range.setStart(walker.currentNode, at);
        range.setEnd(walker.currentNode, at + text.length);
        return range.getBoundingClientRect().x;
      }
    }
    return null;
  };
  return TEXTS.map(box);
})()
"""
"""Where on the screen each of the texts begins, in pixels from the left."""


LABELS = "document.getElementById('transfer-label').list.options"
REFUSED_CONTROLS = """
[...document.querySelectorAll('.line-buttons [aria-disabled=true]')]
  .filter((each) => !each.disabled && document.getElementById(each.getAttribute('aria-describedby')).checkVisibility())
  .map((each) => each.id || each.textContent)
"""
"""What cannot be used, is reached by keys, and has a reason that is shown and read out."""


READ = """
(() => {
  window.read = [];
  const parse = JSON.parse;
  JSON.parse = (text) => {
    const event = parse(text);
    window.read.push(`${event.call_sid} ${event.type}`);
    return event;
  };
})()
"""
"""`read` has the events that the page has taken from its feed since: it takes each as soon as it has parsed it."""


async def test_hebrew_runs_from_the_right_and_a_number_in_it_from_the_left(tmp_path: Path) -> None:
    async with visit(tmp_path) as at, at.page() as page:
        call = ScriptedCall(at.up.service.bus, 1)
        call.begins("המספר שלי הוא +972 54 123 4567 תודה")
        await page.click(".call")
        await page.sees(".detail .utterance .text", "תודה")

        places = await page.run(LEFT_OF.replace("TEXTS", "['המספר', '+972', '54', '4567', 'תודה']"))

        first, plus, middle, last, thanks = places
        assert thanks < plus < middle < last < first, places
        call.ends()


@pytest.mark.parametrize(
    "texts",
    [["המספר שלי הוא", "המספר שלי הוא +972 54 123"], ["המספר שלי הוא +972", "המספר שלי הוא +972 54 123"]],
    ids=["all of it is new", "its end is new"],
)
async def test_a_number_that_grows_runs_from_the_left_as_well(tmp_path: Path, texts: list[str]) -> None:
    async with visit(tmp_path) as at, at.page() as page:
        call = ScriptedCall(at.up.service.bus, 1)
        call.begins(*texts[:1])
        await page.click(".call")
        await page.sees(".detail .utterance .text", texts[0])
        call.begins(*texts)
        await page.sees(".detail .fresh", "123")

        places = await page.run(LEFT_OF.replace("TEXTS", "['המספר', '+972', '54', '123']"))

        first, plus, middle, last = places
        assert plus < middle < last < first, places
        call.ends()


async def test_the_page_says_who_hears_a_call_before_its_first_final_and_after_a_change(tmp_path: Path) -> None:
    async with visit(tmp_path) as at, at.page() as page:
        call = ScriptedCall(at.up.service.bus, 1)
        call.begins("אני")
        await page.click(".call")
        await page.sees(".detail .facts", "heard by google-v1/default")
        await page.sees(".detail .utterance .chip.mode", "streaming · google-v1/default")
        call.is_quiet("אני")
        call.says("אני")
        call.recognizer = "soniox/stt-rt-v5"
        call.begins("רוצה")
        await page.sees(".detail .facts", "heard by google-v1/default, then soniox/stt-rt-v5")
        assert len(await page.run("[...document.querySelectorAll('.detail .utterance.growing')]")) == 1
        call.ends()
        assert page.complaints == []


async def test_what_is_not_sure_is_shown_so_and_what_was_taken_back_too(tmp_path: Path) -> None:
    where = "http://traces.example.test/trace/{trace_id}"
    async with visit(tmp_path, trace_url=where) as at, at.page() as page:
        call = ScriptedCall(at.up.service.bus, 1)
        call.begins("אני", "אני רוצה")
        await page.click(".call")
        await page.sees(".detail .fresh", "רוצה")
        call.is_quiet("אני רוצה")
        await page.sees(".detail .is-tentative .chip", "tentative 1")
        call.goes_on("text")
        await page.sees(".detail .chip.withdrawn s", "אני רוצה")
        assert not await page.run("!!document.querySelector('.is-tentative')")
        call.is_quiet("אני רוצה תור", 2)
        call.says("אני רוצה תור", confirms=2)
        await page.sees(".detail .chip.good", "confirms the tentative")
        call.is_revised("אני רוצה דוח")
        await page.sees(".detail del", "תור")
        await page.sees(".detail ins", "דוח")
        link = await page.run("document.querySelector('.trace a').href")
        assert link == where.format(trace_id=f"{1:032x}")
        call.ends()
        assert page.complaints == []


async def test_a_page_that_is_opened_later_has_the_call_from_its_beginning(tmp_path: Path) -> None:
    async with visit(tmp_path) as at, at.page("phone") as phone:
        await phone.click("button", "Call")
        await phone.sees(".phone .result", "The call is up")
        await phone.click(".double button")
        (sid,) = at.up.heard.events
        await at.up.heard.until(lambda: at.up.heard.of(sid, ReplyEnded))
        async with at.page(f"live/{sid}") as page:
            await page.sees(".detail .reply .numbers", "first token")
            await page.sees(".detail .utterance .text", at.up.heard.texts(sid)[0])
            assert await page.run("document.querySelector('.detail > .note').hidden"), "it has everything"
            await page.fill("#say-text", "שלום")
            await page.press("Enter")
            await page.sees(".line-buttons .result", "Accepted")
            await page.sees(".detail .reply .chip", "announcement")
            await page.sees(".line-buttons .note", "cannot be transferred: Twilio does not know it")
            await page.click(".line-buttons button", "Transfer")
            await page.sees(".line-buttons .result.bad", "cannot be transferred")
            assert await page.run(REFUSED_CONTROLS) == ["transfer-label", "Transfer"]
            assert not [each for each in page.requests if each.endswith("/transfer?scope=fleet")]
            await page.click(".line-buttons button", "Clear")
            await page.sees(".line-buttons .result", "Silenced")
            await page.click(".line-buttons button", "Hang up")
            await phone.sees(".phone .result", "The agent hung up, or a person or program did")
            await page.sees(".detail .note", "The agent hung up, or a person or program did by the console or the API.")
            await page.sees(".calls .state", "agent hung up")


@pytest.mark.parametrize("hurried", [True, False], ids=["hurried", "by itself"])
async def test_a_page_that_lost_the_service_says_so_and_goes_on_where_it_was(tmp_path: Path, *, hurried: bool) -> None:
    async with visit(tmp_path) as at, relaying(at.up.service.internal_port) as relay, at.browser.page() as page:
        await has_token(page)
        await page.go(f"http://127.0.0.1:{relay.port}/console/")
        await page.sees(".connection", "live")
        call = ScriptedCall(at.up.service.bus, 1)
        call.begins("אני")
        await page.click(".call")
        await page.sees(".detail .text", "אני")
        relay.refuse()
        relay.cut()
        await page.sees(".connection", "Connecting again in")
        call.is_quiet("אני רוצה")
        call.says("אני רוצה")
        relay.accept()
        if hurried:
            await page.click(".connection button", "now")
        await page.sees(".detail .text", "אני רוצה")
        await page.sees(".connection", "live")
        assert await page.run("document.querySelectorAll('.detail .entry').length") == 1, "nothing came twice"
        call.ends()


async def test_the_page_is_used_by_keys_alone(tmp_path: Path) -> None:
    async with visit(tmp_path) as at, at.page() as page:
        calls = busy_morning(at.up.service.bus)
        await page.sees(".calls .from", "+972541234501")
        for _ in range(40):
            await page.press("Tab")
            if await page.run("document.activeElement.matches('.call')"):
                break
        await page.press("Enter")
        await page.sees(".detail .utterance")
        await page.until("document.activeElement.matches('.detail h2')")
        reached = set()
        for _ in range(12):
            await page.press("Tab")
            if await page.run("document.activeElement === document.body"):
                break  # it was the last one
            reached.add(
                await page.run(
                    "(({textContent, ariaLabel, id}) => textContent || ariaLabel || id)(document.activeElement)"
                )
            )
            assert await page.run("getComputedStyle(document.activeElement).outlineStyle !== 'none'"), reached
        assert {"say-text", "Say", "Clear", "transfer-label", "Transfer", "Hang up"} <= reached
        for call in calls[:-1]:
            call.ends()


USABLE = """
[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
  .filter((each) => each.checkVisibility() && !each.matches(":disabled"))
  .map((each, number) => (each.dataset.number = number))
"""
"""Number all that can be used in the page."""
FOCUSED = "(({dataset, localName}) => dataset.number ?? localName)(document.activeElement)"
BODY = "body"


@pytest.mark.parametrize("view", ["live", "history", "leads", "pods", "phone"])
async def test_tab_reaches_everything_that_can_be_used_in_a_view_in_its_order(tmp_path: Path, view: str) -> None:
    async with visit(tmp_path) as at, at.page(view) as page:
        calls = busy_morning(at.up.service.bus)
        await page.sees(*SHOWN[view])
        wanted = [str(number) for number in await page.run(USABLE)]
        await page.run("document.querySelector('.skip').focus()")
        reached = [await page.run(FOCUSED)]
        for _ in range(6 * len(wanted)):  # a field of a time has several parts
            await page.press("Tab")
            focused = await page.run(FOCUSED)
            if focused in {reached[0], BODY}:
                break  # it was the last one
            if focused != reached[-1]:
                reached.append(focused)
        for call in calls[:-1]:
            call.ends()

        assert reached == wanted


async def test_a_call_of_twilios_is_transferred_to_one_of_the_labels_where_the_service_can(tmp_path: Path) -> None:
    of: dict[str, Any] = {"twilio_account_sid": "AC" + "1" * 32, "twilio_api_url": "http://127.0.0.1:9"}
    async with visit(tmp_path, transfer_allowed='{"sales": "+972501234567"}', **of) as at, at.page() as page:
        call = ScriptedCall(at.up.service.bus, 1)
        call.begins("אני")
        await page.click(".call")
        await page.sees(".line-buttons button", "Transfer")
        assert await page.run(REFUSED_CONTROLS) == []
        assert await page.run(
            "[...document.getElementById('transfer-label').list.options].map((each) => each.value)"
        ) == ["sales"]
        await page.fill("#transfer-label", "sales")
        await page.press("Enter")
        await page.sees(".line-buttons .result.bad", "no live call")  # the service has only its events
        call.ends()


async def test_a_service_without_tokens_has_no_button_for_one(tmp_path: Path) -> None:
    async with visit(tmp_path, api_token="") as at, at.page(token="") as page:
        await page.sees(".connection", "live")

        assert not await page.run(
            "[...document.querySelectorAll('header button')].some((each) => each.checkVisibility())"
        )


async def test_a_token_without_live_calls_is_told_so_and_keeps_its_other_views(tmp_path: Path) -> None:
    leads = "a-made-up-token-for-leads"
    tokens = json.dumps({"office": {"token": leads, "may": ["leads"]}})
    async with visit(tmp_path, api_tokens=tokens) as at, at.page(token="") as page:
        await page.sees("dialog", "Token")
        await page.click("dialog button", "Not now")
        await page.sees(".live .empty", "This service needs a token")
        await page.click("header button", "Token")
        await page.fill("#token", leads)
        await page.press("Enter")
        await page.sees(".live .empty", "needs the right `status`")
        assert not await page.run("document.querySelector('dialog').open")
        await page.click("nav a", "History")
        await page.sees(".history .result", "This service stores no calls")
        await page.click("nav a", "Phone")
        await page.sees(".phone .result", "does not have the right `line`")


async def test_a_token_that_sees_no_texts_has_no_empty_replies(tmp_path: Path) -> None:
    reads = "a-made-up-token-that-reads"
    tokens = json.dumps({"reader": {"token": reads, "may": ["status"]}})
    async with visit(tmp_path, api_tokens=tokens) as at, at.page(token=reads) as page:
        call = ScriptedCall(at.up.service.bus, 1)
        call.utters("שלום")
        call.replies("שלום.")
        call.has_said("שלום.")
        await page.click(".call")
        await page.sees(".detail .reply .nothing")

        assert await page.text(".detail .reply .nothing") == "no words, or not for this token"
        call.ends()


async def test_an_address_that_encodes_nothing_is_an_address_of_no_call(tmp_path: Path) -> None:
    async with visit(tmp_path) as at, at.page("live/%E0") as page:
        call = ScriptedCall(at.up.service.bus, 1)
        call.begins("אני")
        await page.sees(".calls .line", "אני")
        call.ends()
        assert page.complaints == []


async def test_a_call_that_was_open_and_is_forgotten_takes_nothing_with_it(tmp_path: Path) -> None:
    """The page is in the background: it draws nothing, while another view than that of live calls is chosen."""
    async with visit(tmp_path) as at, at.page() as page:
        call = ScriptedCall(at.up.service.bus, 1, ago_s=300.0)
        call.begins("אני")
        await page.click(".call")
        await page.sees(".detail .text", "אני")
        await page.run("location.hash = '#pods'")
        await page.run(READ)
        await page.run("window.held = []; window.drawing = requestAnimationFrame")
        await page.run("void (window.requestAnimationFrame = (draw) => held.push(draw))")
        call.ends()
        for number in range(2, 40):
            later = ScriptedCall(at.up.service.bus, number)
            later.begins("רוצה")
            later.ends()
        await page.until(f"window.read.includes('{later.call_sid} call.ended')")
        await page.run("window.requestAnimationFrame = drawing; held.forEach((draw) => draw())")
        await page.until("document.querySelectorAll('.calls .over').length === 20")
        assert page.complaints == []
