"""Settings of the Soniox double while nothing is wrong: Soniox's limits and pace. Every number can be scaled down.

Sources: [D] soniox.com/docs (limits and quotas, connection keepalive, manual finalization, endpoint detection);
[B] pipecat's stt-benchmark, English: 260 and 305 ms (p50, p95) from the end of speech to the final, of which it waited
200 ms before it asked for it. What has no source says that it is a guess. There are no published figures for Hebrew.
"""

from __future__ import annotations

import math
import random
from typing import Annotated

import msgspec
from msgspec import Meta

_Z95 = 1.6449  # the standard normal's 95th percentile
Fraction = Annotated[float, Meta(ge=0, le=1)]


class SonioxDoubleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The double's limits and pace."""

    api_key: str = ""
    """The key that connections must carry; empty: any key is good."""
    models: tuple[str, ...] = ("stt-rt-v5",)
    """The models; any other one is refused."""

    sessions: int = 10
    """Sessions at once [D]; one more is refused with 429."""
    requests_per_minute: int = 100
    """Start messages in any 60 s [D]; one more is refused with 429."""
    session_limit_s: float = 18_000.0
    """Audio that a session takes, 300 minutes [D]."""
    idle_s: float = 20.0
    """Time without audio or keepalive after which the session is ended [D]; and for the start message, a guess."""
    finalizes: int = 10
    """Finalize messages in any 10 s. More often than every few seconds "may cause disconnections" [D]; a guess."""
    pacing_factor: float = 3.0
    """Times real time at which audio may keep coming; 0 turns pacing off. Soniox publishes no number: a guess."""
    pacing_burst_s: float = 5.0
    """Seconds of audio that may come at once on top of that; a guess."""
    context_characters: int = 10_000
    """Characters of all of the context [D]."""

    interim_every_ms: int = 120
    """At least this long between two messages with non-final tokens; a guess."""
    interim_latency_ms: int = 150
    """From the audio's arrival to the non-final tokens that it caused; a guess."""
    progress_every_ms: int = 480
    """Audio after which a message says how far it was processed, where no token does; a guess."""
    final_after_ms: int = 2_000
    """Age in audio at which a token becomes final by itself, in mid-word perhaps; a guess."""
    endpoint_ms: int = 700
    """Silence after which endpoint detection ends an utterance, if it is asked for; at most what was asked; a guess."""
    finalize_p50_s: Annotated[float, Meta(gt=0)] = 0.060
    """Median time from `finalize` (or the end of the audio) to the last final token [B]; a lognormal with the next."""
    finalize_p95_s: Annotated[float, Meta(gt=0)] = 0.105
    finalize_s: float | None = None
    """A fixed time instead of the distribution."""
    padding_s: float = 0.0
    """Silence that Soniox adds before it finalizes, as much of it as `trailing_silence_ms` does not name.

    None by default: [B] names no silence, so its figures have that in them.
    """

    revised: Fraction = 0.1
    """Share of the messages whose newest word is another one than in the end."""
    untidy: bool = False
    """Whether any word that is not final may be another one, or gone, and times go back or are missing."""
    spaced: Fraction = 0.125
    """Share of the words whose space is a token of its own."""
    punctuates: bool = False
    """Whether an utterance's last word gets a full stop, a token without a length, when it becomes final."""
    hears_edges: bool = True
    """Whether a piece of a word at the beginning or end of what is finalized is heard, as a garble."""
    seed: int = 0
    """Seed of all that is random."""
    record: bool = False
    """Whether the time of each message with audio is kept, for measurements."""

    def finalize_latency(self, draw: random.Random) -> float:
        """Draw the seconds from a finalize to its last token."""
        if self.finalize_s is not None:
            return self.finalize_s
        return draw.lognormvariate(
            math.log(self.finalize_p50_s), math.log(self.finalize_p95_s / self.finalize_p50_s) / _Z95
        )
