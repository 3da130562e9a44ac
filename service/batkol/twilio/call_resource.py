"""Twilio's call resource: the answer of its REST API about one call.

https://www.twilio.com/docs/voice/api/call-resource. Only the fields that the service uses are read.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final

import msgspec

_CALL_SID: Final = re.compile("CA[0-9a-f]{32}")
_ACCOUNT_SID: Final = re.compile("AC[0-9a-f]{32}")

ShortText = Annotated[str, msgspec.Meta(max_length=64)]
Party = Annotated[str, msgspec.Meta(max_length=1024)]
"""A number, `sip:name@host` or `client:name`."""


class CallProgress(StrEnum):
    """States of a call."""

    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"


BEFORE_THE_ANSWER: Final = frozenset({CallProgress.QUEUED, CallProgress.RINGING})
"""States that an answered call may be shown in for a moment: the resource follows the call."""


class CallResource(msgspec.Struct, frozen=True):
    """One call as Twilio knows it."""

    sid: ShortText
    account_sid: ShortText
    status: ShortText
    from_: Party | None = msgspec.field(default=None, name="from")
    to: Party | None = None
    direction: ShortText | None = None


def is_call_sid(text: str) -> bool:
    """Return whether the text is a call SID as Twilio makes them, and so may stand in a URL."""
    return _CALL_SID.fullmatch(text) is not None


def is_account_sid(text: str) -> bool:
    """Return whether the text is an account SID as Twilio makes them."""
    return _ACCOUNT_SID.fullmatch(text) is not None
