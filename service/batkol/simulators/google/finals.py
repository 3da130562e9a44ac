"""Cuts what is heard into the portions that finals settle, and knows when each final is due.

Pure: samples of this stream's audio, and `now` in seconds of any monotonic clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.simulators.google.settings import DoubleSettings
from batkol.voices.marked.voice import SpokenWord


class FinalPortion(NamedTuple):
    """Words that one final will settle, the audio up to `end` with them."""

    words: tuple[SpokenWord, ...]
    end: int
    due: float


class FinalPortions:
    """One stream's words from heard to settled. `latency` draws the seconds from the end of speech to its final."""

    __slots__ = ("_arrivals", "_due", "_latency", "_merge", "_open", "_quiet_after", "_quiets", "_silence")

    def __init__(self, settings: DoubleSettings, latency: Callable[[], float]) -> None:
        self._silence = settings.silence_ms * SAMPLES_PER_MS
        self._latency = latency
        self._open: list[SpokenWord] = []
        self._due: deque[FinalPortion] = deque()
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=512)  # samples received by when
        self._merge: float = 1
        self._quiets = 0  # silences inside the open portion
        self._quiet_after = -1

    @property
    def unsettled(self) -> list[SpokenWord]:
        """Words heard that no final has settled."""
        return [word for portion in self._due for word in portion.words] + self._open

    @property
    def due(self) -> float | None:
        """The time at which the next final is due."""
        return self._due[0].due if self._due else None

    def merge(self, utterances: float) -> None:
        """From now on a final spans that many utterances; infinity: all that there are."""
        self._merge = utterances

    def arrived(self, samples: int, now: float) -> None:
        """Observe that so many samples have arrived in all."""
        self._arrivals.append((samples, now))

    def append_words(self, words: Sequence[SpokenWord], quiet_until: int, now: float) -> None:
        """Take the words heard; enough silence after one, up to `quiet_until`, closes the portion."""
        for word in words:
            self._cut(word.start, now)
            self._open.append(word)
        self._cut(quiet_until, now)

    def _cut(self, quiet_until: int, now: float) -> None:
        if not self._open or quiet_until - self._open[-1].end < self._silence:
            return
        spoken = self._open[-1].end
        if self._quiet_after != spoken:
            self._quiet_after = spoken
            self._quiets += 1
        if self._quiets >= self._merge:
            arrived = next((at for samples, at in self._arrivals if samples >= spoken), now)
            self._close(spoken + self._silence, max(now, arrived + self._latency()))

    def _close(self, end: int, due: float) -> None:
        last = self._due[-1].due if self._due else due
        self._due.append(FinalPortion(tuple(self._open), end, max(due, last)))
        self._open.clear()
        self._quiets = 0

    def finish(self, total: int, due: float) -> None:
        """The audio is over at `total` samples: all that is unsettled is due by then, at the latest."""
        self._due = deque(portion._replace(due=min(portion.due, due)) for portion in self._due)
        if self._open:
            self._close(min(total, self._open[-1].end + self._silence), due)

    def settle(self, now: float) -> list[FinalPortion]:
        """Return the portions whose finals are due."""
        settled = []
        while self._due and self._due[0].due <= now:
            settled.append(self._due.popleft())
        return settled
