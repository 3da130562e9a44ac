"""Events of the streams under one session, as data.

A new one is defined here, emitted where it happens (`stream_chain`, `backoff`), and matched by those who need it.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from batkol.recognizers.google.errors import SpeechError
from batkol.recognizers.google.stream import Stream
from batkol.speech.rotation import Cut


class StreamOpening(msgspec.Struct, frozen=True):
    """The session asks for a stream. Observers may read it and must not change it."""

    stream: Stream


class StreamEnded(msgspec.Struct, frozen=True):
    """A stream has ended, by plan or not, opened or not."""

    stream: Stream


class StreamAnswered(msgspec.Struct, frozen=True):
    """A new stream has answered for the first time."""


class StreamFailed(msgspec.Struct, frozen=True):
    """A stream could not be opened, or died."""

    error: SpeechError


class AudioLost(msgspec.Struct, frozen=True):
    """No stream will answer for the samples [start, end)."""

    start: int
    end: int


class StreamRotated(msgspec.Struct, frozen=True):
    """Another stream has taken over, by plan."""

    cut: Cut


class StreamReplaced(msgspec.Struct, frozen=True):
    """Another stream continues after a fault, with so much audio sent again."""

    reason: str
    replayed_ms: int


class AudioDropped(msgspec.Struct, frozen=True):
    """Google took audio so slowly that the ring let some go before it was sent."""

    ms: int


StreamEvent: TypeAlias = (
    StreamOpening
    | StreamEnded
    | StreamAnswered
    | StreamFailed
    | AudioLost
    | StreamRotated
    | StreamReplaced
    | AudioDropped
)
