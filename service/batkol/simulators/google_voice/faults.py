"""Faults of Google's text to speech as data: the sessions they hit, and the kind.

GoogleVoiceFault(kind=GoogleVoiceFaultKind.REFUSE, code="UNAUTHENTICATED")   every session is refused
GoogleVoiceFault(kind=GoogleVoiceFaultKind.STALL, at_s=0.5, times=1)         the next one is silent after half a second
GoogleVoiceFault(kind=GoogleVoiceFaultKind.ABORT, at_s=0.5, sessions=(2,))   the second one ends there
"""

from __future__ import annotations

from enum import StrEnum

import grpc

from batkol.simulators.double_faults import DoubleFault, Number, Seconds, Times


class GoogleVoiceFaultKind(StrEnum):
    """Kinds of faults."""

    REFUSE = "refuse"  # the session ends with `code` before any sound
    ABORT = "abort"  # after `at_s` of sound the session ends with `code`
    HANG = "hang"  # no sound comes
    STALL = "stall"  # after `at_s` of sound no more comes
    PAUSE = "pause"  # after `at_s` of sound nothing comes for `latency_s`
    SLOW = "slow"  # the first sound of each text comes after `latency_s`
    EMPTY = "empty"  # the session ends without sound
    HEADER = "header"  # each text's sound has a WAV header


class GoogleVoiceFault(DoubleFault, frozen=True, kw_only=True):
    """One thing that goes wrong, and in which sessions. Without `sessions` it befalls all."""

    kind: GoogleVoiceFaultKind
    sessions: tuple[Number, ...] = ()
    """The double's first, second, … session since its start or last reset."""
    times: Times | None = None
    """Number of sessions that it hits before it is over."""
    lasts_s: Seconds | None = None
    """Seconds after its injection in which it hits sessions."""
    at_s: Seconds = 0.0
    """Seconds of the session's sound that come before it."""
    latency_s: Seconds = 0.0
    code: str = "UNAVAILABLE"
    text: str = "A fault of the double."

    def befalls(self, session: int) -> bool:
        """Whether it is for this session."""
        return not self.sessions or session in self.sessions

    def __post_init__(self) -> None:
        """See `DoubleFault`; and the values of its own fields."""
        super().__post_init__()
        if self.code not in grpc.StatusCode.__members__ or self.code == "OK":
            raise ValueError(f"{self.code!r} is no gRPC status to fail with; use one such as UNAVAILABLE")
