"""Updates of a call: `POST …/Calls/SID.json` with `Status`, `Twiml` or `Url`.

https://www.twilio.com/docs/voice/api/call-resource#update-a-call-resource. Where Twilio's pages are silent (parameters
that exclude each other, TwiML that is no XML) the double refuses: what passes here passes there.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree as ET

import msgspec

from batkol.simulators.twilio_rest.calls import RestCall
from batkol.simulators.twilio_rest.refusals import RestRefusal, not_found

FORM: Final = "application/x-www-form-urlencoded"
LONGEST_TWIML: Final = 4000
"""Characters of `Twiml` that Twilio takes (32018)."""

_CALLBACKS: Final = ("FallbackUrl", "FallbackMethod", "StatusCallback", "StatusCallbackMethod")
_KNOWN: Final = frozenset(("Url", "Method", "Status", "Twiml", "TimeLimit", *_CALLBACKS))
_ENDS: Final = frozenset({"completed", "canceled"})


def form_of(content_type: str, body: bytes) -> dict[str, str]:
    """Read the form of an update. Raises `RestRefusal`."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise RestRefusal(20001, f"The parameters of an update are {FORM}")
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if unknown := sorted(fields.keys() - _KNOWN):
        raise RestRefusal(20001, f"Unknown parameters: {', '.join(unknown)}")
    if not fields.keys() & {"Status", "Twiml", "Url"}:
        raise RestRefusal(20001, "An update needs Status, Twiml or Url")
    return fields


def updated(call: RestCall, fields: dict[str, str], *, over: int, path: str) -> RestCall:
    """Return the call after the update. Raises `RestRefusal`; `over` is the code for a call that has ended."""
    _check(fields)
    if call.over:
        raise not_found(path) if over == 20404 else RestRefusal(21220)
    if status := fields.get("Status"):
        if status == "canceled" and call.status == "in-progress":
            raise RestRefusal(21220, "Call is in-progress. Cannot cancel.")
        return msgspec.structs.replace(call, status=status)
    if call.status != "in-progress":
        raise RestRefusal(21220)
    return msgspec.structs.replace(call, twiml=fields.get("Twiml", ""), url=fields.get("Url", ""))


def _check(fields: dict[str, str]) -> None:
    if "Twiml" in fields and "Url" in fields:
        raise RestRefusal(20001, "Twiml and Url are mutually exclusive")
    if fields.get("Status", "completed") not in _ENDS:
        raise RestRefusal(20001, "Status must be completed or canceled")
    if "Twiml" in fields:
        _check_twiml(fields["Twiml"])
    if "Url" in fields:
        parts = urlsplit(fields["Url"])
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RestRefusal(21205)


def _check_twiml(twiml: str) -> None:
    if len(twiml) > LONGEST_TWIML:
        raise RestRefusal(32018)
    try:
        root = ET.fromstring(twiml)  # noqa: S314 - 4,000 characters, and expat itself ends entities that multiply
    except (ET.ParseError, ValueError, LookupError):
        raise RestRefusal(20001, "Twiml is not XML") from None
    if root.tag != "Response":
        raise RestRefusal(20001, "Twiml has no <Response>")
