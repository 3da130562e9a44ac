"""Outcomes of events by JetStream's answers, and by the lack of one.

https://github.com/nats-io/nats-server/blob/main/server/errors.json has the codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nats import errors
from nats.js.errors import APIError, NoStreamResponseError

from batkol.sinks.delivery import DeliveryOutcome, Later, Refused

_TOO_LARGE: Final = 10054
_OFF: Final = 10076
_REMEDIES: Final[Mapping[int, str]] = {
    10023: "the server or the account has no room; raise the limits of JetStream",
    10028: "the server or the account has no memory left for JetStream; raise its limit",
    10039: "JetStream is off for the account; turn it on, or use another account",
    10047: "the server or the account has no room; raise the limits of JetStream",
    10058: "a stream of that name has other settings; add the subject to it, or delete it",
    10065: "another stream has some of its subjects already; have that one take all of them, and do not create one",
    _OFF: "JetStream is off; start the server with it",
    10077: "the stream stores no more; raise its limits, or let it discard old messages",
    10109: "the stream is sealed; publish to another one",
}


def failed(who: str, subject: str, error: Exception, *, may_not: str, within_s: float) -> DeliveryOutcome:
    """Return the outcome for an event that was not acknowledged.

    `may_not` is what the server last said that the user may not do: of a message that is not permitted it tells the
    connection, and the request has no answer.
    """
    match error:
        case APIError():
            return _not_stored(who, error.err_code)
        case errors.MaxPayloadError():
            return Refused(f"{who} takes no message of this size; raise its max_payload")
        case NoStreamResponseError():
            why = f"has no JetStream stream for {subject}. Create one with that subject, or let the sink create it"
        case TimeoutError() if may_not:
            why = f"does not permit this user to {may_not} what the sink needs; docs/sinks.md has the permissions"
        case TimeoutError():
            why = (
                f"did not acknowledge the event within {within_s:g} s. Check that a JetStream stream has the subject "
                f"{subject}, and that the server is not overloaded"
            )
        case errors.ConnectionClosedError() | errors.OutboundBufferLimitError() | OSError():
            why = "closed the connection before it acknowledged the event"
        case _:
            why = f"sent no acknowledgement that can be read ({type(error).__name__})"
    return Later(f"{who} {why}")


def _not_stored(who: str, code: int | None) -> DeliveryOutcome:
    if code == _TOO_LARGE:
        return Refused(f"{who} refuses the event: it is larger than the stream's max_msg_size; raise that")
    return Later(f"{who} stored nothing: {_REMEDIES.get(code or _OFF, f'error {code} of JetStream')}")
