"""Options of every session of the process, whatever the recognizer, and the callbacks that its figures go to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE

CLOSE_TIMEOUT: Final = 5.0  # seconds for the last final after the half-close
STALL: Final = 5.0  # seconds of speech without any answer that make a stream suspect
IMPATIENCE: Final = 2.0  # the same where another recognizer can take over, and for its opening

OnWritten = Callable[[float, str], None]
OnRotationFailed = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingOptions:
    """`on_written` gets the seconds from offering to writing, `on_rotation_failed` the reason; both get the
    recognizer's name. Times in seconds."""

    on_written: OnWritten
    on_rotation_failed: OnRotationFailed = lambda *_: None
    close_timeout: float = CLOSE_TIMEOUT
    replay_limit: int = 10 * SAMPLE_RATE
    """The most samples that are sent again after a fault."""
    first_retry: float = 0.1
    """Wait before the second attempt to replace a broken stream; doubled for each further one, with jitter."""
    attempts: int = 4
    """Streams that may fail in a row before the session gives up."""
    stall: float = STALL
    """Speech without any answer that makes a stream suspect."""
    impatience: float = IMPATIENCE
    """The same where another recognizer can take over; a stream that is not open by then is given up, too."""
