"""Results of a recognizer, before and after they have a place in the call.

`Portion` is one entry of `StreamingRecognizeResponse.results` (google/cloud/speech/v1p1beta1/cloud_speech.proto):
its times count from the start of one RPC. `Transcript` is the same thing placed on the call's own time line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from batkol.audio.mulaw import SAMPLE_RATE

MOST_CHARACTERS: Final = 20_000
"""Characters of one answer of a recognizer that are read. Five minutes of fast speech have some 5,000."""
MOST_WORDS: Final = 4000
"""Words with times of one answer that are read."""

TAIL: Final = 3 * SAMPLE_RATE // 10
"""Samples (300 ms) before a word's end that are surely the word's own, if it is that long."""

ROUNDING: Final = SAMPLE_RATE // 4
"""A time that is wrong by up to 250 ms was rounded, or is one that a recognizer is not sure of."""


class Word(msgspec.Struct, frozen=True):
    """A word of a final, with its times in samples: of the RPC in a `Portion`, of the call in a `Transcript`.

    Google's words start where the ones before them ended (in 2,938 of 2,938 pairs of a published answer): a word's
    time includes the pause before it, and only its end shows where it was spoken.
    """

    text: str
    start: int
    end: int

    @property
    def onset(self) -> int:
        """The sample at which its last 300 ms begin, or the whole of it if it is shorter."""
        return max(self.start, self.end - TAIL)

    @property
    def place(self) -> int:
        """The sample by which it is attributed: the midpoint of its last 300 ms."""
        return (self.onset + self.end) // 2


class Portion(msgspec.Struct, frozen=True):
    """A consecutive stretch of one RPC's audio and its text; `end` in samples since the RPC's first one.

    Without text a final withdraws the interims of its audio, and an interim means that there are no words.
    `dated` is true if the recognizer gave the end. If not, it is the end of the last word, or without words a guess: as
    far as audio was sent.
    """

    text: str
    end: int
    final: bool
    stability: float = 0.0
    words: tuple[Word, ...] = ()
    dated: bool = True

    @property
    def guessed(self) -> bool:
        """Whether its end is a guess."""
        return not self.dated and not self.words

    def within(self, sent: int) -> Portion:
        """Return the portion with its times inside the audio that was sent: no recognizer has heard more.

        A call whose audio was committed up to a time that is still to come would be deaf until then. So a time that
        cannot be counts as none: the end is then that of the last word, and a word's end is where the next one begins.
        A portion without any time that can be has no word times, and its end is a guess.
        """
        if 0 <= self.end <= sent and _are_in_order(self.words, self.end, sent):
            return self
        ends = [word.end for word in self.words if 0 <= word.end <= sent + ROUNDING]
        end, dated = self.end, self.dated
        if not 0 <= end <= sent + ROUNDING or (ends and end + ROUNDING < min(ends)):  # its words lie behind it
            end, dated = max(ends, default=sent), False
        end = min(end, sent)
        words = _in_order(self.words, end) if ends else ()
        return msgspec.structs.replace(self, end=end, words=words, dated=dated)


def _are_in_order(words: Sequence[Word], end: int, sent: int) -> bool:
    """Whether no word has a time that cannot be, in a portion that ends there."""
    before, most = 0, min(end + ROUNDING, sent)
    for word in words:
        if not 0 <= word.start <= word.end <= most or word.end < before - ROUNDING:
            return False
        before = word.end
    return True


def _in_order(words: Sequence[Word], end: int) -> tuple[Word, ...]:
    """Return the words with times that can be, of a portion that ends there."""
    before, until = 0, end
    possible, earliest = [], []
    for word in words:
        possible.append(before - ROUNDING <= word.end <= end + ROUNDING)
        earliest.append(min(before, end))
        before = max(before, word.end) if possible[-1] else before
    ends = []
    for word, can_be, least in zip(reversed(words), reversed(possible), reversed(earliest), strict=True):
        ends.append(min(max(word.end, 0), end) if can_be else max(least, until))
        until = max(0, min(word.start, ends[-1])) if can_be else until
    placed: list[Word] = []
    for word, can_be, until in zip(words, possible, reversed(ends), strict=True):
        start = word.start if can_be or not placed else placed[-1].end
        placed.append(Word(word.text, min(max(start, 0), until), until))
    return tuple(placed)


class Transcript(msgspec.Struct, frozen=True):
    """Text for the call's samples [start, end). Times are the recognizer's, good to about 100 ms.

    `rpc` is the number of the RPC in its session: only the RPC that gave an interim can withdraw it. `recognizer` is
    the name of the one it was made with.
    """

    text: str
    start: int
    end: int
    final: bool
    stability: float = 0.0
    words: tuple[Word, ...] = ()
    rpc: int = 0
    recognizer: str = ""
