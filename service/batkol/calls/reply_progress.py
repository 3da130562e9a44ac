"""The agent's replies in one call so far: what each was to say, and what was heard of it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, TypedDict

from batkol.clock import in_ms
from batkol.conversation import events as turns

KEPT: Final = 100
"""Replies of a call that the internal API can show."""


@dataclass(slots=True)
class ReplyProgress:
    """One reply as subscribers saw it."""

    turn: int
    phrase: str | None = None
    sentences: dict[int, str] = field(default_factory=dict)
    """The pieces whose playing has begun, by their index."""
    intended: str | None = None  # until it is over
    heard: str | None = None  # until it is interrupted or over
    interrupted: bool = False
    ended: bool = False
    latency: turns.ReplyLatency | None = None
    failed: str | None = None  # answerer | voice


class LatencyParts(TypedDict):
    """The latency of a reply and its parts in ms, as events and snapshots name them; None without one."""

    latency_ms: float | None
    text_ms: float | None
    first_token_ms: float | None
    first_piece_ms: float | None
    first_sound_ms: float | None
    commit_ms: float | None


def latency_parts(latency: turns.ReplyLatency | None) -> LatencyParts:
    """Return the latency and its parts."""
    return LatencyParts(
        latency_ms=None if latency is None else in_ms(latency.total),
        text_ms=None if latency is None else in_ms(latency.text),
        first_token_ms=None if latency is None else in_ms(latency.first_token),
        first_piece_ms=None if latency is None else in_ms(latency.first_piece),
        first_sound_ms=None if latency is None else in_ms(latency.first_sound),
        commit_ms=None if latency is None else in_ms(latency.commit),
    )


class ReplyHistory:
    """One per call: its newest replies by their id, in the order in which they began."""

    def __init__(self) -> None:
        self.replies: OrderedDict[str, ReplyProgress] = OrderedDict()

    def observe(self, event: turns.ConversationEvent) -> None:
        """Take note of one event of the conversation, before it is published; never blocks."""
        match event:
            case turns.FirstSoundWritten(reply_id, turn, _, phrase, latency):
                reply = self._reply(reply_id, turn)
                reply.phrase = None if phrase is None else phrase.value
                reply.latency = latency
            case turns.SentenceBegan(reply_id, turn, index, text):
                self._reply(reply_id, turn).sentences[index] = text
            case turns.ReplyCut(reply_id, turn, heard):
                reply = self._reply(reply_id, turn)
                reply.heard, reply.interrupted = heard, True
            case turns.ReplyContinued(reply_id, turn):
                reply = self._reply(reply_id, turn)
                reply.heard, reply.interrupted = None, False
            case turns.ReplySettled(reply_id, turn, intended, heard, interrupted):
                reply = self._reply(reply_id, turn)
                reply.intended, reply.heard = intended, heard
                reply.interrupted, reply.ended = interrupted, True
            case turns.AttemptFailed(_, part, _, reply_id, turn) if reply_id and part != "budget":
                self._reply(reply_id, turn).failed = part
            case _:
                """The others say nothing of a reply that is heard."""

    def _reply(self, reply_id: str, turn: int) -> ReplyProgress:
        reply = self.replies.setdefault(reply_id, ReplyProgress(turn))
        if len(self.replies) > KEPT:
            self.replies.popitem(last=False)
        return reply
