"""Sound whose words are known: what recognizers are compared on."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from batkol.audio.mulaw import SAMPLE_RATE


class SpeechSpan(NamedTuple):
    """The samples [begin, end) in which the detector found speech; it knew of the end at `decided_at`.

    `pauses` are the samples at which it reported a short silence, inside the speech or at its end; `resumed` those at
    which it heard speech again after each of them, but the last.
    """

    begin: int
    end: int
    decided_at: int
    pauses: tuple[int, ...] = ()
    resumed: tuple[int, ...] = ()


class KnownSpeech(msgspec.Struct, frozen=True):
    """A sound with what was said in it. `group` is the call that it is from, or its own name."""

    name: str
    group: str
    said: str
    mulaw: bytes
    spans: tuple[SpeechSpan, ...] = ()

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return len(self.mulaw) / SAMPLE_RATE

    @property
    def end(self) -> int:
        """The end of the last speech, in samples; the end of the sound where the detector found none."""
        return self.spans[-1].end if self.spans else len(self.mulaw)
