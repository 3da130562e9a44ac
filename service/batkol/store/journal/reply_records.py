"""Records of the agent's side of a call: how far each reply was heard, its end, its calls of tools.

A reply that ends has one record of its end. Before that, each of its sentences whose playing begins has a record, and
so has an interruption: if the process is killed, all that is missing is the sentence that was under way. Each of them
says all that was heard until then, so it needs no other record.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from batkol.events.events import (
    Event,
    ReplyEnded,
    ReplyEvent,
    ReplyInterrupted,
    ReplySentence,
    ReplyStarted,
    ToolCalled,
)
from batkol.store.journal.record import LONGEST_NAME, LONGEST_TEXT, Record, Who, bounded

REMEMBERED: Final = 4
"""Replies of one stream that are followed at once: one is heard, and one may have been interrupted."""

ANSWER: Final = "answer"
PHRASE: Final = "phrase"
ANNOUNCEMENT: Final = "announcement"


class ReplyProgressRecord(Record, frozen=True, tag="reply.sentence"):
    """The heard part of a reply that goes on."""

    reply_id: str
    turn: int
    reply_kind: str
    phrase: str | None
    started_at: float  # Unix seconds
    latency_ms: float | None
    heard: str  # so far: the sentences before the one that begins, or what an interruption left
    sentence: str  # that begins now; empty for an interruption


class ReplyRecord(Record, frozen=True, tag="reply.ended"):
    """A reply that is over."""

    reply_id: str
    turn: int
    reply_kind: str
    phrase: str | None
    started_at: float  # Unix seconds
    intended: str
    heard: str
    interrupted: bool
    latency_ms: float | None
    text_ms: float | None
    first_token_ms: float | None
    first_piece_ms: float | None
    first_sound_ms: float | None
    commit_ms: float | None
    attempts: int
    answerer: str
    voice: str
    answerer_variant: str
    voice_variant: str
    prompt_tokens: int
    completion_tokens: int
    fault: str | None


class ToolRecord(Record, frozen=True, tag="tool.called"):
    """A call of a tool, carried out."""

    turn: int
    name: str
    arguments: str
    outcome: str
    duration_ms: float
    result: str = ""  # a journal of an older version has none


OfReplies = ReplyProgressRecord | ReplyRecord | ToolRecord
"""A record of the agent's side of a stream."""


class _Beginning(NamedTuple):
    at: float
    phrase: str | None
    latency_ms: float | None


class _Heard:
    """One reply as its events tell of it."""

    __slots__ = ("beginning", "sentences")

    def __init__(self, beginning: _Beginning) -> None:
        self.beginning = beginning
        self.sentences: dict[int, str] = {}

    def before(self, index: int) -> str:
        """Return the sentences before that one. All of them were heard."""
        return " ".join(self.sentences[each] for each in sorted(self.sentences) if each < index)


class ReplyRecords:
    """The replies of one stream that are under way, and the records of what happens to them."""

    def __init__(self) -> None:
        self._replies: OrderedDict[str, _Heard] = OrderedDict()

    def __len__(self) -> int:
        """Return how many replies are under way."""
        return len(self._replies)

    def record_of(self, event: Event, who: Who) -> OfReplies | None:
        """Return what is kept of an event of a reply, or None; the events of a stream come in their order."""
        match event:
            case ReplyStarted():
                self._heard(event, event.phrase, event.latency_ms)
            case ReplySentence():
                heard = self._heard(event)
                heard.sentences[event.index] = event.text
                return _progress(event, who, heard, heard.before(event.index), event.text)
            case ReplyInterrupted():
                return _progress(event, who, self._heard(event), event.heard, "")
            case ReplyEnded():
                heard = self._heard(event)
                del self._replies[event.reply_id]
                return _end(event, who, heard.beginning)
            case ToolCalled():
                return _tool(event, who)
        return None

    def _heard(self, event: ReplyEvent, phrase: str | None = None, latency_ms: float | None = None) -> _Heard:
        found = self._replies.get(event.reply_id)
        if found is None:
            found = self._replies[event.reply_id] = _Heard(_Beginning(event.at, phrase, latency_ms))
            if len(self._replies) > REMEMBERED:
                self._replies.popitem(last=False)
        return found


def _kind(event: ReplyEvent, phrase: str | None) -> str:
    """Return the kind before the end says it."""
    if phrase is not None:
        return PHRASE
    return ANNOUNCEMENT if event.reply_id.startswith(f"{event.stream_sid}-a") else ANSWER


def _progress(event: ReplyEvent, who: Who, reply: _Heard, heard: str, sentence: str) -> ReplyProgressRecord:
    beginning = reply.beginning
    return ReplyProgressRecord(
        who=who,
        seq=event.seq,
        at=event.at,
        reply_id=event.reply_id,
        turn=event.turn,
        reply_kind=_kind(event, beginning.phrase),
        phrase=beginning.phrase,
        started_at=beginning.at,
        latency_ms=beginning.latency_ms,
        heard=bounded(heard, LONGEST_TEXT),
        sentence=bounded(sentence, LONGEST_TEXT),
    )


def _end(event: ReplyEnded, who: Who, beginning: _Beginning) -> ReplyRecord:
    return ReplyRecord(
        who=who,
        seq=event.seq,
        at=event.at,
        reply_id=event.reply_id,
        turn=event.turn,
        reply_kind=event.kind,
        phrase=beginning.phrase,
        started_at=beginning.at,
        intended=bounded(event.intended, LONGEST_TEXT),
        heard=bounded(event.heard, LONGEST_TEXT),
        interrupted=event.interrupted,
        latency_ms=event.latency_ms,
        text_ms=event.text_ms,
        first_token_ms=event.first_token_ms,
        first_piece_ms=event.first_piece_ms,
        first_sound_ms=event.first_sound_ms,
        commit_ms=event.commit_ms,
        attempts=event.attempts,
        answerer=bounded(event.answerer, LONGEST_NAME),
        voice=bounded(event.voice, LONGEST_NAME),
        answerer_variant=bounded(event.answerer_variant, LONGEST_NAME),
        voice_variant=bounded(event.voice_variant, LONGEST_NAME),
        prompt_tokens=event.prompt_tokens,
        completion_tokens=event.completion_tokens,
        fault=None if event.fault is None else bounded(event.fault, LONGEST_NAME),
    )


def _tool(event: ToolCalled, who: Who) -> ToolRecord:
    return ToolRecord(
        who=who,
        seq=event.seq,
        at=event.at,
        turn=event.turn,
        name=bounded(event.name, LONGEST_NAME),
        arguments=bounded(event.arguments, LONGEST_TEXT),
        outcome=bounded(event.outcome, LONGEST_NAME),
        duration_ms=event.duration_ms,
        result=bounded(event.result, LONGEST_TEXT),
    )
