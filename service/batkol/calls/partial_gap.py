"""Detection of a speaking caller who gets no partials. Times in seconds, of any clock that only goes forward."""

from __future__ import annotations

from typing import Final

from batkol.speech.utterance import Mode, Utterance, UtteranceState

UNHEARD_S: Final = 3.0
"""Speech without a partial that is too much: first partials take one second, the pauses between others less."""


class PartialGapMonitor:
    """The utterance of one call that is being spoken and streamed, if any. Costs a comparison a partial."""

    __slots__ = ("_index", "_latest", "_since")

    def __init__(self) -> None:
        self._index: int | None = None
        self._since = 0.0  # when it began, or when its latest partial came
        self._latest: float | None = None

    @property
    def speaking(self) -> bool:
        """Whether there is one: partials are to be expected."""
        return self._index is not None

    def unheard(self, now: float) -> bool:
        """Whether its partials have been missing for `UNHEARD_S`."""
        return self._index is not None and now - self._since >= UNHEARD_S

    def begin(self, utterance: Utterance, now: float) -> None:
        """An utterance begins; one that is not streamed has no partials, and one that is over none to come."""
        if utterance.mode is Mode.STREAMING and utterance.state is UtteranceState.SPEAKING:
            self._index, self._since, self._latest = utterance.index, now, None

    def partial(self, utterance: Utterance, now: float) -> float | None:
        """Return the time since the partial before; None for the first one, and when the caller has fallen silent."""
        if utterance.index != self._index:
            return None
        before, self._latest, self._since = self._latest, now, now
        return None if before is None else now - before

    def end(self, utterance: Utterance) -> None:
        """The caller fell silent."""
        if utterance.index == self._index:
            self._index = None
