"""Events of the streams under one session, as data, and the delegate of the session, which observes them.

A new event is defined here, emitted where it happens (`stream_chain`, `backoff`), and matched by the observers that
need it.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import msgspec

from batkol.recognizers.streaming.errors import SpeechError
from batkol.recognizers.streaming.stream import Stream
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
    """The recognizer took audio so slowly that the ring let some go before it was sent."""

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


class SessionDelegate(Protocol):
    """The owner of a session, as the session sees it. Called on the event loop; must neither block nor raise."""

    def needed(self) -> int:
        """Return the first sample that an utterance still waits for; the end of the audio if none does."""
        ...

    def may_try(self) -> bool:
        """Whether a stream may be opened in place of a broken one; the process may have had enough of it."""
        ...

    def observe(self, event: StreamEvent) -> None:
        """Take note of what happened to a stream."""
        ...
