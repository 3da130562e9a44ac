"""Times to the first token that were published for models, by the models' names.

kwindla/aiewf-eval, leaderboard-medium-context.md, commit 9526aac (August 2026): conversations of many turns with
tools, the first response of each left out. A lognormal goes through both figures.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Final, NamedTuple

from batkol.errors import ConfigurationError

_Z95: Final = 1.6449  # the standard normal's 95th percentile


class Profile(NamedTuple):
    """A distribution of the time from a request to its first token, in milliseconds."""

    p50_ms: float
    p95_ms: float

    def draw_s(self, draw: random.Random) -> float:
        """Draw a time, in seconds."""
        if self.p95_ms <= self.p50_ms:
            return self.p50_ms / 1000
        sigma = math.log(self.p95_ms / self.p50_ms) / _Z95
        return draw.lognormvariate(math.log(self.p50_ms), sigma) / 1000


PROFILES: Final[Mapping[str, Profile]] = {
    "gpt-oss-120b": Profile(98, 217),  # Groq
    "qwen3.8-27b": Profile(101, 318),  # one RTX 5090, without a network
    "gemma-4-31b-it": Profile(489, 609),  # its longest was 38 s: a stall is for faults
    "gpt-4.1": Profile(536, 1771),
    "gpt-4o": Profile(546, 1369),
    "gemini-2.5-flash": Profile(550, 850),
    "gpt-4o-mini": Profile(553, 1947),
    "claude-haiku-4-5": Profile(637, 1615),
    "gpt-5.1": Profile(739, 1492),
    "gemini-3.6-flash": Profile(798, 984),
    "gpt-4.1-mini": Profile(851, 2135),
    "claude-sonnet-5": Profile(1204, 2465),
}
FIXED: Final = "fixed:"
DEFAULT: Final = Profile(350, 350)
"""The time that the numbers of a reply are stated for."""


def profile(name: str, model: str = "") -> Profile:
    """Return the profile of that name, or `fixed:MS`; without a name the model's own, or else `DEFAULT`.

    Raises `ConfigurationError`.
    """
    if not name:
        return PROFILES.get(model.rpartition("/")[2], DEFAULT)
    if name in PROFILES:
        return PROFILES[name]
    try:
        fixed = float(name.removeprefix(FIXED)) if name.startswith(FIXED) else math.nan
    except ValueError:
        fixed = math.nan
    if not 0 <= fixed < math.inf:
        raise ConfigurationError(f"{name!r} is no profile; use fixed:MILLISECONDS or one of {', '.join(PROFILES)}.")
    return Profile(fixed, fixed)
