"""The phone of the page: interruptions, keys, mute, and the built-in voice in the caller's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.events.events import (
    FinalText,
    KeyPressed,
    ReplyEnded,
    ReplyInterrupted,
    ReplyStarted,
    UtteranceStarted,
)
from batkol.voices.marked.sentences import SENTENCES
from batkol.voices.marked.voice import script
from support.console import microphone
from support.console.visit import visit
from support.time.waiting import until

pytestmark = pytest.mark.nightly

SELECT = """
((node) => {{ node.value = '{value}'; node.dispatchEvent(new Event('change')); }})(document.getElementById('{id}'))
"""
KNOWN = "[...document.getElementById('phone-from').list.options].map((each) => each.value)"

ASKED = """
(() => {
  window.asked = [];
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (wanted) => {
    window.asked.push(wanted.audio);
    return open(wanted);
  };
})()
"""
"""`asked` is what the page wants of each microphone."""
LEVELS = "[...document.querySelectorAll('.level meter')].map((each) => each.value)"
"""Of the microphone, and of what the agent says."""

QUESTION, _, INTERRUPTION = SENTENCES[:3]
QUESTION_FRAMES = 350
"""Messages in which the microphone has long said the question: 7 s."""


async def test_a_caller_who_speaks_interrupts_the_agent_and_the_page_says_what_was_heard(tmp_path: Path) -> None:
    async with visit(tmp_path, microphone=microphone.quiet(tmp_path)) as at, at.page("phone") as page:
        heard = at.up.heard
        await page.click("button", "Call")
        sid = await at.call_sid(page)
        await page.click(".sentences button", QUESTION)
        await heard.until(lambda: heard.of(sid, ReplyStarted))
        await until(lambda: at.live(sid).playout.position >= SAMPLE_RATE)  # the caller hears the agent, and speaks now
        await page.click(".sentences button", INTERRUPTION)
        await heard.until(lambda: heard.of(sid, ReplyInterrupted))
        await page.sees(".phone .reply .chip", "interrupted")
        await page.sees(".phone .reply .unheard")
        await page.sees(".phone .utterance .text", INTERRUPTION)
        await heard.until(lambda: len(heard.of(sid, ReplyEnded)) > 1)
        first = heard.of(sid, ReplyEnded)[0]
        shown = await page.run(
            "[...document.querySelector('.phone .reply .text').childNodes].filter((each) => each.nodeName === '#text')"
            ".map((each) => each.data).join('').trim()"
        )

        assert heard.texts(sid) == [QUESTION, INTERRUPTION]
        assert first.interrupted
        assert first.intended.startswith(first.heard)
        assert shown == first.heard != ""
        assert page.complaints == []


async def test_the_built_in_voice_says_its_sentences_into_the_call(tmp_path: Path) -> None:
    async with visit(tmp_path, microphone=microphone.quiet(tmp_path)) as at, at.page("phone") as page:
        await page.sees(".double", "It hears the words of the built-in voice, and no others")
        sentence = await page.text(".sentences button")
        await page.click(".sentences button", sentence)
        await page.sees(".phone .result.bad", "Call first")
        await page.click("button", "Call")
        await page.sees(".phone .result", "The call is up")
        await page.click(".sentences button", sentence)
        await page.sees(".phone .utterance .text", sentence)

        (sid,) = at.up.heard.events
        await at.up.heard.until(lambda: at.up.heard.texts(sid))  # the page shows partials, too
        assert at.up.heard.texts(sid) == [sentence]
        assert page.complaints == []


async def test_agent_answerer_and_voice_are_chosen_in_the_page_for_one_call(tmp_path: Path) -> None:
    of: dict[str, Any] = {
        "answerers": '{"loud": {"kind": "echo"}}',
        "voices": '{"other": {"kind": "builtin"}}',
        "console_agents": '{"sales": "http://127.0.0.1:9/console/"}',
        "agent_replies": False,
    }
    async with visit(tmp_path, **of) as at, at.page("phone") as page:
        heard = at.up.heard
        await page.run(SELECT.format(id="phone-agent", value="sales"))
        await page.sees(".elsewhere a", "Open the phone of sales")
        assert await page.run("document.querySelector('.elsewhere a').href") == "http://127.0.0.1:9/console/#phone"
        assert await page.run("document.querySelector('.dial .primary').disabled")
        await page.run(SELECT.format(id="phone-agent", value=""))
        await page.sees(".dial .note", "It does not answer by itself")
        await page.click("summary", "Answerer and voice")
        offered = await page.run("[...document.querySelectorAll('#phone-answerer option')].map((each) => each.text)")
        await page.run(SELECT.format(id="phone-answerer", value="loud"))
        await page.run(SELECT.format(id="phone-voice", value="other"))
        await page.fill("#phone-from", "+972541234567")
        await page.click("button", "Call")
        sid = await at.call_sid(page)
        await page.click(".sentences button")
        await heard.until(lambda: heard.of(sid, ReplyEnded))
        await page.sees(".phone .makers", "answerer echo (loud) · voice builtin (other)")
        await page.click("button", "Hang up")
        await page.sees(".phone .result", "You hung up.")

        [reply] = heard.of(sid, ReplyEnded)
        assert offered == ["As the flags say", "default", "loud"]
        assert (reply.answerer_variant, reply.voice_variant) == ("loud", "other")
        assert await page.run(KNOWN) == ["+972541234567"], "the number is offered again"
        assert await page.run("[localStorage.length, sessionStorage.length]") == [0, 1], "and kept nowhere"
        assert page.complaints == []


async def test_the_chosen_microphone_is_opened_with_or_without_its_echo_and_its_level_is_shown(tmp_path: Path) -> None:
    words = microphone.write(tmp_path / "words.wav", script([QUESTION.split()], lead_ms=microphone.LEAD_MS).mulaw)
    async with visit(tmp_path, microphone=words) as at, at.page("phone") as page:
        await page.run(ASKED)
        await page.click("button", "Call")
        await page.until(f"({LEVELS})[0] > 0.3")
        await page.until(f"({LEVELS})[1] > 0.3")
        await page.click("button", "Hang up")
        await page.sees(".phone .result", "You hung up.")
        await page.until(f"({LEVELS}).every((level) => level === 0)")
        await page.click("summary", "Microphone and loudspeaker")
        offered = await page.run("[...document.querySelectorAll('#phone-microphone option')].map((each) => each.value)")
        await page.run(SELECT.format(id="phone-microphone", value=offered[-1]))
        await page.click("label", "Take the echo out")
        await page.click("button", "Call")
        await at.call_sid(page)

        assert len(offered) > 2
        assert await page.run("asked.map(({deviceId}) => deviceId?.exact ?? '')") == ["", offered[-1]]
        assert await page.run("asked.map(({echoCancellation}) => echoCancellation)") == [True, False]
        assert page.complaints == []


async def test_keys_are_sent_from_the_keypad_and_from_the_keyboard(tmp_path: Path) -> None:
    async with visit(tmp_path) as at, at.page("phone") as page:
        heard = at.up.heard
        await page.click("button", "Call")
        sid = await at.call_sid(page)
        await page.click(".keypad button", "7")
        await page.press("4")
        await page.press("#")
        await heard.until(lambda: len(heard.of(sid, KeyPressed)) == 3)
        await page.sees(".phone kbd", "74#")

        assert [each.digit for each in heard.of(sid, KeyPressed)] == ["7", "4", "#"]


async def test_a_muted_microphone_sends_silence_and_the_call_stays_up(tmp_path: Path) -> None:
    quiet = microphone.quiet(tmp_path)
    async with visit(tmp_path, microphone=quiet, agent_replies=False) as at, at.page("phone") as page:
        heard = at.up.heard
        await page.sees(".dial .note", "It does not answer by itself")
        await page.click("button", "Call")
        sid = await at.call_sid(page)
        await page.click("button", "Mute")
        await page.until("document.querySelector('[aria-pressed]').ariaPressed === 'true'")
        await page.click(".sentences button", QUESTION)
        behind = at.live(sid).frames + QUESTION_FRAMES
        await until(lambda: at.live(sid).frames >= behind)
        assert heard.of(sid, UtteranceStarted) == []
        await page.click("button", "Mute")
        await page.until("document.querySelector('[aria-pressed]').ariaPressed === 'false'")
        await page.click(".sentences button", INTERRUPTION)
        await heard.until(lambda: heard.of(sid, FinalText))

        assert heard.texts(sid) == [INTERRUPTION]
