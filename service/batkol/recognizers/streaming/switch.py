"""The planned change of a call from one recognizer to another."""

from __future__ import annotations

from typing import NamedTuple

from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.speech.rotation import OVERLAP, CallPosition, Cut, Why, cut_here


class Switch(NamedTuple):
    """`recognizer` is to hear the call from sample `at` on: where an utterance begins, in the silence before it.

    None: from where the caller stands when the change begins, in mid-utterance perhaps. `spoken_to` is the last sample
    of speech before that; None: the caller speaks.
    """

    recognizer: StreamingRecognizer
    at: int | None
    spoken_to: int | None = None

    def cut(self, now: float, position: CallPosition) -> Cut:
        """Return the hand-over. What the old recognizer has committed beyond `at` stays its own."""
        if self.at is None:
            return cut_here(Why.CHOSEN, now, position)
        limit = max(position.watermark, self.at)
        return Cut(Why.CHOSEN, limit, limit, OVERLAP, self.spoken_to)
