"""One streaming recognizer of the process, and its breaker."""

from __future__ import annotations

from dataclasses import dataclass, field

from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.speech.breaker import Breaker


@dataclass(frozen=True, slots=True)
class StreamingStep:
    """One per recognizer. The calls that use it update the breaker.

    `stands_with_single`: it is asked with the credentials of the single request, so that a refusal of those refuses it
    as well.
    """

    recognizer: StreamingRecognizer
    breaker: Breaker = field(default_factory=Breaker)
    stands_with_single: bool = False

    @property
    def name(self) -> str:
        """The recognizer's name."""
        return self.recognizer.name
