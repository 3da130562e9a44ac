"""The line to the caller, as a conversation uses it. `batkol.calls.playout` implements it.

Positions are samples of outbound audio time. `play` counts on from what was played and queued before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Line(Protocol):
    """The sound on its way to the caller. Nothing here waits."""

    on_written: Callable[[int, int], None]
    """Called with the positions [begin, end) of sound that was written."""

    @property
    def position(self) -> int:
        """The sample that the caller hears now."""
        ...

    @property
    def path_s(self) -> float:
        """Seconds that the network and the peer's buffer take there and back, as measured; 0 while not known."""
        ...

    @property
    def held_up_s(self) -> float:
        """Seconds for which the peer has not taken what is being written; 0 while it takes all."""
        ...

    @property
    def marks(self) -> int:
        """The user's marks that have not come back."""
        ...

    def play(self, mulaw: bytes) -> int:
        """Queue sound; return the position of its end."""
        ...

    def mark(self, name: str) -> None:
        """Queue a mark behind all sound that is queued."""
        ...

    def flush(self) -> None:
        """No more sound follows for now: an incomplete frame is filled up with silence."""
        ...

    def clear(self) -> int:
        """Silence the line at once; return the position up to which the caller has heard it."""
        ...

    def at(self, position: int, callback: Callable[[], None]) -> None:
        """Call back when the caller has heard that sample; never after a `clear` that comes before it."""
        ...
