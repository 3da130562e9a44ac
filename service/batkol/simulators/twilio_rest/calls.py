"""The calls that the double knows: their states, and their resource as Twilio writes it.

https://www.twilio.com/docs/voice/api/call-resource. Written from that page, apart from the service's own classes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

RestStatus = Literal["queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"]
OPEN: Final = frozenset({"queued", "ringing", "in-progress"})
"""States of a call that is not over."""

_SUBRESOURCES: Final = ("notifications", "recordings", "streams", "payments", "events", "siprec", "transcriptions")


class RestCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One call of the account."""

    sid: str
    from_: str = msgspec.field(default="+972500000001", name="from")
    to: str = "+972300000001"
    direction: Literal["inbound", "outbound-api", "outbound-dial"] = "inbound"
    status: RestStatus = "in-progress"
    account_sid: str = ""
    """Empty: the double's account."""
    twiml: str = ""
    """TwiML of the newest update."""
    url: str = ""
    """URL of the newest update."""

    @property
    def over(self) -> bool:
        return self.status not in OPEN


class RestCalls:
    """All calls, by SID. `wall` is the time in unix seconds."""

    def __init__(self, account_sid: str, wall: Callable[[], float]) -> None:
        self._account_sid = account_sid
        self._wall = wall
        self._calls: dict[str, RestCall] = {}
        self._times: dict[str, dict[str, float]] = {}  # by SID: when each status began

    def put(self, call: RestCall) -> None:
        """Add a call, or give one with the same SID another status and ends."""
        if not call.account_sid:
            call = msgspec.structs.replace(call, account_sid=self._account_sid)
        self._calls[call.sid] = call
        self._times.setdefault(call.sid, {}).setdefault(call.status, self._wall())

    def get(self, sid: str) -> RestCall | None:
        """Return the call; None for a SID that the account does not have."""
        call = self._calls.get(sid)
        return call if call is not None and call.account_sid == self._account_sid else None

    def all(self) -> list[RestCall]:
        """Return all calls, in the order in which they came."""
        return list(self._calls.values())

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()
        self._times.clear()

    def resource(self, call: RestCall) -> dict[str, Any]:
        """Return the call as Twilio's JSON has it. Durations are texts, times are RFC 2822."""
        times = self._times[call.sid]
        begun, ended = times.get("in-progress"), max(times.values()) if call.over else None
        uri = f"/2010-04-01/Accounts/{call.account_sid}/Calls/{call.sid}"
        return {
            "sid": call.sid,
            "date_created": _rfc2822(min(times.values())),
            "date_updated": _rfc2822(max(times.values())),
            "parent_call_sid": None,
            "account_sid": call.account_sid,
            "to": call.to,
            "to_formatted": call.to,
            "from": call.from_,
            "from_formatted": call.from_,
            "phone_number_sid": "PN" + "0" * 32,
            "status": call.status,
            "start_time": _rfc2822(begun),
            "end_time": _rfc2822(ended),
            "duration": None if begun is None or ended is None else str(round(ended - begun)),
            "price": None,
            "price_unit": "USD",
            "direction": call.direction,
            "answered_by": None,
            "api_version": "2010-04-01",
            "forwarded_from": None,
            "group_sid": None,
            "caller_name": "",
            "queue_time": "0",
            "trunk_sid": None,
            "annotation": None,
            "uri": f"{uri}.json",
            "subresource_uris": {name: f"{uri}/{name.capitalize()}.json" for name in _SUBRESOURCES},
        }


def _rfc2822(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
