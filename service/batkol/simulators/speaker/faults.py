"""Faults of a voice server as data: the requests they hit, and the kind.

VoiceFault(kind=VoiceFaultKind.REFUSE, status=429)               every request is refused
VoiceFault(kind=VoiceFaultKind.STALL, at_s=0.5, requests=(2,))   the second request's sound stops after half a second
VoiceFault(kind=VoiceFaultKind.CUT, at_s=0.5, times=1)           the connection of the next request breaks
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


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


class VoiceFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong, and for which requests. Without `requests` it befalls all."""

    kind: VoiceFaultKind
    requests: tuple[int, ...] = ()
    """The double's first, second, … request since its start or last reset."""
    times: int | None = None
    """Number of requests that it hits before it is over."""
    lasts_s: float | None = None
    """Seconds after its injection in which it hits requests."""
    at_s: float = 0.0
    """For STALL and CUT: seconds of sound that come before it."""
    latency_s: float = 0.0
    """For SLOW."""
    status: int = 500
    """For REFUSE."""
    code: str | None = None
    """For REFUSE: the error's code; without one, the usual code of the status."""


class _Rule(msgspec.Struct):
    fault: VoiceFault
    until: float | None
    left: int | None


class VoiceFaultBook:
    """The faults in force. `now` is any monotonic clock."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []

    def inject(self, fault: VoiceFault, now: float) -> None:
        """Put a fault in force from now on."""
        self._rules.append(_Rule(fault, None if fault.lasts_s is None else now + fault.lasts_s, fault.times))

    def clear(self) -> None:
        """Nothing goes wrong any more for requests to come."""
        self._rules.clear()

    def faults(self, now: float) -> list[VoiceFault]:
        """Return the faults still in force."""
        self._rules = [rule for rule in self._rules if (rule.until is None or now < rule.until) and rule.left != 0]
        return [rule.fault for rule in self._rules]

    def befall(self, request: int, now: float) -> tuple[VoiceFault, ...]:
        """Return the faults for a request that comes now, and count them as used."""
        self.faults(now)
        hit = [rule for rule in self._rules if not rule.fault.requests or request in rule.fault.requests]
        for rule in hit:
            rule.left = None if rule.left is None else rule.left - 1
        return tuple(rule.fault for rule in hit)
