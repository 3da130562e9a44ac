"""Live calls, as `GET /v1/calls` and `GET /v1/calls/{sid}` answer; what a service does not send has a default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from batkol.client.events import PeerPod


class TentativeSoFar(msgspec.Struct, frozen=True, kw_only=True):
    """The tentative that stands."""

    number: int = 0
    text: str = ""


class UtteranceSoFar(msgspec.Struct, frozen=True, kw_only=True):
    """One utterance of a live call, so far. Audio times are milliseconds since the stream's first sample."""

    index: int
    utterance_id: str = ""
    text: str = ""
    final: bool = False
    source: str | None = None
    recognizer: str = ""  # the streaming one that gave the text of the final; empty before, and for another source
    revised: str | None = None
    unvoiced: bool = False  # no speech was detected in its audio: never reply to it
    unconfirmed: bool = False
    tentative: TentativeSoFar | None = None
    mode: str = ""
    flag_variant: str | None = None
    flag_reason: str | None = None
    begin_ms: int | None = None
    speech_ms: int | None = None  # without the pre-roll
    end_ms: int | None = None
    partials: int = 0
    first_partial_ms: float | None = None
    latency_ms: float | None = None
    trace_id: str | None = None


class ReplySoFar(msgspec.Struct, frozen=True, kw_only=True):
    """One reply of a live call, so far."""

    reply_id: str = ""
    turn: int = 0
    phrase: str | None = None
    sentences: tuple[str, ...] = ()  # the pieces whose playing has begun
    intended: str | None = None  # None until the reply is over
    heard: str | None = None  # None until it is interrupted or over
    interrupted: bool = False
    ended: bool = False
    latency_ms: float | None = None  # from the caller's last sample to the first sound; the next five are its parts
    text_ms: float | None = None
    first_token_ms: float | None = None
    first_piece_ms: float | None = None
    first_sound_ms: float | None = None
    commit_ms: float | None = None
    failed: str | None = None


class LiveCall(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of a live call. A call that moves has two for a moment, and the older one is `ending`.

    Its words and replies, earlier streams, `agent_replies` and `cursor` come where the call is asked for alone.
    """

    call_sid: str
    stream_sid: str = ""
    stream: int = 1  # the number of this stream among the call's, from 1
    seq: int | None = None  # of the stream's newest event; the snapshot has all up to it in it
    pod: str = ""  # of a fleet
    agent: str = ""
    direction: str = ""
    from_: str = msgspec.field(name="from", default="")  # for tokens that may read numbers, as the next two
    to: str = ""
    parameters: Mapping[str, str] = {}
    ending: bool = False  # its audio is over; its last finals and its `call.ended` are still to come
    started_at: str = ""  # UTC, ISO 8601
    duration_s: float = 0.0
    audio_ms: int = 0
    streaming: bool = False
    recognizer: str = ""  # the streaming one that hears the call now; empty without a session
    sessions: int = 0
    utterances_total: int = 0
    partials: int = 0
    finals: Mapping[str, int] = {}  # by source
    fallbacks: Mapping[str, int] = {}
    gap_ms: int = 0
    rotations: int = 0
    reconnects: int = 0
    audio_dropped_ms: int = 0
    utterances: tuple[UtteranceSoFar, ...] = ()
    replies: tuple[ReplySoFar, ...] = ()
    earlier_streams: tuple[LiveCall, ...] = ()
    cursor: str = ""  # the place of this moment in the feed
    agent_replies: bool | None = None  # whether the agent would answer now; None: the service does not say
    peers: tuple[PeerPod, ...] = ()  # of a fleet


class LiveCalls(msgspec.Struct, frozen=True, kw_only=True):
    """The live calls of one moment. Iterating it yields the calls."""

    calls: tuple[LiveCall, ...] = ()
    cursor: str = ""  # the place of this moment in the feed
    peers: tuple[PeerPod, ...] = ()  # of a fleet: pods, those that could not be asked included

    def __iter__(self) -> Iterator[LiveCall]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)
