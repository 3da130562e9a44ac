"""Faults of a voice server as data: the requests they hit, and the kind.

VoiceFault(kind=VoiceFaultKind.REFUSE, status=429)               every request is refused
VoiceFault(kind=VoiceFaultKind.STALL, at_s=0.5, requests=(2,))   the second request's sound stops after half a second
VoiceFault(kind=VoiceFaultKind.CUT, at_s=0.5, times=1)           the connection of the next request breaks
"""

from __future__ import annotations

from enum import StrEnum

from batkol.simulators.double_faults import DoubleFault, ErrorStatus, Number, Seconds, Times


class VoiceFaultKind(StrEnum):
    """Kinds of faults."""

    REFUSE = "refuse"  # an error with `status` and `code`
    DROP = "drop"  # the connection is closed without an answer
    HANG = "hang"  # nothing is answered, and the connection stays open
    SLOW = "slow"  # the first byte comes after `latency_s`
    STALL = "stall"  # after `at_s` of sound nothing comes any more, and the connection stays open
    CUT = "cut"  # after `at_s` of sound the connection breaks
    EMPTY = "empty"  # 200, and no sound
    HEADER = "header"  # a WAV file in spite of `response_format=pcm`


class VoiceFault(DoubleFault, frozen=True, kw_only=True):
    """One thing that goes wrong, and for which requests. Without `requests` it befalls all."""

    kind: VoiceFaultKind
    requests: tuple[Number, ...] = ()
    """The double's first, second, … request since its start or last reset."""
    times: Times | None = None
    """Number of requests that it hits before it is over."""
    lasts_s: Seconds | None = None
    """Seconds after its injection in which it hits requests."""
    at_s: Seconds = 0.0
    """For STALL and CUT: seconds of sound that come before it."""
    latency_s: Seconds = 0.0
    """For SLOW."""
    status: ErrorStatus = 500
    """For REFUSE."""
    code: str | None = None
    """For REFUSE: the error's code; without one, the usual code of the status."""

    def befalls(self, request: int) -> bool:
        """Whether it is for this request."""
        return not self.requests or request in self.requests
