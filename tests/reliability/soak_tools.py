"""What became of the questions of a soak that ask for a tool: the tool call of each, or the reason why it has none.

A tool is called for what is known of the caller's words when the reply to them begins. A question without its tool
call is a fault of the service only if its words were known by then, and the caller heard no phrase in the answer's
place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

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


class ToolFate(StrEnum):
    """What became of a question for a tool."""

    CALLED = "called"
    PHRASE = "the caller heard a phrase, such as the apology, in the answer's place"
    LATE = "the word was recognized after the first sound of the reply"
    MOVED = "the stream ended before the tool call did"
    MISSING = "missing"


@dataclass(frozen=True)
class ToolQuestion:
    """A question: the tool, the word for which the model calls it, and the reply that the caller heard then."""

    tool: str
    word: str
    reply_id: str


def fate_of(question: ToolQuestion, events: Sequence[AnyEvent]) -> ToolFate:
    """Judge a question by all events of its call."""
    replies = sorted((each for each in events if isinstance(each, ReplyStarted)), key=lambda each: each.at)
    place = next(at for at, each in enumerate(replies) if each.reply_id == question.reply_id)
    reply, before = replies[place], replies[place - 1].at if place else 0.0
    calls = [
        each
        for each in events
        if isinstance(each, ToolCalled) and each.name == question.tool and each.turn == reply.turn
    ]
    if any(each.outcome == "done" for each in calls):
        return ToolFate.CALLED
    if reply.phrase is not None:
        return ToolFate.PHRASE
    if not any(before < each.at <= reply.at and question.word in text_of(each) for each in events):
        return ToolFate.LATE
    cancelled = any(each.outcome == "cancelled" for each in calls)
    return ToolFate.MOVED if cancelled or _was_cut_by_the_end(reply, events) else ToolFate.MISSING


def _was_cut_by_the_end(reply: ReplyStarted, events: Sequence[AnyEvent]) -> bool:
    """Whether the stream ended while the reply was heard: nothing more of its answer was read."""
    streams_end = [each.at for each in events if isinstance(each, CallEnded) and each.stream_sid == reply.stream_sid]
    whole = [each for each in events if isinstance(each, ReplyEnded) and each.reply_id == reply.reply_id]
    return bool(streams_end) and not any(not each.interrupted for each in whole)


def text_of(event: AnyEvent) -> str:
    """Return the caller's words in an event, however sure they are; "" for an event that has none."""
    return event.text if isinstance(event, PartialText | TentativeText | FinalText | RevisedText) else ""


def course(question: ToolQuestion, events: Sequence[AnyEvent]) -> list[str]:
    """Tell what happened around a question, for the one who looks for the fault."""
    at = next(each.at for each in events if isinstance(each, ReplyStarted) and each.reply_id == question.reply_id)
    near = sorted((each for each in events if abs(each.at - at) < _NEAR_S), key=lambda each: each.at)
    return [f"{each.at - at:+.3f} {type(each).__name__} {text_of(each)}".rstrip() for each in near]


_NEAR_S = 6.0
"""Seconds before and after the first sound of the reply that are told."""
