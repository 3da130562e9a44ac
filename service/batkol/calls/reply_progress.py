"""The agent's replies in one call so far: what each was to say, and what was heard of it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from batkol.conversation import events as turns

_PARTS: Final = {
    "text": "text_ms",
    "first_token": "first_token_ms",
    "first_piece": "first_piece_ms",
    "first_sound": "first_sound_ms",
    "commit": "commit_ms",
}

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


def latency_parts(latency: turns.ReplyLatency | None) -> dict[str, float | None]:
    """Return the latency of a reply and its parts in ms, as events and snapshots name them; None without one."""
    if latency is None:
        return dict.fromkeys(("latency_ms", *_PARTS.values()))
    parts = {name: round(getattr(latency, part) * 1000, 1) for part, name in _PARTS.items()}
    return {"latency_ms": round(latency.total * 1000, 1), **parts}


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
