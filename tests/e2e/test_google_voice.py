"""A whole call with Google's voice on its wire: the caller's ear hears its words, and no session outlives its reply."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from batkol.conversation.actions import StockPhrase
from batkol.events.events import ReplyEnded, ReplySentence
from batkol.simulators.google_voice.server import GoogleVoiceDouble
from batkol.simulators.google_voice.settings import GoogleVoiceSettings
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import say
from support.service.stack import stack
from support.time.waiting import until

WORDS = ["אני", "רוצה", "לקבוע", "פגישה", "מחר"]
LAST = ["לא", "אני", "רוצה", "רופא", "היום"]
GREETING = "שלום תודה"


async def test_the_ear_hears_a_greeting_of_googles_voice(tmp_path: Path) -> None:
    async with GoogleVoiceDouble() as google:
        at: dict[str, Any] = {"gcp_tts_endpoint": f"127.0.0.1:{await google.start()}", "gcp_tts_insecure": True}
        async with stack(tmp_path, agent_replies=True, voice="google", greeting=GREETING, **at) as up:
            agent = up.service.agent
            assert agent is not None
            await until(lambda: agent.phrase(StockPhrase.GREETING) is not None)
            await until(  # the double is done a little later than the client
                lambda: any(each.ending == "OK" and each.texts[0].text == GREETING for each in google.records)
            )

            async def listen(caller: Caller) -> None:
                await up.heard.until(lambda: up.heard.of(caller.plan.call_sid, ReplyEnded))

            report = await up.call(script=listen)
            async with httpx.AsyncClient() as http:
                page = (await http.get(f"{up.internal}/metrics")).text

        (greeting,) = up.heard.of(report.call_sid, ReplyEnded)
        assert [*report.ear.texts()] == greeting.heard.split() == GREETING.split()
        assert google.stats()["listings"] == 1, "the voice was warmed up"
        assert re.search(r"^batkol_voice_sessions_limit\S* 100\.0$", page, re.MULTILINE)
        assert re.search(r"^batkol_voice_sessions(\{\S*)? [01]\.0$", page, re.MULTILINE)


@pytest.mark.nightly
async def test_the_ear_hears_answers_of_googles_voice_and_an_interruption_cuts_one(tmp_path: Path) -> None:
    async with GoogleVoiceDouble(GoogleVoiceSettings(pace=2)) as google:
        at: dict[str, Any] = {"gcp_tts_endpoint": f"127.0.0.1:{await google.start()}", "gcp_tts_insecure": True}
        async with stack(tmp_path, agent_replies=True, answerer="echo", voice="google", **at) as up:

            async def talk(caller: Caller) -> None:
                sid = caller.plan.call_sid
                await caller.say(say(WORDS).mulaw)
                await up.heard.until(lambda: up.heard.of(sid, ReplyEnded))
                await caller.say(say(WORDS).mulaw)
                await up.heard.until(lambda: len(up.heard.of(sid, ReplySentence)) > 2)
                await caller.say(say(LAST).mulaw)
                await up.heard.until(lambda: len(up.heard.of(sid, ReplyEnded)) == 3)

            report = await up.call(script=talk)
            await until(lambda: google.stats()["under_way"] == 0)

        replies = up.heard.of(report.call_sid, ReplyEnded)
        assert report.clean, report.violations
        assert [reply.interrupted for reply in replies] == [False, True, False]
        assert replies[0].heard == " ".join(WORDS)
        assert " ".join(WORDS).startswith(replies[1].heard)
        assert {record.ending for record in google.records} <= {"OK", "CANCELLED"}, "none was left without a text"
        heard = [*report.ear.texts()]
        assert (heard[:5], heard[-5:]) == (WORDS, LAST)
