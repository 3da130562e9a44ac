"""The delegate of a streaming session: it is told of the streams that come and go under the session."""

from __future__ import annotations

from typing import Protocol

from batkol.recognizers.google.errors import SpeechError
from batkol.recognizers.google.stream import Stream
from batkol.speech.rotation import Cut


class SessionDelegate(Protocol):
    """Whoever the session works for. Called on the event loop; must neither block nor raise."""

    def needed(self) -> int:
        """Return the first sample that an utterance still waits for; the end of the audio if none does."""
        ...

    def may_try(self) -> bool:
        """Whether a stream may be opened in place of a broken one; the process may have had enough of it."""
        ...

    def opening(self, stream: Stream) -> None:
        """A stream is asked for; read what it is, and leave it alone."""
        ...

    def ended(self, stream: Stream) -> None:
        """A stream has ended, by plan or not, opened or not."""
        ...

    def delivered(self) -> None:
        """A new stream has answered for the first time."""
        ...

    def failed(self, error: SpeechError) -> None:
        """A stream could not be opened, or died."""
        ...

    def lost(self, start: int, end: int) -> None:
        """No stream will answer for these samples."""
        ...

    def rotated(self, cut: Cut) -> None:
        """Another stream has taken over, by plan."""
        ...

    def reconnected(self, reason: str, replayed: int) -> None:
        """Another stream goes on after a fault, with so many samples heard again."""
        ...

    def dropped(self, samples: int) -> None:
        """Google took audio too slowly, and this much is gone."""
        ...
