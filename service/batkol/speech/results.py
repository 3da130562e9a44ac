"""What a recognizer says, before and after it has a place in the call.

`Portion` is one entry of `StreamingRecognizeResponse.results` (google/cloud/speech/v1p1beta1/cloud_speech.proto):
its times count from the start of one RPC. `Heard` is the same thing placed on the call's own time line.
"""

from __future__ import annotations

import msgspec


class Word(msgspec.Struct, frozen=True):
    """A word of a final, with its place in samples: of the RPC in a `Portion`, of the call in a `Heard`."""

    text: str
    start: int
    end: int


class Portion(msgspec.Struct, frozen=True):
    """A consecutive stretch of one RPC's audio and its text; `end` in samples since the RPC's first one."""

    text: str
    end: int
    final: bool
    stability: float = 0.0
    words: tuple[Word, ...] = ()


class Heard(msgspec.Struct, frozen=True):
    """Text for the call's samples [start, end). Times are the recognizer's, good to about 100 ms."""

    text: str
    start: int
    end: int
    final: bool
    stability: float = 0.0
    words: tuple[Word, ...] = ()
