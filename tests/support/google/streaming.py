"""Google as the streaming recognizer of a test: its real adapter, over the connections of the test."""

from __future__ import annotations

import math

from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.streaming import OPEN_TIMEOUT, GoogleRecognizer, traits
from batkol.recognizers.google.wire import RecognitionConfig, recognition
from batkol.transcription.streaming_step import StreamingStep


def google_recognizer(
    channels: Channels,
    config: RecognitionConfig | None = None,
    *,
    rotate: tuple[float, float] = (240.0, 285.0),
    open_timeout: float = OPEN_TIMEOUT,
) -> GoogleRecognizer:
    """The adapter, which sends audio again at once."""
    return GoogleRecognizer(
        channels,
        config or recognition("he-IL", "default"),
        traits=traits(rotate_after=rotate[0], rotate_by=rotate[1], replay_rate=math.inf),
        open_timeout=open_timeout,
    )


def google_step(channels: Channels, config: RecognitionConfig | None = None) -> tuple[StreamingStep]:
    """Google alone, as the streaming recognizers of a process."""
    return (StreamingStep(google_recognizer(channels, config), stands_with_single=True),)
