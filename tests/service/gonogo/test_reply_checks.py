"""Checks over a call with replies that never was: each finding turns its own line, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from batkol.audio.mulaw import silence
from batkol.events.events import CallEnded, ReplyEnded, ReplyStarted
from batkol.gonogo.checks import RehearsalLimits
from batkol.gonogo.reply_call import RepliesSeen, ReplyMoments
from batkol.gonogo.reply_checks import replies
from batkol.simulators.client.call_record import CallWatch, Said
from batkol.simulators.client.conversation import Observed
from batkol.simulators.client.reply_record import WatchedReply
from batkol.simulators.twilio.caller import CallOutcome, CallReport
from batkol.voices.marked.voice import say

SID = "CA1"
SECOND = 8000
INTENDED = "אני רוצה פגישה מחר"


def reply(
    turn: int, intended: str, heard: str | None = None, *, phrase: str | None = None, ms: float = 800.0, voice: str = ""
) -> WatchedReply:
    which: dict[str, Any] = {"call_sid": SID, "seq": 1, "at": 0.0, "reply_id": f"MZ-r{turn}", "turn": turn}
    parts: dict[str, Any] = dict.fromkeys(
        ("text_ms", "first_token_ms", "first_piece_ms", "first_sound_ms", "commit_ms")
    )
    heard = intended if heard is None else heard
    said: dict[str, Any] = {"intended": intended, "heard": heard, "interrupted": heard != intended, "voice": voice}
    ended = ReplyEnded(**which, **said, latency_ms=ms, **parts)
    return WatchedReply(turn, ReplyStarted(**which, phrase=phrase, latency_ms=ms), ended=ended)


def checked(**changes: Any) -> list[str]:
    """The checks that fail of a call in which everything went well, but for `changes`."""
    given: dict[str, Any] = {
        "first": reply(1, "שלום תודה"),
        "interrupted": reply(2, INTENDED, "אני רוצה"),
        "goodbye": reply(4, "תודה", phrase="goodbye"),
        "sounds": ("שלום תודה", "אני רוצה"),
        "cut_s": 0.6,
        "lost": 0,
        "streams": 1,
        "reason": "hung_up",
        "refusal": "",
        "violation": False,
        "limits": RehearsalLimits(),
    } | changes
    report = CallReport(SID, 0.02, outcome=CallOutcome.COMPLETED, streams=given["streams"])
    times = [10.0, 20.0]
    for begins_at, text in zip(times, given["sounds"], strict=True):
        sound = say(text.split()).mulaw
        report.ear.append(sound, begins_at)
        report.received += sound
    second = times[1] + len(say(given["sounds"][1].split()).mulaw) / SECOND
    report.ear.clear(second)
    report.media_start = second - given["cut_s"]
    report.received += silence(given["lost"])
    if given["violation"]:
        report.complain(31951, "an unknown event")
    watch = CallWatch(SID)
    for event in (given["goodbye"].started, given["goodbye"].ended) if given["goodbye"] else ():
        watch.replies.observe(event)
    watch.observe(
        CallEnded(call_sid=SID, seq=9, at=9.0, reason=given["reason"], duration_s=6.0, utterances=2, words=4, finals={},
                  fallbacks=0, sessions=0, gap_ms=0, close_code=1000)
    )  # fmt: skip
    seen = RepliesSeen(
        first=given["first"],
        interrupted=given["interrupted"],
        interruption=Said(("לא",), 0, 500),
        refusal=given["refusal"],
        moments={1: ReplyMoments(10.0), 2: ReplyMoments(20.0), 4: ReplyMoments(30.0)},
    )
    return [check.name for check in replies(Observed(report, watch, ()), seen, given["limits"]) if not check.passed]


def test_a_call_as_it_should_be_passes() -> None:
    assert checked() == []


LATE = RehearsalLimits(first_reply_ms=700)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"first": reply(1, "שלום תודה", ms=4000)}, ["first reply in time"]),
        ({"limits": LATE}, ["first reply in time"]),
        ({"first": reply(1, "שלום תודה", phrase="apology")}, ["first reply in time"]),
        (
            {"interrupted": reply(2, INTENDED, "אני רוצה", phrase="apology")},
            ["interruption silences the agent", "history has what was heard"],
        ),
        ({"first": None}, ["first reply in time", "first reply heard whole"]),
        ({"first": reply(1, "שלום תודה", "שלום")}, ["first reply heard whole"]),
        ({"first": reply(1, "שלום תודה מחר"), "sounds": ("שלום", "אני רוצה")}, ["first reply heard whole"]),
        ({"cut_s": 2.5}, ["interruption silences the agent"]),
        ({"interrupted": reply(2, "אני רוצה")}, ["interruption silences the agent", "history has what was heard"]),
        ({"interrupted": reply(2, INTENDED, "")}, ["history has what was heard"]),
        ({"interrupted": reply(2, INTENDED, "רוצה פגישה")}, ["history has what was heard"]),
        ({"goodbye": None, "refusal": "501: no telephone line"}, ["goodbye heard to its last word"]),
        ({"goodbye": reply(4, "תודה שלום", "תודה", phrase="goodbye")}, ["goodbye heard to its last word"]),
        ({"lost": 400}, ["goodbye heard to its last word"]),
        ({"streams": 2}, ["hung up once, no redial"]),
        ({"reason": "dropped"}, ["hung up once, no redial"]),
        ({"violation": True}, ["no warning from Twilio"]),
    ],
)
def test_a_finding_fails_its_own_line(changes: dict[str, Any], lines: list[str]) -> None:
    assert checked(**changes) == lines


@pytest.mark.parametrize(
    "changes",
    [
        {"limits": RehearsalLimits(expect_words=False)},  # with real vendors
        {
            "first": reply(1, "בוקר טוב לכם"),
            "interrupted": reply(2, "כמובן בוא נקבע", "כמובן"),
        },  # no words of the ear's
        {  # words of the ear's, in a voice that it does not know
            "first": reply(1, "שלום תודה", voice="espeak"),
            "interrupted": reply(2, INTENDED, "אני רוצה", voice="espeak"),
        },
    ],
)
def test_words_that_the_ear_cannot_know_are_not_compared(changes: dict[str, Any]) -> None:
    assert checked(**changes | {"sounds": ("מה", "כתובת עזרה מתי")}) == []
