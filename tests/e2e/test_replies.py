"""The agent answers on the real wires: the caller's ear hears the reply, in time, and may interrupt it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from structlog.testing import capture_logs

from batkol.events.events import FinalText, ReplyEnded, ReplyInterrupted, ReplySentence
from batkol.simulators.twilio.caller import Caller
from batkol.simulators.twilio.ear import EarWord
from batkol.simulators.voice.recognizer import GARBLE
from batkol.voices.marked.voice import say
from support.events.schemas import validate
from support.service.stack import stack

QUESTION = say(["אני", "רוצה", "לקבוע", "פגישה", "מחר"]).mulaw
BETWEEN_REPLIES_S: Final = 1.0
"""Seconds: a question takes longer than that."""

ANSWER = "אני רוצה לקבוע פגישה מחר"


async def test_a_caller_hears_the_answer_and_may_interrupt_it(tmp_path: Path) -> None:
    async with stack(tmp_path, agent_replies=True, answerer="echo", voice="builtin") as up:

        async def talk(caller: Caller) -> None:
            sid = caller.plan.call_sid
            await caller.say(QUESTION)
            await up.heard.until(lambda: up.heard.of(sid, ReplyEnded))
            await caller.say(QUESTION)
            await up.heard.until(lambda: len(up.heard.of(sid, ReplySentence)) > 2)
            await caller.say(say(["לא", "אני", "רוצה", "רופא", "היום"]).mulaw)
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
        assert up.heard.of(sid, ReplySentence)[0].text == ANSWER[: len("אני רוצה לקבוע פגישה")]
        assert len(up.heard.of(sid, FinalText)) == 3
        first, *cut, last = _by_reply(report.ear.words())
        assert _whole(first) <= set(ANSWER.split())
        assert _whole(last) <= {"לא", "אני", "רוצה", "רופא", "היום"}
        assert len(_whole(first) | _whole(last)) >= 6
        assert validate(up.heard.events[sid]) >= {
            "call.started", "utterance.started", "partial", "utterance.ended", "final", "reply.started",
            "reply.sentence", "reply.interrupted", "reply.ended", "call.ended",
        }, "each as its JSON Schema has it"  # fmt: skip
        assert 0 <= sum(map(len, cut)) - len(replies[1].heard.split()) <= 1, "what was heard, to a word"


def _by_reply(words: Iterable[EarWord]) -> list[list[str]]:
    """Group words by the caller's turns between them. On a busy machine sound comes late, in the middle of a word too:
    its two halves are one word.
    """
    replies: list[list[str]] = []
    ended = -math.inf
    for word in words:
        if word.begins_at - ended > BETWEEN_REPLIES_S:
            replies.append([])
        if replies[-1][-1:] != [GARBLE] or word.text != GARBLE:
            replies[-1].append(word.text)
        ended = word.ends_at
    return replies


def _whole(words: list[str]) -> set[str]:
    return {word for word in words if word != GARBLE}


async def test_the_log_has_the_length_of_the_prompt_and_not_the_prompt(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with stack(tmp_path, agent_replies=True, answerer_prompt="secret of the house"):
            pass

    [settings] = [entry for entry in logs if entry["event"] == "[CFG] settings"]
    assert settings["answerer_prompt"] == "(19 characters)"
    assert "secret of the house" not in repr(logs)
