"""The text that a recognizer shows while it hears: finals, and the newest interims behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from batkol.speech.results import Transcript


class ShownState(NamedTuple):
    """The text at one moment, as its parts: as small for a long text, and put together when it is read."""

    finals: Sequence[Transcript]
    """The finals of the whole sound, in the order in which they came; the first `number` of them are shown."""
    number: int
    interims: tuple[Transcript, ...]

    @property
    def text(self) -> str:
        """The text in order of time."""
        finals = sorted(self.finals[: self.number], key=lambda each: each.start)
        return " ".join(each.text.strip() for each in (*finals, *self.interims))


class ShownText:
    """One per sound. Transcripts come in the order in which they arrive."""

    def __init__(self) -> None:
        self._finals: list[Transcript] = []
        self._interims: tuple[Transcript, ...] = ()

    def take(self, heard: Transcript) -> None:
        """Show a transcript: a final in the place of the interims of its audio, an interim in that of later ones."""
        if heard.final:
            self._interims = tuple(each for each in self._interims if each.start >= heard.end)
            if heard.text.strip():
                self._finals.append(heard)
        else:
            self._interims = tuple(each for each in self._interims if each.start < heard.start)
            if heard.text.strip():
                self._interims += (heard,)

    @property
    def unfinished(self) -> bool:
        """Whether interims are shown that no final has settled."""
        return bool(self._interims)

    @property
    def state(self) -> ShownState:
        """The text that is shown now; what comes later does not change it."""
        return ShownState(self._finals, len(self._finals), self._interims)

    @property
    def text(self) -> str:
        """The text in order of time."""
        return self.state.text
