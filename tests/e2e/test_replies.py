"""The agent answers on the real wires: the caller's ear hears the reply, in time, and may interrupt it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from batkol.events.events import FinalText, ReplyEnded, ReplyInterrupted, ReplySentence, ReplyStarted
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import say
from support.service.stack import stack

QUESTION = say("אני רוצה לקבוע פגישה מחר".split()).mulaw
ANSWER = "אני רוצה לקבוע פגישה מחר"


async def test_a_caller_hears_the_answer_and_may_interrupt_it(tmp_path: Path) -> None:
    async with stack(tmp_path, agent_replies=True, answerer="echo", voice="builtin") as up:

        async def talk(caller: Caller) -> None:
            sid = caller.plan.call_sid
            await caller.say(QUESTION)
            await up.heard.until(lambda: up.heard.of(sid, ReplyEnded))
            await caller.say(QUESTION)
            await up.heard.until(lambda: len(up.heard.of(sid, ReplyStarted)) == 2)
            await asyncio.sleep(0.6)
            await caller.say(say("לא אני רוצה רופא היום".split()).mulaw)
            await up.heard.until(lambda: len(up.heard.of(sid, ReplyEnded)) == 3)

        report = await up.call(script=talk)

        sid = report.call_sid
        assert report.clean, report.violations
        replies = up.heard.of(sid, ReplyEnded)
        assert [reply.intended for reply in replies] == [ANSWER, ANSWER, "לא אני רוצה רופא היום"]
        assert [reply.interrupted for reply in replies] == [False, True, False]
        assert replies[0].heard == ANSWER
        assert ANSWER.startswith(replies[1].heard)
        assert replies[1].heard != ANSWER
        assert len(up.heard.of(sid, ReplyInterrupted)) == 1
        assert [event.text for event in up.heard.of(sid, ReplySentence)][0] == ANSWER[: len("אני רוצה לקבוע פגישה")]
        assert len(up.heard.of(sid, FinalText)) == 3
        print([ (r.latency_ms, r.text_ms, r.first_token_ms, r.first_piece_ms, r.first_sound_ms, r.commit_ms, r.heard) for r in replies])
        print([word.text for word in report.ear.words()] if hasattr(report,'ear') else report)
