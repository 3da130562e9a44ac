"""The owner of a stream that nothing comes of."""

from __future__ import annotations

from collections.abc import Sequence

from batkol.recognizers.streaming.stream import Stream
from batkol.speech.results import Portion


class Unheard:
    """A `StreamListener` that takes no note."""

    def on_portions(self, stream: Stream, portions: Sequence[Portion]) -> None:
        pass

    def on_going_away(self, stream: Stream, within: float) -> None:
        pass

    def on_over(self, stream: Stream) -> None:
        pass
