"""The planned change of a call from one recognizer to another."""

from __future__ import annotations

from typing import NamedTuple

from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.speech.rotation import OVERLAP, Cut, Why
from batkol.speech.timeline import Timeline


class Switch(NamedTuple):
    """`recognizer` is to hear the call from sample `at` on: where an utterance begins, in the silence before it."""

    recognizer: StreamingRecognizer
    at: int

    def cut(self, timeline: Timeline) -> Cut:
        """Return the hand-over. What the old recognizer has committed beyond `at` stays its own."""
        limit = max(timeline.sure, self.at)
        return Cut(Why.CHOSEN, limit, limit, OVERLAP)
