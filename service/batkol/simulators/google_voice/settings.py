"""Settings of the double of Google's text to speech while nothing is wrong."""

from __future__ import annotations

import random
from typing import Annotated, Final

import msgspec
from msgspec import Meta

STREAMING: Final = "Chirp3-HD"
"""The family of voices that stream; the others refuse (googleapis/google-cloud-node 6594)."""

_NAMES: Final = ("Achernar", "Aoede", "Charon", "Fenrir", "Kore", "Leda", "Orus", "Puck", "Zephyr")
_LANGUAGES: Final = ("he-IL", "en-US")


class GoogleVoiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Google's limits and the double's pace. Times in seconds."""

    voices: tuple[str, ...] = (
        *(f"{language}-{STREAMING}-{name}" for language in _LANGUAGES for name in _NAMES),
        *("he-IL-Standard-A", "he-IL-Wavenet-A", "en-US-Neural2-A"),
    )
    sessions: int = 100
    """Sessions at once, of a project."""
    sessions_per_minute: int = 200
    """For Chirp 3; 0: any number. Whether a session counts as one request, Google does not say."""
    without_input_s: float = 5.0
    """From one message to the next, until the client has half-closed."""
    longest_bytes: int = 5000
    """Bytes of all texts of a session together."""
    first_sound_s: float = 0.2
    """From a text to its first sound; a user of livekit's saw about this (livekit/agents 2143)."""
    spread_s: float = 0.1
    """The most that is added to it at random."""
    pace: float = 4.0
    """Times real time at which sound is sent; 0: all at once. Google's is not published."""
    chunk_ms: tuple[Annotated[int, Meta(ge=1)], int] = (20, 260)
    """Least and most sound in one message, drawn for each."""
    jitter_s: float = 0.03
    """The most by which a message comes late, drawn for each."""
    lead_ms: tuple[int, int] = (30, 150)
    """Least and most silence before the first sound of a text."""
    header: bool = False
    """Whether the sound begins with a WAV header, as the enum of encodings says of mu-law."""
    streams_per_connection: Annotated[int, Meta(ge=1)] = 100
    seed: int = 0

    def first_sound(self, draw: random.Random) -> float:
        """Return the delay of a text."""
        return self.first_sound_s + draw.uniform(0, self.spread_s)
