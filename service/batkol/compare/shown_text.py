"""The text that a recognizer shows while it hears: finals, and the newest interims behind them."""

from __future__ import annotations

from batkol.speech.results import Transcript


class ShownText:
    """One per sound. Transcripts come in the order in which they arrive."""

    def __init__(self) -> None:
        self._finals: list[Transcript] = []
        self._interims: list[Transcript] = []

    def take(self, heard: Transcript) -> None:
        """Show a transcript: a final in the place of the interims of its audio, an interim in that of later ones."""
        if heard.final:
            self._interims = [each for each in self._interims if each.start >= heard.end]
            if heard.text.strip():
                self._finals.append(heard)
        else:
            self._interims = [each for each in self._interims if each.start < heard.start]
            if heard.text.strip():
                self._interims.append(heard)

    @property
    def unfinished(self) -> bool:
        """Whether interims are shown that no final has settled."""
        return bool(self._interims)

    @property
    def text(self) -> str:
        """The text in order of time."""
        finals = sorted(self._finals, key=lambda each: each.start)
        return " ".join(each.text.strip() for each in (*finals, *self._interims))
