"""The delegate of a streaming session: it decides for the session, and observes the streams under it."""

from __future__ import annotations

from typing import Protocol

from batkol.recognizers.google.events import StreamEvent


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
