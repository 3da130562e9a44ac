"""A call's status callback: how the call ended, sent once, for the whole call.

https://www.twilio.com/docs/voice/twiml#request-twilios-call-status-callback-parameters. Twilio does not send it
again, and may send it to any pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz
from typing import Final

import msgspec

FINAL: Final = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""Values of `CallStatus` after which nothing more comes of a call."""

_LONGEST_TIME: Final = 64  # characters of a date that is looked at
_YEAR_9999: Final = 253_402_300_799  # Unix seconds: no database keeps more
_LONGEST_CALL_S: Final = 9  # digits


class FinalStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a call's last callback."""

    call_sid: str
    account_sid: str
    status: str  # one of `FINAL`
    ended_at: float | None  # Unix seconds; None where Twilio gives no time that can be read
    duration_s: int | None  # of the whole call; None if the call was not answered, or Twilio gives none


def final_status(form: Mapping[str, str]) -> FinalStatus | None:
    """Read a callback; None for one that does not end a call, or names none."""
    call_sid, status = form.get("CallSid", ""), form.get("CallStatus", "")
    if not call_sid or status not in FINAL:
        return None
    return FinalStatus(
        call_sid=call_sid,
        account_sid=form.get("AccountSid", ""),
        status=status,
        ended_at=_time(form.get("Timestamp", "")),
        duration_s=_seconds(form.get("CallDuration", "")),
    )


def _time(written: str) -> float | None:
    """Read `Sat, 31 Jan 2026 12:01:30 +0000` (RFC 2822)."""
    parts = parsedate_tz(written[:_LONGEST_TIME])
    if parts is None:
        return None
    try:
        found = float(mktime_tz(parts))
    except (ValueError, OverflowError):  # a thirteenth month, a year of six digits
        return None
    return found if 0 < found < _YEAR_9999 else None


def _seconds(written: str) -> int | None:
    is_number = written.isascii() and written.isdecimal() and len(written) <= _LONGEST_CALL_S
    return int(written) if is_number else None
