"""Remedies for what a tool's webhook refuses, by HTTP status. Nothing of the body is shown: it may quote the caller."""

from __future__ import annotations

from typing import Final

_WHO: Final = (
    "The webhook refuses the request; give it and the service the same token (tokenEnv) and the same secret "
    "(secretEnv), and check the clock of its host."
)
_PATH: Final = "The webhook has no such path; check the tool's url."
_RATE: Final = "The webhook gets more tool calls than it takes; raise its limits."
_REMEDIES: Final = {
    401: _WHO,
    403: _WHO,
    404: _PATH,
    405: "The webhook takes no POST at this path; check the tool's url.",
    410: _PATH,
    413: "The webhook refuses a request of this size; raise the limit of its server.",
    429: _RATE,
}
_REDIRECT: Final = "The webhook sends clients to another URL; set the tool's url to it."
_REQUEST: Final = "The webhook refuses the request; look into the webhook's own log."


def remedy_of(status: int) -> str:
    """Return a sentence that says what to do; "" where only the webhook's own log can say it."""
    if 300 <= status < 400:
        return _REDIRECT
    return _REMEDIES.get(status, _REQUEST if 400 <= status < 500 else "")
