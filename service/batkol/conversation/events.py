"""Events of the turns of one call, as data, for its observers: reporter, metrics, traces."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

import msgspec

from batkol.conversation.actions import StockPhrase, Unsaid


class ReplyLatency(msgspec.Struct, frozen=True, kw_only=True):
    """The time from the caller's last sample to the first sound of the reply, split. Seconds."""

    total: float
    text: float  # until the answerer was asked: the detector, and the text that reaches the end of speech
    first_token: float  # until its first text
    first_piece: float  # until the first piece that can be spoken
    first_sound: float  # until the voice had sound
    commit: float  # until the sound was written: the end of speech had to be known


class AttemptBegan(msgspec.Struct, frozen=True):
    """The answerer is asked."""

    attempt: int
    utterance: int  # the newest one of the turn
    speculative: bool
    answerer: str
    voice: str
    answerer_variant: str = ""  # the names of both in the settings
    voice_variant: str = ""


class AttemptDropped(msgspec.Struct, frozen=True):
    """An attempt was thrown away before its first sound. `asked_for`: seconds since it began."""

    attempt: int
    asked_for: float


class AttemptFailed(msgspec.Struct, frozen=True):
    """The answerer, the voice, or the budget of speculative attempts gave nothing. `part` is `answerer`, `voice` …"""

    attempt: int
    part: str
    reason: str
    reply_id: str = ""  # of what was heard of it before
    turn: int = 0
    has_sound: bool = False  # what it gave before may still be heard
    first_piece: float | None = None  # seconds from the asking to the first piece; None: there was none
    announced: bool = False  # it is an announcement, and no attempt


class FirstSoundWritten(msgspec.Struct, frozen=True):
    """The first sound of a reply was written. A phrase of the agent's own has no latency but its total."""

    reply_id: str
    turn: int
    attempt: int
    phrase: StockPhrase | None
    latency: ReplyLatency | None
    announced: bool = False
    answered_by: str = ""  # the name in the settings of the answerer that gave its text, where one of several may


class AnnouncementUnsaid(msgspec.Struct, frozen=True):
    """An announcement was thrown away before its first sound."""

    reply_id: str
    why: Unsaid


class FillerSaid(msgspec.Struct, frozen=True):
    """The caller waited too long for the reply, and heard the filler."""

    turn: int


class SentenceBegan(msgspec.Struct, frozen=True):
    """The playing of a piece begins, by the playout's clock."""

    reply_id: str
    turn: int
    index: int
    text: str
    begin_ms: int  # since the reply's first sample


class ReplyCut(msgspec.Struct, frozen=True):
    """The caller interrupted a reply."""

    reply_id: str
    turn: int
    heard: str


class ReplyContinued(msgspec.Struct, frozen=True):
    """The interruption was none: the reply goes on from that piece."""

    reply_id: str
    turn: int
    index: int


class ReplySettled(msgspec.Struct, frozen=True):
    """A reply is over. `heard` is what the caller heard of it, `fault` what kept the rest from being spoken."""

    reply_id: str
    turn: int
    intended: str
    heard: str
    interrupted: bool
    fault: str = ""
    prompt_tokens: int = 0  # of all questions of this attempt, as far as the server says so
    completion_tokens: int = 0
    voices: tuple[str, ...] = ()  # that gave its sound, in order; "" is the one that was asked


class ToolOutcome(StrEnum):
    """Ends of a tool call: short and stable, for events and metrics."""

    DONE = "done"
    REFUSED = "refused"  # the arguments or the name are wrong, or too much was asked: it was not carried out
    FAILED = "failed"  # the webhook cannot be reached, refuses, or answers what cannot be used
    TOO_SLOW = "too_slow"  # it had no answer within its time
    CANCELLED = "cancelled"  # the call ended first; what a webhook has made of it is not known


class ToolEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call is over. `name` is that of a definition, or `unknown`."""

    turn: int  # of the reply that it belongs to
    attempt: int
    reply_id: str = ""  # of that reply, if it is heard
    name: str
    arguments: str  # as the model wrote them
    outcome: ToolOutcome
    reason: str = ""  # a short word, of what failed
    took_s: float = 0.0
    result: str = ""  # the result, as the model reads it


ConversationEvent: TypeAlias = (
    AttemptBegan
    | AttemptDropped
    | AttemptFailed
    | FirstSoundWritten
    | AnnouncementUnsaid
    | FillerSaid
    | SentenceBegan
    | ReplyCut
    | ReplyContinued
    | ReplySettled
    | ToolEnded
)

ObserveReplies: TypeAlias = Callable[[ConversationEvent], None]
"""An observer. Called on the event loop, in the order things happen; must neither block nor raise."""
