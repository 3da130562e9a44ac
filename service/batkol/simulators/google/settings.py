"""Settings of the speech double while nothing is wrong: Google's limits and pace. Every number can be scaled down.

Sources: [D] cloud.google.com/speech-to-text/docs (quotas); [I] what users of it saw, in issues of Google's samples; [B]
pipecat's stt-benchmark, English, with the model latest_long: 878 and 1155 ms (p50, p95) from the end of speech to the
final. What has no source says that it is a guess. There are no published times for Hebrew.
"""

from __future__ import annotations

import math
import random
from typing import Annotated

import msgspec
from msgspec import Meta

_Z95 = 1.6449  # the standard normal's 95th percentile


class DoubleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The double's limits and pace. The defaults are Google's, as far as its pages and its users tell."""

    stream_limit_s: float = 305.0
    """A stream lives this long [I]; the error always names 305 seconds, as Google's does."""
    no_audio_s: float = 10.0
    """A stream without audio for this long is ended [I]."""
    max_message_bytes: int = 25_600
    """Audio in one streaming message [D]."""
    streams_per_connection: Annotated[int, Meta(ge=1)] = 100
    """HTTP/2's concurrent streams; the next one waits."""
    connection_age_s: float = 0.0
    """Age at which a connection gets HTTP/2's GOAWAY, in seconds (gRPC varies it by a tenth); 0: never."""
    connection_grace_s: float = 300.0
    """Seconds after the GOAWAY in which streams may end by themselves."""

    pacing_factor: float = 3.0
    """Times real time at which audio may keep coming; 0 turns pacing off. Google publishes no number: a guess."""
    pacing_burst_s: float = 5.0
    """Seconds of audio that may come at once on top of that; a guess."""
    pacing_status: str = "OUT_OF_RANGE"
    """Status for audio that comes too fast: this, or RESOURCE_EXHAUSTED, as was seen after replays."""

    interim_every_ms: int = 100
    """At least this long between two interim responses; a guess."""
    interim_latency_ms: int = 150
    """From a message's arrival to the interim that it caused; a guess."""
    stable_after_ms: int = 600
    """Words older than this come as a stable interim, later ones as a second, unstable one; a guess."""
    untidy: bool = False
    """Whether interims change their mind: newest words replaced, joined, dropped, late, repeated. Finals are right."""
    misheard: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    """Share of the words that are heard wrong: replaced, missing, or followed by one too many, in turn."""
    first_word_takes_pause: bool = False
    """Whether a final's first word starts where the last final's words ended, the stream's first one at its start.

    Inside a final every word starts where the one before it ended, with or without this.
    """
    silence_ms: int = 500
    """Audio without speech that ends an utterance; a guess."""
    final_p50_s: Annotated[float, Meta(gt=0)] = 0.878
    """Median time from the end of speech to its final [B]; a lognormal with `final_p95_s`."""
    final_p95_s: Annotated[float, Meta(gt=0)] = 1.155
    final_latency_s: float | None = None
    """A fixed time instead of the distribution."""
    half_close_latency_s: float = 0.08
    """From the client's half-close to the last final; a guess."""
    unary_latency_s: float = 0.35
    """From a whole request to its response; a guess."""
    unary_limit_s: float = 60.0
    """Audio in one unary request [D]."""
    unary_limit_bytes: int = 10_485_760

    hears_edges: bool = True
    """Whether a piece of a word at a stream's very beginning or end is heard, as a garble."""
    models: tuple[str, ...] = ("", "default", "command_and_search")
    """The models that Hebrew has; any other model is an INVALID_ARGUMENT."""
    call_header: str = "x-batkol-call-sid"
    """Request metadata that names the call, for faults and statistics; optional."""
    seed: int = 0
    """Seed of all that is random: latencies, untidiness."""
    record: bool = False
    """Keep the time of every audio message and response (bounded) for latency benches."""

    def final_latency(self, draw: random.Random) -> float:
        """Draw the seconds from the end of speech to its final."""
        if self.final_latency_s is not None:
            return self.final_latency_s
        return draw.lognormvariate(math.log(self.final_p50_s), math.log(self.final_p95_s / self.final_p50_s) / _Z95)
