"""Answers of the API of live calls: what was so at one moment, with the place in the event feed of that moment."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from batkol.fleet.membership import PeerStatus


class LiveTentative(msgspec.Struct, frozen=True, kw_only=True):
    """The tentative that stands."""

    number: int
    text: str


class LiveUtterance(msgspec.Struct, frozen=True, kw_only=True):
    """An utterance as subscribers saw it so far. Times in ms: of audio, and of waiting."""

    index: int
    utterance_id: str
    begin_ms: int
    speech_ms: int | None  # without the pre-roll; null if its beginning was not noticed
    end_ms: int | None
    mode: str
    flag_variant: str | None
    flag_reason: str | None
    partials: int
    first_partial_ms: float | None
    latency_ms: float | None
    text: str
    final: bool
    source: str | None
    recognizer: str  # the streaming one that gave the text of the final; empty before, and where another source did
    revised: str | None
    unvoiced: bool
    unconfirmed: bool
    tentative: LiveTentative | None
    trace_id: str | None  # of the utterance's trace; null before the final, and without one


class LiveReply(msgspec.Struct, frozen=True, kw_only=True):
    """A reply of the agent as subscribers saw it so far."""

    reply_id: str
    turn: int
    phrase: str | None
    sentences: list[str]  # the pieces whose playing has begun
    intended: str | None  # null until the reply is over
    heard: str | None  # null until it is interrupted or over
    interrupted: bool
    ended: bool
    latency_ms: float | None  # from the caller's last sample to the first sound; the next five are its parts
    text_ms: float | None
    first_token_ms: float | None
    first_piece_ms: float | None
    first_sound_ms: float | None
    commit_ms: float | None
    failed: str | None


class LiveStream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream of a live call. `from`, `to` and `parameters` are empty for tokens without the right `numbers`."""

    call_sid: str
    stream_sid: str
    stream: int
    agent: str
    direction: str
    from_: str = msgspec.field(name="from")
    to: str
    parameters: dict[str, str]
    seq: int  # of the stream's newest event; 0 before the first one
    ending: bool  # its audio is over, its last finals and its `call.ended` are still to come
    pod: str | UnsetType = UNSET  # the pod that has it: with `scope=fleet` alone
    started_at: str
    duration_s: float
    audio_ms: int
    streaming: bool
    recognizer: str  # the streaming one that hears the call now; empty without a session
    sessions: int
    utterances_total: int
    partials: int
    finals: dict[str, int]
    fallbacks: dict[str, int]
    gap_ms: int
    rotations: int
    reconnects: int
    audio_dropped_ms: int


class LiveDetails(LiveStream, frozen=True, kw_only=True):
    """A stream of a live call with what was said in it."""

    utterances: list[LiveUtterance]
    replies: list[LiveReply]


class CallsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All live calls. The events behind `cursor` are those that the snapshot does not show."""

    cursor: str
    calls: list[LiveStream]
    peers: list[PeerStatus] | UnsetType = UNSET  # the agent's pods: with `scope=fleet` alone


class CallSnapshot(LiveDetails, frozen=True, kw_only=True):
    """A call: its newest stream, and the earlier ones whose last events are still to come."""

    cursor: str
    agent_replies: bool = False  # whether the agent would answer now: the flag `agent-replies`, or AGENT_REPLIES
    earlier_streams: list[LiveDetails]
    peers: list[PeerStatus] | UnsetType = UNSET  # the agent's pods: with `scope=fleet` alone
