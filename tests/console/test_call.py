"""The console in a real Chromium: a call from the page, and what a token shows. The rest is in the nightly tests."""

from __future__ import annotations

import json
from pathlib import Path

from batkol.events.events import CallEnded, CallStarted, ReplyEnded
from batkol.voices.marked.voice import script
from support.console import microphone
from support.console.visit import TOKEN, visit
from support.events import made

WORDS = ["אני", "רוצה", "לקבוע", "פגישה", "מחר"]
SENTENCE = " ".join(WORDS)
READS = "a-made-up-token-that-reads"
NUMBER = "+972541234567"


async def test_a_call_from_the_page_is_transcribed_word_for_word_and_answered(tmp_path: Path) -> None:
    wav = microphone.write(tmp_path / "words.wav", script([WORDS], lead_ms=microphone.LEAD_MS).mulaw)
    async with visit(tmp_path, microphone=wav) as at, at.page("phone") as page:
        await page.fill("#phone-from", NUMBER)
        await page.click("button", "Call")
        await page.sees(".phone .utterance .text", SENTENCE)
        await page.sees(".phone .reply .text", SENTENCE)
        (sid,) = at.up.heard.events
        await at.up.heard.until(lambda: at.up.heard.of(sid, ReplyEnded))
        await page.sees(".phone .reply dd")
        await page.click("a", "Live")
        await page.sees(".calls .from", NUMBER)
        await page.click("a", "Phone")
        await page.click("button", "Hang up")
        await page.sees(".phone .result", "You hung up.")
        await at.up.heard.until(lambda: at.up.heard.of(sid, CallEnded))

        assert at.up.heard.texts(sid) == [SENTENCE]
        (reply,) = at.up.heard.of(sid, ReplyEnded)
        assert (reply.heard, reply.interrupted) == (SENTENCE, False)
        (started,) = at.up.heard.of(sid, CallStarted)
        assert (started.from_, started.direction) == (NUMBER, "browser")
        assert at.up.ended(sid).reason == "stop"
        assert page.complaints == []
        assert all(TOKEN not in address for address in page.requests)


async def test_without_a_token_the_page_shows_nothing_and_with_one_what_it_may(tmp_path: Path) -> None:
    tokens = {"reader": {"token": READS, "may": ["status"]}}
    async with visit(tmp_path, api_tokens=json.dumps(tokens)) as at, at.page(token="") as page:
        await page.sees("dialog", "Token")
        await page.fill("#token", "no-such-token-at-all")
        await page.press("Enter")
        await page.sees("dialog .bad", "needs `Authorization: Bearer TOKEN`")
        assert await page.run("document.querySelectorAll('.calls li').length") == 0
        assert all("/v1/console" in each or "/console/" in each for each in page.requests), "more was asked for"

        page.complaints.clear()  # the browser's own lines about the 401
        await page.fill("#token", READS)
        await page.press("Enter")
        await page.sees(".connection", "live")
        at.up.service.bus.publish(made.started())
        await page.sees(".calls .from", "number hidden")
        await page.click(".call")
        await page.sees(".detail h2", "A call")
        assert not await page.run("document.querySelector('.line-buttons').checkVisibility()")
        at.up.service.bus.publish(made.ended(2))
        await page.sees(".calls .state", "ended: stop")
        assert page.complaints == []
        assert await page.run("sessionStorage.length") == 1
        assert READS not in await page.run("document.documentElement.outerHTML + location.href")
