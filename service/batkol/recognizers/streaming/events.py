"""Events of the streams under one session, as data, and the delegate of the session, which observes them.

A new event is defined here, emitted where it happens (`streams`, `chain_report`), and matched by the one that needs it:
the session's owner, or, of a `SharedStreamEvent`, an observer of the call.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeAlias

import msgspec

from batkol.recognizers.streaming.errors import SpeechError
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.stream import Stream
from batkol.speech.rotation import Cut


class StreamOpening(msgspec.Struct, frozen=True):
    """The session asks for a stream. Observers may read it and must not change it."""

    stream: Stream


class StreamEnded(msgspec.Struct, frozen=True):
    """A stream has ended, by plan or not, opened or not."""

    stream: Stream


class StreamAnswered(msgspec.Struct, frozen=True):
    """A new stream of `recognizer`, a name, has answered for the first time."""

    recognizer: str


class StreamFailed(msgspec.Struct, frozen=True):
    """A stream of `recognizer`, a name, could not be opened, or died."""

    error: SpeechError
    recognizer: str


class AudioLost(msgspec.Struct, frozen=True):
    """No stream will answer for the samples [start, end), which a stream of `recognizer`, a name, failed to hear."""

    start: int
    end: int
    recognizer: str


class StreamRotated(msgspec.Struct, frozen=True):
    """A stream of `recognizer`, a name, has taken over by plan."""

    cut: Cut
    recognizer: str


class StreamReplaced(msgspec.Struct, frozen=True):
    """A stream of `recognizer` continues after a fault of a stream of `failed`, with so much audio sent again.

    Both are names, and most often the same.
    """

    reason: str
    replayed_ms: int
    recognizer: str
    failed: str


class RecognizerChanged(msgspec.Struct, frozen=True):
    """Another recognizer hears the call from now on. `reason` is a fault's, or `CHOSEN`."""

    before: str
    after: str
    reason: str


class ChangeFailed(msgspec.Struct, frozen=True):
    """The call was to change to `recognizer`, a name, and its stream could not be opened; the old stream continues."""

    recognizer: str
    error: SpeechError


class AudioDropped(msgspec.Struct, frozen=True):
    """`recognizer`, a name, took audio so slowly that the ring let some go before it was sent."""

    ms: int
    recognizer: str


SharedStreamEvent: TypeAlias = (
    StreamOpening | StreamEnded | StreamRotated | StreamReplaced | AudioDropped | RecognizerChanged
)
"""The events that the session's owner passes on to the observers of the call."""

StreamEvent: TypeAlias = SharedStreamEvent | StreamAnswered | StreamFailed | AudioLost | ChangeFailed

CHOSEN: Final = "chosen"
"""The reason of a change of recognizers by the flag, or back to the one that the call prefers."""


class SessionDelegate(Protocol):
    """The owner of a session, as the session sees it. Called on the event loop; must neither block nor raise."""

    def needed(self) -> int:
        """Return the first sample that an utterance still waits for; the end of the audio if none does."""
        ...

    def may_try(self, recognizer: StreamingRecognizer) -> bool:
        """Whether a stream may be opened in place of a broken one; the process may have had enough of it."""
        ...

    def has_another(self, recognizer: StreamingRecognizer) -> bool:
        """Whether another recognizer could take the call over, if this one failed it now. Changes nothing."""
        ...

    def another(self, failed: StreamingRecognizer, error: SpeechError) -> StreamingRecognizer | None:
        """A recognizer has failed the call: return the one that takes over, or None."""
        ...

    def observe(self, event: StreamEvent) -> None:
        """Take note of what happened to a stream."""
        ...
