"""Hears the synthetic voice: LINEAR16 in, words out, each with the samples that it took.

A word is heard when its two chirps, its length and its symbols are all as they should be. Whatever else carries the
signature, and is no whole word, is heard as `GARBLE`: the trace of audio lost, doubled or moved. Anything without the
signature (other speech, noise) is not heard at all.

The chunks in which the audio comes make no difference: all work is done on blocks of 100 ms.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from batkol.audio.mulaw import decode_to_bytes
from batkol.simulators.voice.decoder import LONGEST, SHORTEST, SLACK, Floats, guess, locate, read, two_toned
from batkol.simulators.voice.detector import BLOCK, CELL, FLOOR, Band, Chirp
from batkol.voices.marked.signature import CHIRP
from batkol.voices.marked.voice import SpokenWord

GARBLE: Final = "⟨?⟩"
"""Stands in the transcript where a piece of a word was heard."""

_KEPT: Final = 20 * BLOCK  # what a word that never ends, and the fragment before it, may still need
_SEEK: Final = 12  # samples about a chirp's rough place in which its true one lies
_MARGIN: Final = 24  # 3 ms around a word that are still its own: the filter smears its edges
_FEWEST: Final = 2  # whole cells that make a garble; 40 ms beside a word hold at least two
_MOST: Final = 100  # cells after which a run is judged though it goes on: in noise it never ends
_LAG: Final = CHIRP + 200  # samples after which a chirp that began here has been found
_OVERDUE: Final = LONGEST + BLOCK + _LAG


class WordRecognizer:
    """Hears one stream.

    `edges=False` forgives fragments at its very beginning and end, as a lenient recognizer might.
    """

    __slots__ = (
        *(
            "_band",
            "_cells",
            "_chirps",
            "_edges",
            "_guesses",
            "_raw",
            "_received",
            "_rises",
            "_run",
            "_waiting",
            "_words",
        ),
        "position",
    )

    def __init__(self, *, edges: bool = True) -> None:
        self.position = 0
        """Samples heard so far: whole blocks of what was fed."""
        self._edges = edges
        self._band = Band()
        self._raw = np.zeros(_KEPT, dtype=np.float32)  # ends at `position`
        self._waiting = b""
        self._received = 0
        self._rises: list[int] = []  # where a word under way may have begun
        self._guesses: dict[int, str] = {}  # by where the word began
        self._words: deque[SpokenWord] = deque()  # those that cells not yet judged may belong to
        self._chirps: deque[int] = deque(maxlen=16)
        self._cells: deque[tuple[int, bool]] = deque()  # (first sample, active), not yet judged
        self._run: list[int] = []  # active cells in a row that no word explains

    def feed(self, linear16: bytes) -> list[SpokenWord]:
        """Take any number of bytes, even half a sample, and return what was heard in the blocks they completed."""
        self._waiting += linear16
        self._received += len(linear16)
        whole = len(self._waiting) // (2 * BLOCK)
        if not whole:
            return []
        samples = np.frombuffer(self._waiting, dtype="<i2", count=whole * BLOCK).astype(np.float32)
        self._waiting = self._waiting[2 * BLOCK * whole :]
        return [heard for block in samples.reshape(whole, BLOCK) for heard in self._decode(block)]

    def finish(self) -> list[SpokenWord]:
        """The stream is over: return what was still being heard. Nothing may be fed afterwards."""
        total = self._received // 2
        odd = self._received % 2  # half a sample is no sample
        tail = self.feed(bytes(odd + 2 * (_OVERDUE + 3 * BLOCK)))
        ended = [heard._replace(end=min(heard.end, total)) for heard in tail]
        return [heard for heard in ended if self._edges or heard.text != GARBLE or heard.end < total - CELL]

    def underway(self) -> SpokenWord | None:
        """Return the word being spoken, as far as it can be guessed, from its start to `position`."""
        for start in reversed(self._rises):
            word = self._guesses.get(start) or guess(self._since(start, self.position))
            if word is not None:
                self._guesses = {start: word}
                return SpokenWord(word, start, self.position)
        return None

    @property
    def quiet_until(self) -> int:
        """The sample before which every word is either heard already or will never be."""
        noticed = max(0, self.position - _LAG)
        return min(noticed, self._rises[0]) if self._rises else noticed

    def _since(self, start: int, end: int) -> Floats:
        first = self.position - _KEPT
        return self._raw[max(0, start - first) : max(0, end - first)]

    def _decode(self, block: Floats) -> list[SpokenWord]:
        self._raw[:-BLOCK] = self._raw[BLOCK:]
        self._raw[-BLOCK:] = block
        self.position += BLOCK
        findings = self._band.block(block)
        heard = self._follow(findings.chirps)
        if self._rises and self.position - self._rises[0] > _OVERDUE:
            self._rises = [rise for rise in self._rises if self.position - rise <= _OVERDUE]
        active = (findings.cells > FLOOR).tolist()
        self._cells.extend((findings.first_cell + CELL * i, on) for i, on in enumerate(active))
        return sorted(heard + self._judge(), key=lambda word: word.start)

    def _follow(self, chirps: list[Chirp]) -> list[SpokenWord]:
        """Go through the chirps in order of time; a falling one may end a word that any open rising one began."""
        heard = []
        for chirp in chirps:
            first = chirp.place - _SEEK
            at = first + locate(self._since(first, first + CHIRP + 2 * _SEEK), rise=chirp.rise)
            if chirp.clear:
                self._chirps.append(at)
            if chirp.rise:
                self._rises.append(at)
            elif (word := self._word(at + CHIRP)) is not None:
                heard.append(word)
                self._words.append(word)
                self._rises = [rise for rise in self._rises if rise > word.end]
        return heard

    def _word(self, end: int) -> SpokenWord | None:
        for start in self._rises:
            if SHORTEST - SLACK <= end - start <= LONGEST + SLACK and (text := read(self._since(start, end))):
                return SpokenWord(text, start, end)
        return None

    def _judge(self) -> list[SpokenWord]:
        """Settle the cells that no word to come can explain, and return the garbles among them."""
        settled = self.position - _LAG - CELL
        if self._rises:
            settled = min(settled, self._rises[0] - _MARGIN - CELL)
        garbles = []
        while self._cells and self._cells[0][0] <= settled:
            start, active = self._cells.popleft()
            if active and not self._explained(start):
                self._run.append(start)
                if len(self._run) < _MOST:
                    continue
            if self._run and (garble := self._garble()) is not None:
                garbles.append(garble)
            self._run.clear()
        return garbles

    def _explained(self, cell: int) -> bool:
        """Return whether a recognized word covers the cell. Cells must come in order of time."""
        words = self._words
        while words and words[0].end + _MARGIN <= cell:
            words.popleft()
        return bool(words) and words[0].start - _MARGIN < cell + CELL

    def _garble(self) -> SpokenWord | None:
        start, end = self._run[0], self._run[-1] + CELL
        if len(self._run) < _FEWEST or (start <= CELL and not self._edges):
            return None
        chirped = any(chirp < end and start < chirp + CHIRP for chirp in self._chirps)
        if not chirped and not two_toned(self._since(start, end)):
            return None
        return SpokenWord(GARBLE, max(0, start), end)


def words_in(mulaw: bytes) -> tuple[SpokenWord, ...]:
    """Return the words of a piece of sound, and `GARBLE` for each fragment of one, with the samples that they took."""
    recognizer = WordRecognizer()
    return (*recognizer.feed(decode_to_bytes(mulaw)), *recognizer.finish())
