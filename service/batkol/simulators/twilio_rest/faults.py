"""Faults of Twilio's REST API, and which requests they hit."""

from __future__ import annotations

from enum import StrEnum

from batkol.simulators.double_faults import DoubleFault, Seconds, Times
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


class TwilioFault(DoubleFault, frozen=True, kw_only=True):
    """One thing that goes wrong. Without `contains` it hits every request."""

    kind: TwilioFaultKind
    code: int = 20500
    """For REFUSE: Twilio's code, which has its HTTP status."""
    latency_s: Seconds = 0.0
    """For SLOW."""
    times: Times | None = None
    """Number of requests that the fault hits before it is over."""
    contains: str = ""
    """The text that the request's path must contain."""

    def __post_init__(self) -> None:
        """See `DoubleFault`; and the values of its own fields."""
        super().__post_init__()
        if self.code not in MESSAGES:
            raise ValueError(f"code {self.code} is none to refuse with; use one of {', '.join(map(str, MESSAGES))}")
