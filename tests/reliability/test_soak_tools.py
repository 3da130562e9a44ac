"""The judgement on a question for a tool: called, or why not, by the events of its call."""

from __future__ import annotations

import pytest

from batkol.events.events import (
    AnyEvent,
    CallEnded,
    FinalText,
    PartialText,
    ReplyEnded,
    ReplyStarted,
    RevisedText,
    TentativeText,
    ToolCalled,
)
from reliability.soak_tools import ToolFate, ToolQuestion, course, fate_of

STREAM = "MZ1"
QUESTION = ToolQuestion("save_lead", "תור", f"{STREAM}-r2")


def reply(number: int, at: float, phrase: str | None = None) -> ReplyStarted:
    return ReplyStarted(
        call_sid="CA1", seq=1, at=at, stream_sid=STREAM, reply_id=f"{STREAM}-r{number}", turn=number, phrase=phrase,
        latency_ms=700.0,
    )  # fmt: skip


def called(at: float, outcome: str = "done", turn: int = 2, name: str = "save_lead") -> ToolCalled:
    return ToolCalled(call_sid="CA1", seq=1, at=at, turn=turn, name=name, arguments="", outcome=outcome, duration_ms=1)


def final(at: float, text: str = "אני רוצה תור") -> FinalText:
    return FinalText(
        call_sid="CA1", seq=1, at=at, utterance_id="u", index=1, text=text, source="final", mode="streaming",
        begin_ms=0, end_ms=1000, words=3, partials=1, first_partial_ms=None, latency_ms=800.0,
    )  # fmt: skip


def revised(at: float, text: str = "אני רוצה תור") -> RevisedText:
    return RevisedText(call_sid="CA1", seq=1, at=at, utterance_id="u", index=1, text=text, latency_ms=900.0)


def partial(at: float, text: str = "אני רוצה תור") -> PartialText:
    return PartialText(call_sid="CA1", seq=1, at=at, utterance_id="u", index=1, text=text, stability=0.9, number=1)


def tentative(at: float, text: str = "אני רוצה תור") -> TentativeText:
    return TentativeText(call_sid="CA1", seq=1, at=at, utterance_id="u", index=1, number=1, text=text, end_ms=900)


def reply_ended(at: float, *, interrupted: bool) -> ReplyEnded:
    return ReplyEnded(
        call_sid="CA1", seq=1, at=at, stream_sid=STREAM, reply_id=f"{STREAM}-r2", turn=2, intended="", heard="",
        interrupted=interrupted, latency_ms=None, text_ms=None, first_token_ms=None, first_piece_ms=None,
        first_sound_ms=None, commit_ms=None,
    )  # fmt: skip


def ended(at: float) -> CallEnded:
    return CallEnded(
        call_sid="CA1", seq=1, at=at, stream_sid=STREAM, reason="drained", duration_s=1, utterances=1, words=1,
        finals={}, fallbacks=0, sessions=1, gap_ms=0, close_code=None,
    )  # fmt: skip


BEFORE, AFTER = (reply(1, 5.0), final(4.5)), (reply(3, 20.0), final(19.5), called(19.7, turn=3))


@pytest.mark.parametrize(
    ("events", "fate"),
    [
        ([final(9.0), called(9.5), reply(2, 10.0)], ToolFate.CALLED),
        ([reply(2, 10.0), called(10.4), final(10.5)], ToolFate.CALLED),
        ([final(9.0), reply(2, 10.0)], ToolFate.MISSING),
        ([final(9.0), called(9.5, name="book"), reply(2, 10.0)], ToolFate.MISSING),
        ([final(9.0), called(9.5, outcome="refused"), reply(2, 10.0)], ToolFate.MISSING),
        ([partial(9.0), reply(2, 10.0)], ToolFate.MISSING),
        ([tentative(9.0), reply(2, 10.0)], ToolFate.MISSING),
        ([final(9.0, "אני רוצה תו"), revised(9.4), reply(2, 10.0)], ToolFate.MISSING),
        ([final(9.0, "אני רוצה תו"), reply(2, 10.0), revised(10.2)], ToolFate.LATE),
        ([reply(2, 10.0), final(10.2)], ToolFate.LATE),
        ([final(9.0), reply(2, 10.0, phrase="apology")], ToolFate.PHRASE),
        ([reply(2, 10.0, phrase="repeat")], ToolFate.PHRASE),
        ([final(9.0), called(12.0, outcome="cancelled"), ended(12.0), reply(2, 10.0)], ToolFate.MOVED),
        ([final(9.0), reply(2, 10.0), reply_ended(11.0, interrupted=True), ended(11.1)], ToolFate.MOVED),
        ([final(9.0), reply(2, 10.0), ended(11.1)], ToolFate.MOVED),
        ([final(9.0), reply(2, 10.0), reply_ended(11.0, interrupted=False), ended(11.1)], ToolFate.MISSING),
        ([final(9.0), reply(2, 10.0), reply_ended(11.0, interrupted=True)], ToolFate.MISSING),
    ],
)
def test_a_question_has_its_tool_call_or_one_reason_why_not(events: list[AnyEvent], fate: ToolFate) -> None:
    assert fate_of(QUESTION, [*AFTER, *events, *BEFORE]) is fate


def test_the_course_of_a_question_is_told_in_order_of_time_around_its_reply() -> None:
    told = course(QUESTION, [reply(2, 10.0), final(9.0), final(1.0)])

    assert told == ["-1.000 FinalText אני רוצה תור", "+0.000 ReplyStarted"]
