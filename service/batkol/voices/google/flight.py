"""The end of a piece's sound, in a session that does not mark it. Pure; times in seconds of one clock.

Google sends the sound of all sentences of a session in one stream, without a word about which is which. So one piece is
under way at a time, and the next one is sent when the sound of the one before has paused: Google sends faster than it
is heard, so the pause costs the caller nothing. A piece after which the session is half-closed ends with the stream,
which is exact.

A pause inside a sentence that is longer than these is taken for its end. Then the rest of its sound counts as the next
piece's: `track.heard` is ahead by the words of that rest until the next piece is over.
"""

from __future__ import annotations

import math
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.voices.limits import VoiceLimits

QUIET_S: Final = 0.25
"""Seconds without sound after which a piece that has about its length is over."""
SHORT_QUIET_S: Final = 0.8
"""The same for a piece that has much less sound than its letters take."""
LONG_QUIET_S: Final = 1.5
"""The same while there is no next piece: nothing waits for the end."""
KEEP_S: Final = 4.0
"""Seconds after its last text at which a session is half-closed: Google ends it after 5 without input."""

_LETTERS_PER_S: Final = 13.0
_SHORT: Final = 0.7
_LEARNED: Final = 0.1


class SpeakingRate:
    """Letters and spaces that a voice speaks in a second, learned from pieces whose end is certain."""

    def __init__(self) -> None:
        self.letters_per_s = _LETTERS_PER_S

    def learn(self, text: str, samples: int) -> None:
        """Take a piece and its sound. Very short ones say little."""
        if samples >= SAMPLE_RATE:
            self.letters_per_s += _LEARNED * (len(text) * SAMPLE_RATE / samples - self.letters_per_s)

    def samples(self, text: str) -> int:
        """Return about how much sound the text has."""
        return int(len(text) / self.letters_per_s * SAMPLE_RATE)


class Flight:
    """The piece of a session that is under way, sent at `now`."""

    def __init__(self, text: str, rate: SpeakingRate, now: float) -> None:
        self.text = text
        self.samples = 0
        self._short = int(rate.samples(text) * _SHORT)
        self._sent_at = now
        self._sound_at: float | None = None

    @property
    def begun(self) -> bool:
        """Whether any sound of it came."""
        return self._sound_at is not None

    def arrived(self, samples: int, now: float) -> None:
        """Sound came."""
        self.samples += samples
        self._sound_at = now

    def over_at(self, *, next_waits: bool) -> float:
        """Return when it is over unless more sound comes; never before its first sound."""
        if self._sound_at is None:
            return math.inf
        if not next_waits:
            return self._sound_at + LONG_QUIET_S
        return self._sound_at + (SHORT_QUIET_S if self.samples < self._short else QUIET_S)

    def given_up_at(self, limits: VoiceLimits) -> float:
        """Return when its sound is too late."""
        next_by = self._sent_at + limits.first_s if self._sound_at is None else self._sound_at + limits.between_s
        return min(next_by, self._sent_at + limits.whole_s)
