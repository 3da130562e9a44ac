"""Traits of one streaming recognizer: what the session must know of it, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Times in seconds, audio in samples (8 samples = 1 ms).

    The session works around whatever is false or None here: without word times it distinguishes the words at a seam
    by their text alone. Whether an interim has word times is no trait: nothing is planned by it, its words show it.
    """

    limit: float | None
    """Longest life of a stream, before which it is replaced by plan; None if the vendor sets no limit. A stream may
    also announce an earlier end (`connection.GoingAway`)."""

    rotate_after: float
    """Age from which a stream is replaced in silence or at a final."""

    rotate_by: float
    """Age at which a stream is replaced in any case; less than `limit`."""

    idle_limit: float | None
    """Longest time without a message from this service after which the vendor ends a stream; None: no limit."""

    keep_alive: float | None = None
    """Interval at which the adapter sends a message of its own while no audio goes out, within `idle_limit`; None: it
    sends none, and the vendor's end is `Next.REOPEN` in its table of errors."""

    word_times_on_finals: bool
    """Whether the words of a final have times. Without them a stream begins exactly where the one before it ended:
    what two streams hear cannot be distinguished there."""

    can_flush: bool = False
    """Whether `StreamConnection.flush` makes the text so far final."""

    concurrency: int = 0
    """Streams that this process may hold at once; 0: any number."""

    replay_rate: float = math.inf
    """Speed of audio that is sent again, in multiples of real time; infinite: at once."""

    longest_message: int = 12_800
    """Samples of one `StreamConnection.write` at most."""

    def __post_init__(self) -> None:
        """Refuse a rotation that is over before it begins or too late, and a keep-alive that is too late."""
        if self.rotate_by < self.rotate_after:
            raise ValueError("rotate_by must not be earlier than rotate_after")
        if self.limit is not None and self.rotate_by >= self.limit:
            raise ValueError("rotate_by must be earlier than limit, at which the vendor ends the stream")
        if self.keep_alive is not None and self.idle_limit is not None and self.keep_alive >= self.idle_limit:
            raise ValueError("keep_alive must be shorter than idle_limit, after which the vendor ends the stream")
