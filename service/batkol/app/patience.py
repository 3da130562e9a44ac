"""Limits of the service's waits for Google, Twilio and a caller that no setting has."""

from __future__ import annotations

from dataclasses import dataclass, field

from batkol.calls.drain import PAUSE_S
from batkol.calls.telephone import LinePatience
from batkol.fleet import others
from batkol.fleet.feed import TIMINGS, FleetTimings
from batkol.recognizers.google.recognizer import DEADLINE
from batkol.recognizers.streaming.options import CLOSE_TIMEOUT, STALL
from batkol.sinks.limits import LIMITS, DrainerLimits
from batkol.transcription.vendor_check import ASK_EVERY
from batkol.twilio_api.client import WITHIN_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds. The defaults are for production; tests of a limit wait for a shorter one."""

    close: float = CLOSE_TIMEOUT
    """The wait for the last final after a half-close."""
    stall: float = STALL
    """Speech without an answer that makes a stream suspect."""
    single: float = DEADLINE
    """The wait for the answer to a single request."""
    ask: float = ASK_EVERY
    """The wait between two questions to Google that no call asks, while Google does not accept them."""
    pause: float = PAUSE_S
    """The wait for a caller who is speaking when a drain's time is up."""
    twilio_api: float = WITHIN_S
    """The wait for Twilio's word about a call."""
    conversations: float = others.WITHIN_S
    """The wait for the other pods' word about a call that comes here, for all of them together."""
    ends: float = others.WITHIN_S
    """The wait for the other pods to take the news that a call has ended here."""
    fleet: FleetTimings = TIMINGS
    """The waits for other pods where clients ask for all of them, and for their word whether a call was ended."""
    line: LinePatience = field(default_factory=LinePatience)
    """The waits at the end of a call."""
    sinks: DrainerLimits = LIMITS
    """The waits of those that hand events on to sinks."""


PRODUCTION = Patience()
