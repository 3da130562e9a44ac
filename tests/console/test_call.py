"""The console in a real Chromium: a call from the page, and what a token shows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from batkol.events.events import CallEnded, CallStarted, ReplyEnded
from batkol.voices.marked.voice import script
from support.console import microphone
from support.console.visit import TOKEN, Visit, visit
from support.events import made

WORDS = ["אני", "רוצה", "לקבוע", "פגישה", "מחר"]
SENTENCE = " ".join(WORDS)
SAID = 8
"""So many times the microphone says the sentence, with time for the answer between."""
GAP = "⟨?⟩"
"""The double's mark for sound that is none of its words."""
READS = "a-made-up-token-that-reads"
NUMBER = "+972541234567"

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.nightly]  # a machine need not have a browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Visit]:
    """One service and one browser for both tests: they take most of the CPU. Its microphone says the sentence again and
    again: a browser that gets no CPU loses some of a microphone's sound.
    """
    folder = tmp_path_factory.mktemp("console")
    wav = microphone.write(folder / "words.wav", script([WORDS] * SAID, lead_ms=microphone.LEAD_MS, gap_ms=5000).mulaw)
    tokens = {"reader": {"token": READS, "may": ["status"]}}
    async with visit(folder, microphone=wav, api_tokens=json.dumps(tokens)) as both:
        yield both


def answers(at: Visit, sid: str) -> list[ReplyEnded]:
    """Return the answers to the whole sentence that were heard to their end."""
    return [reply for reply in at.up.heard.of(sid, ReplyEnded) if reply.heard == SENTENCE]


async def test_a_call_from_the_page_is_transcribed_word_for_word_and_answered(at: Visit) -> None:
    async with at.page("phone", reduced_motion=True) as page:
        await page.fill("#phone-from", NUMBER)
        await page.click("button", "Call")
        await page.sees(".phone .utterance .text", SENTENCE)
        await page.sees(".phone .reply .text", SENTENCE)
        sid = await at.call_sid(page)
        await at.up.heard.until(lambda: answers(at, sid) and SENTENCE in at.up.heard.texts(sid))
        await page.sees(".phone .reply dd")
        await page.click("a", "Live")
        await page.sees(".calls .from", NUMBER)
        await page.click("a", "Phone")
        await page.click("button", "Hang up")
        await page.sees(".phone .result", "You hung up.")
        await at.up.heard.until(lambda: at.up.heard.of(sid, CallEnded))

        assert all(text == SENTENCE or GAP in text for text in at.up.heard.texts(sid)[:-1]), "the last one is cut off"
        assert answers(at, sid)[0].interrupted is False
        (started,) = at.up.heard.of(sid, CallStarted)
        assert (started.from_, started.direction) == (NUMBER, "browser")
        assert at.up.ended(sid).reason == "stop"
        assert page.complaints == []
        assert all(TOKEN not in address for address in page.requests)
        assert {urlsplit(each).netloc for each in page.requests} <= {urlsplit(at.url).netloc, ""}, (
            "of this service alone"
        )


async def test_without_a_token_the_page_shows_nothing_and_with_one_what_it_may(at: Visit) -> None:
    async with at.page(token="", reduced_motion=True) as page:
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
        await page.sees(".calls .state", "caller hung up")
        await page.click("nav a", "Pods")
        await page.sees(".pod .gauge", "Calls")
        assert page.complaints == []
        assert await page.run("sessionStorage.length") == 1
        assert READS not in await page.run("document.documentElement.outerHTML + location.href")
