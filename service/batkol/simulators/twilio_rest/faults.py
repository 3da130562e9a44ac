"""Faults of Twilio's REST API, and which requests they hit."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from batkol.simulators.twilio_rest.refusals import MESSAGES


class TwilioFaultKind(StrEnum):
    """The faults."""

    REFUSE = "refuse"  # the request is refused with `code`, in Twilio's shape
    SLOW = "slow"  # the answer comes after `latency_s`
    HANG = "hang"  # nothing is answered, and the connection stays open
    DROP = "drop"  # the connection is cut without an answer
    NONSENSE = "nonsense"  # 200 and HTML, as a captive proxy answers
    REDIRECT = "redirect"  # 307 to the same path of another host
    RINGING = "ringing"  # a call in progress is shown as ringing: the resource follows the call
    OTHER = "other"  # the resource of another call


class TwilioFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong. Without `contains` it hits every request."""

    kind: TwilioFaultKind
    code: int = 20500
    """For REFUSE: Twilio's code, which has its HTTP status."""
    latency_s: float = 0.0
    """For SLOW."""
    times: int | None = None
    """Number of requests that the fault hits before it is over."""
    contains: str = ""
    """The text that the request's path must contain."""

    def __post_init__(self) -> None:
        if self.code not in MESSAGES:
            raise ValueError(f"code {self.code} is none to refuse with; use one of {', '.join(map(str, MESSAGES))}")


class TwilioFaultBook:
    """The faults in force, in the order in which they were put there."""

    def __init__(self) -> None:
        self._left: list[tuple[TwilioFault, int | None]] = []

    def inject(self, *faults: TwilioFault) -> None:
        """Put faults in force, for requests that come from now on."""
        self._left += [(fault, fault.times) for fault in faults]

    def clear(self) -> None:
        """Requests to come are spared."""
        self._left.clear()

    def faults(self) -> list[TwilioFault]:
        """Return the faults in force."""
        return [fault for fault, _ in self._left]

    def take(self, path: str) -> TwilioFault | None:
        """Return the fault for a request of this path, and count it as used."""
        for at, (fault, left) in enumerate(self._left):
            if fault.contains in path:
                self._left[at] = fault, None if left is None else left - 1
                self._left = [each for each in self._left if each[1] != 0]
                return fault
        return None
