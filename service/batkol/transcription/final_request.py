"""The moment at which a recognizer that can finalize is asked for finals: in a pause, and in no word."""

from __future__ import annotations

from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.audio.quiet import is_loud, quiet_spot
from batkol.audio.ring import Ring

FINALIZE: Final = SAMPLE_RATE // 5
"""Samples of silence behind the last one of speech after which finals are asked for: 200 ms, which vendors' published
latencies count before that request. However late the detector reports the pause."""

ASK_AGAIN_S: Final = 0.032
"""Seconds until a request that would cut a word in two is considered again: a window of the detector."""

_LOUD_FOR_S: Final = 0.3
"""Seconds after which sound behind an utterance is taken for noise: before an interim is promoted in its place."""

_CERTAIN: Final = FINALIZE - 64 * SAMPLES_PER_MS
"""Samples before the request in which the quietest place is looked for; the 64 ms before may have a soft end."""


class FinalRequest:
    """One per call: the next request for finals, if there is one. Times are seconds of the loop's clock."""

    __slots__ = ("_noise_at", "_ring", "at")

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self.at: float | None = None
        """Time at which `is_due` must be asked next."""
        self._noise_at = 0.0

    def schedule(self, since: int | None, now: float) -> None:
        """Plan the request for a caller who is quiet since that sample; None: plan none."""
        if since is None:
            self.at = None
        else:
            self.at = now + max(0, since + FINALIZE - self._ring.end) / SAMPLE_RATE
            self._noise_at = self.at + _LOUD_FOR_S

    def is_due(self, now: float, *, speaking: bool) -> bool:
        """Whether to ask now, which is once. While the newest sound is loud, it is asked again a little later.

        The detector may not have noticed yet that the caller goes on, in the utterance or behind its end.
        """
        if self.at is None or now < self.at:
            return False
        if (speaking or now < self._noise_at) and is_loud(self._ring, self._ring.end):
            self.at = now + ASK_AGAIN_S
            return False
        self.at = None
        return True

    def cut(self) -> int:
        """Return the sample up to which the recognizer gets the audio first: the next word may have begun just now."""
        return quiet_spot(self._ring, self._ring.end, _CERTAIN)
