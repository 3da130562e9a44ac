"""The connection of one stream, which each recognizer's adapter implements: audio out, results in.

`batkol.recognizers.streaming.stream.Stream` owns it: reads the ring, paces, decides when it ends. The adapter speaks
the vendor's protocol and translates its errors; it has neither a queue nor a retry of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from batkol.speech.results import Portion


class ConnectionEnded(Exception):  # noqa: N818  not a fault of its own: `read` has the reason
    """The vendor has ended the connection under a `write`, `flush` or `half_close`."""


class GoingAway(msgspec.Struct, frozen=True):
    """The vendor announces that it will end the connection within so many seconds."""

    within: float


class StreamConnection(Protocol):
    """One open connection. `write`, `flush` and `half_close` are called by one task in that order, `read` by another.

    Cancelling any of them ends the stream: the adapter's `connect` closes the connection then. A foreign exception
    that reaches the stream is a bug, and ends it with the reason `client`.
    """

    async def write(self, audio: bytes) -> None:
        """Send the call's next mu-law at 8 kHz, at most `Traits.longest_message` samples.

        Waits while the vendor takes no more. Raises `ConnectionEnded`, or `SpeechError`.
        """
        ...

    async def flush(self) -> None:
        """Ask for the final of all that was written, at once, and leave the connection open.

        Called where the caller has fallen silent, and only with `Traits.can_flush`. Raises as `write`.
        """
        ...

    async def half_close(self) -> None:
        """Say that no more audio follows: `read` still returns the last results, and then None. Raises as `write`."""
        ...

    async def read(self) -> Sequence[Portion] | GoingAway | None:
        """Wait for the next answer: its finals, then its interims, in order of time. None: a regular end.

        Times are in samples since the first one written on this connection. An empty sequence is a sign that the
        vendor hears the audio; an echo of a ping is none, and must not be returned. The interims of one answer are
        the whole text behind the last final. A final's text is never sent again; a vendor's markers (`<fin>`,
        `<end>`) are no text. Without times the end is what was written so far, and `Portion.dated` is false. Raises
        `SpeechError` for any other end, by the adapter's error table.
        """
        ...

    def suspect(self) -> None:
        """The stream is given up because nothing was answered: the next one should not share what lies below it."""
        ...
