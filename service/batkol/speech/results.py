"""Results of a recognizer, before and after they have a place in the call.

`Portion` is one entry of `StreamingRecognizeResponse.results` (google/cloud/speech/v1p1beta1/cloud_speech.proto):
its times count from the start of one RPC. `Transcript` is the same thing placed on the call's own time line.
"""

from __future__ import annotations

from typing import Final

import msgspec

from batkol.audio.mulaw import SAMPLE_RATE

MOST_CHARACTERS: Final = 20_000
"""Characters of one answer of a recognizer that are read. Five minutes of fast speech have some 5,000."""
MOST_WORDS: Final = 4000
"""Words with times of one answer that are read."""

TAIL: Final = 3 * SAMPLE_RATE // 10
"""Samples (300 ms) before a word's end that are surely the word's own, if it is that long."""


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

        A call whose audio was committed up to a time that is still to come would be deaf until then.
        """
        if 0 <= self.end <= sent and all(0 <= word.start <= word.end <= sent for word in self.words):
            return self
        words = tuple(_word_within(word, sent) for word in self.words)
        return msgspec.structs.replace(self, end=min(max(self.end, 0), sent), words=words)


def _word_within(word: Word, sent: int) -> Word:
    end = min(max(word.end, 0), sent)
    return Word(word.text, min(max(word.start, 0), end), end)


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
