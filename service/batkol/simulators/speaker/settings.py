"""Settings of the voice double while nothing is wrong, and the published times of voices on the market."""

from __future__ import annotations

import math
import random
from typing import Annotated, Final

import msgspec
from msgspec import Meta

PROFILES: Final = {
    "gradium": 0.155,
    "cartesia-sonic-3": 0.188,
    "elevenlabs-turbo-v2.5": 0.264,
    "elevenlabs-flash-v2.5": 0.288,
    "deepgram-aura-2": 0.313,
    "elevenlabs-multilingual-v2": 1.232,
    "openai-tts-1-hd": 2.295,
}
"""Median seconds to the first sound (Coval, 4 May 2026, as quoted by gradium.ai and syftly)."""

_SPREAD: Final = 0.39
"""Sigma of the lognormal: Cartesia's published quartiles are 100 ms apart at 188 ms. The others publish none."""


class SpeakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The double's limits and pace."""

    api_key: str = ""
    """The key that requests must have; empty: any key, but one must come."""
    models: tuple[str, ...] = ("gpt-4o-mini-tts", "tts-1", "tts-1-hd")
    voices: tuple[str, ...] = (
        *("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse"),
    )
    longest_input: int = 4096
    """Characters, OpenAI's limit."""
    first_byte_s: float = 0.15
    """From a whole request to the first byte of its sound; a guess. `profile` has published ones."""
    profile: str = ""
    """One of `PROFILES`, in the place of `first_byte_s`: the delay is then drawn around the published median."""
    pace: float = 4.0
    """Times real time at which sound is sent; 0: all at once. A guess."""
    chunk_ms: Annotated[int, Meta(ge=1)] = 40
    """Sound in one chunk of the body."""
    jitter_s: float = 0.03
    """The most by which a chunk comes late, drawn for each; with `pace=0` none does."""
    lead_ms: tuple[int, int] = (20, 120)
    """Least and most silence before the first word, drawn for each text."""
    seed: int = 0
    """Seed of the drawn delays."""

    def __post_init__(self) -> None:
        if self.profile and self.profile not in PROFILES:
            raise ValueError(f"there is no profile {self.profile!r}; there are {', '.join(PROFILES)}")

    def lead(self, text: str) -> int:
        """Return the silence before a text's first word, in milliseconds: the same each time."""
        return random.Random(f"{self.seed}/{text}").randint(*self.lead_ms)

    def first_byte(self, request: int) -> float:
        """Return the delay of the request with that number, in seconds."""
        if not self.profile:
            return self.first_byte_s
        draw = random.Random(f"{self.seed}/{request}")
        return draw.lognormvariate(math.log(PROFILES[self.profile]), _SPREAD)
