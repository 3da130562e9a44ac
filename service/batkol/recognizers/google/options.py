"""Options of every stream of the process, and the callbacks of the session that it serves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.wire import RecognitionConfig

OPEN_TIMEOUT: Final = 5.0  # seconds to get a stream; the 101st on a connection would wait for ever
CLOSE_TIMEOUT: Final = 5.0  # seconds for the last final after the half-close
STALL: Final = 5.0  # seconds of speech without any answer that make a stream suspect

OnWritten = Callable[[float], None]
OnRotationFailed = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StreamingOptions:
    """`on_written` gets the seconds from offering to writing, `on_rotation_failed` the reason. Times in seconds."""

    channels: Channels
    config: RecognitionConfig
    on_written: OnWritten
    on_rotation_failed: OnRotationFailed = lambda _: None
    open_timeout: float = OPEN_TIMEOUT
    close_timeout: float = CLOSE_TIMEOUT
    rotate_after: float = 240.0
    rotate_by: float = 285.0
    replay_limit: int = 10 * SAMPLE_RATE
    """The most samples that are sent again after a fault."""
    replay_rate: float = math.inf
    """Rate of replayed audio, in times real time; infinite: at once."""
    first_retry: float = 0.1
    """Wait before the second attempt to replace a broken stream; doubled for each further one, with jitter."""
    attempts: int = 4
    """Streams that may fail in a row before the session gives up."""
    stall: float = STALL
    """Speech without any answer that makes a stream suspect."""
