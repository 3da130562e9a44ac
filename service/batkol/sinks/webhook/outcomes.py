"""Outcomes of events by the HTTP status that a webhook's receiver answers.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, "Delivery success and
failure": "successful if it was responded to with a `2xx` status code"; "`3xx`: Failure. … it's therefore recommended to
update the webhook URL instead"; `410`: "no longer interested in receiving webhooks from this source"; `429`: "a
rate-limit has been met"; "some responses may also include a `Retry-After` header … which should be taken into
consideration when scheduling the next attempt".
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from batkol.sinks.delivery import Delivered, DeliveryOutcome, Later, Refused

LONGEST_WAIT_S: Final = 3600.0
"""A receiver is not waited for longer than this, whatever it asks for: a `Retry-After` of a year is a mistake."""

_SECONDS: Final = re.compile(r"[0-9]{1,18}")
_AGAIN: Final = frozenset({408, 425, 429})
"""Statuses below 500 after which the same request may succeed: a time-out, a request that came too early, a limit."""

_REFUSALS: Final[Mapping[int, str]] = {
    401: "It does not accept the signature; give it and the service the same secret, and check its clock",
    403: "It does not accept the signature; give it and the service the same secret, and check its clock",
    404: "It has no such path; check the URL",
    405: "It takes no POST at this URL; check the URL",
    410: "It takes no events any more; remove the sink, or set its new URL",
    413: "The event is too large for it; raise the limit of its server",
    415: "It does not take application/cloudevents+json; have it read the body as JSON",
}
_REFUSAL: Final = "Its own log says why"


def outcome(who: str, status: int, headers: Mapping[str, str], *, now: float) -> DeliveryOutcome:
    """Return the outcome for an answer; `who` names the receiver, and `now` is in Unix seconds."""
    if 200 <= status < 300:
        return Delivered()
    if 300 <= status < 400:
        return Refused(f"{who} answered HTTP {status}, a redirect, which is never followed. Set the URL that it names")
    if status >= 500 or status in _AGAIN:
        return Later(f"{who} answered HTTP {status}", retry_after_s(headers.get("Retry-After", ""), now))
    return Refused(f"{who} answered HTTP {status}. {_REFUSALS.get(status, _REFUSAL)}")


def why_unreachable(error: BaseException) -> str:
    """Return why a receiver gave no answer, and what to check: a clause with the name of the first cause."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    if failed := next((each for each in causes if isinstance(each, ssl.SSLError)), None):
        return f"failed the TLS handshake ({type(failed).__name__}); check its certificate, and SSL_CERT_FILE"
    first = next((each for each in reversed(causes) if isinstance(each, OSError)), error)
    return f"cannot be reached ({type(first).__name__}); check its URL, and whether it runs"


def retry_after_s(text: str, now: float) -> float | None:
    """Return the wait that a `Retry-After` asks for, in seconds, at most `LONGEST_WAIT_S`; None if it asks for none.

    "Retry-After = HTTP-date / delay-seconds" (RFC 9110, 10.2.3). What is neither, or is over, asks for none.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        wait_s = float(text)
    else:
        try:
            at = parsedate_to_datetime(text)
            wait_s = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return min(wait_s, LONGEST_WAIT_S) if wait_s > 0 else None


def until_text(wait_s: float, now: float) -> str:
    """Return when a wait ends, for a reason."""
    return datetime.fromtimestamp(now + wait_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
