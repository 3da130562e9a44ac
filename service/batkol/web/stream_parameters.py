"""The `<Parameter>`s of a media stream: what the voice webhook writes, and `start` brings back.

Those that are not the service's own come from TwiML of the user's, and are shown to the user's agents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from batkol.tracing import propagation
from batkol.twilio.secret import SECRET_PARAMETER
from batkol.twilio.twiml import TOKEN_PARAMETER

AGENT: Final = "agent"
FROM: Final = "from"
TO: Final = "to"
DIRECTION: Final = "direction"
STREAM: Final = "stream"
"""The number of the stream among the call's, from 1."""

GREETED: Final = "greeted"
"""The mark of a caller who has been greeted (`batkol.twilio.handover`); absent for a new call."""

OWN: Final = frozenset(
    {TOKEN_PARAMETER, SECRET_PARAMETER, AGENT, FROM, TO, DIRECTION, STREAM, GREETED, propagation.PARAMETER}
)

_MOST_DIGITS: Final = 9
_LONGEST: Final = 480  # Twilio takes fewer than 500 characters of name and value together


def custom(given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that are not the service's own."""
    return {name: value for name, value in given.items() if name not in OWN}


def stream_number(given: Mapping[str, str]) -> int:
    """Return the number of the stream; 1 for TwiML that gives none, or something that is none."""
    text = given.get(STREAM, "")
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    return max(int(text), 1) if is_number else 1


def fitting(value: str) -> str:
    """Return the value, or "" for one that a `<Parameter>` cannot hold: only a flag loses by that, not the caller."""
    return value if len(value) <= _LONGEST and value.isprintable() else ""
