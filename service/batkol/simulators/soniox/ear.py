"""Hears a session's audio, and what is said up to a moment, as a finalize asks.

A finalize in mid-word cuts the word in two, and neither half is heard as it: as with Soniox, it has its time.
"""

from __future__ import annotations

from batkol.audio import mulaw
from batkol.simulators.google.answers import glimpse
from batkol.simulators.voice.recognizer import WordRecognizer
from batkol.voices.marked.voice import SpokenWord, word_samples


class SonioxEar:
    """One per session; all times in samples of its audio. `sample_bytes`: 1 for mu-law, 2 for LINEAR16."""

    __slots__ = ("_base", "_edges", "_hearing", "_sample_bytes", "samples")

    def __init__(self, sample_bytes: int, *, edges: bool) -> None:
        self._sample_bytes = sample_bytes
        self._edges = edges
        self._hearing = WordRecognizer(edges=edges)
        self._base = 0
        self.samples = 0
        """Samples received."""

    def feed(self, audio: bytes) -> list[SpokenWord]:
        """Take audio; return the words that are complete with it."""
        linear16 = audio if self._sample_bytes == 2 else mulaw.decode_to_bytes(audio)
        self.samples += len(linear16) // 2
        return self._placed(self._hearing.feed(linear16))

    def flush(self) -> list[SpokenWord]:
        """Return the words that the audio so far has beyond those returned; nothing that comes belongs to them."""
        if self.samples == self._base:
            return []
        words = self._placed(self._hearing.finish())
        self._hearing = WordRecognizer(edges=self._edges)
        self._base = self.samples
        return words

    @property
    def position(self) -> int:
        """The sample up to which the audio is heard."""
        return self._base + self._hearing.position

    @property
    def quiet_until(self) -> int:
        """The sample before which every word is heard already."""
        return self._base + self._hearing.quiet_until

    def underway(self) -> SpokenWord | None:
        """Return as many letters of the word that is being said as were said."""
        begun = self._hearing.underway()
        if begun is None:
            return None
        (placed,) = self._placed([begun])
        return glimpse(placed, word_samples(begun.text))

    def _placed(self, words: list[SpokenWord]) -> list[SpokenWord]:
        base = self._base
        return [SpokenWord(word.text, base + word.start, base + word.end) for word in words]
