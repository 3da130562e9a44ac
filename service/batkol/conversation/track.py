"""The track of a reply: its pieces of text, their sound, and which words a caller has heard at a place in it. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE

LETTERS_PER_S: Final = 13.0
"""Letters and spaces that a voice speaks in a second, as long as none of its pieces is known whole."""


@dataclass(slots=True)
class Piece:
    """A piece of text and its sound. Positions in samples."""

    text: str
    begin: int = 0  # in the track
    samples: int = 0  # so far
    whole: bool = False  # all of its sound is there
    word_ends: list[int] = field(default_factory=list)  # since its begin, if the voice knows them

    def words_by(self, samples: int, letters_per_s: float) -> int:
        """Return how many of its words end within its first `samples` samples."""
        words = self.text.split()
        if self.whole and samples >= self.samples:
            return len(words)
        if self.word_ends:
            return min(bisect_right(self.word_ends, samples), len(words))
        letters = sum(len(word) + 1 for word in words)
        length = self.samples if self.whole else max(self.samples, int(letters / letters_per_s * SAMPLE_RATE))
        reached = letters * samples / max(length, 1)
        end = 0.0
        for count, word in enumerate(words):
            end += len(word) + 1
            if end - 1 > reached:
                return count
        return len(words)


class Track:
    """The sound of one reply as it grows."""

    __slots__ = ("_begins", "_rate", "_sound", "pieces", "samples")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self._sound: list[bytes] = []
        self._begins: list[int] = []  # the sample at which each of them begins
        self.samples = 0
        self._rate = LETTERS_PER_S

    def add_piece(self, text: str) -> None:
        """Take the next piece of text."""
        self.pieces.append(Piece(text))

    def add_sound(self, mulaw: bytes, piece: int, *, last: bool, word_ends: tuple[int, ...] = ()) -> None:
        """Take sound of a piece. Raises `ValueError` for a piece that has no text."""
        if piece >= len(self.pieces):
            raise ValueError(f"the voice spoke piece {piece} of {len(self.pieces)}")
        spoken = self.pieces[piece]
        if not spoken.samples:
            spoken.begin = self.samples
        spoken.word_ends += word_ends
        if mulaw:
            self._sound.append(mulaw)
            self._begins.append(self.samples)
        spoken.samples += len(mulaw)
        self.samples += len(mulaw)
        if last:
            spoken.whole = True
            if spoken.samples:
                self._rate = len(spoken.text) * SAMPLE_RATE / spoken.samples

    def sound_from(self, sample: int) -> bytes:
        """Return the sound from that sample on."""
        if sample >= self.samples:
            return b""
        first = bisect_right(self._begins, sample) - 1
        rest = self._sound[first][sample - self._begins[first] :]
        return b"".join((rest, *self._sound[first + 1 :]))

    @property
    def intended(self) -> str:
        """The text of all pieces so far."""
        return " ".join(piece.text for piece in self.pieces)

    def heard(self, samples: int) -> str:
        """Return the words that end within the first `samples` samples."""
        parts = []
        for piece in self.pieces:
            if not piece.samples:
                continue  # not yet, or there is nothing to speak in it
            if samples <= piece.begin:
                break
            count = piece.words_by(min(samples - piece.begin, piece.samples), self._rate)
            parts.append(" ".join(piece.text.split()[:count]))
        return " ".join(filter(None, parts))

    def piece_at(self, samples: int) -> int:
        """Return the number of the piece that is heard at that sample; of the last one behind the end."""
        begun = [number for number, piece in enumerate(self.pieces) if piece.samples and piece.begin <= samples]
        return begun[-1] if begun else 0
