"""The error taxonomy: whose fault it is decides what happens next.

`BatkolError`
├── `ConfigurationError`   the operator's: the service refuses to start, or refuses the change
└── `CallError`            one call's
    ├── `PeerError`        Twilio (or a client that imitates it) broke the protocol: the stream is closed, no retry
    └── `UpstreamError`    a recognizer failed: `retryable` is true if the same request may succeed later

Foreign exceptions are translated once, in the adapter that met them (`raise … from`, or `from None` where the
cause may carry speech). A hang-up is not an error.
"""

from __future__ import annotations

from collections.abc import Callable


class BatkolError(Exception):
    """Base of everything Batkol raises on purpose."""


class ConfigurationError(BatkolError):
    """A setting or a live definition is wrong. The text names it, and the correct form."""


class CallError(BatkolError):
    """Something went wrong with one call; the other calls do not notice."""


class PeerError(CallError):
    """The input cannot be a Twilio media stream. The stream is closed with `close_code` (RFC 6455, 7.4.1)."""

    def __init__(self, message: str, *, close_code: int = 1008) -> None:
        super().__init__(message)
        self.close_code = close_code


class UpstreamError(CallError):
    """A recognizer failed. `reason` is a short stable word for metrics; `retryable` is true if a retry may succeed.

    `remedy` is a sentence that says what to do, empty where the other words say it.
    """

    def __init__(self, message: str, *, reason: str, retryable: bool, remedy: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.retryable = retryable
        self.remedy = remedy


OnOutcome = Callable[[UpstreamError | None], None]
"""Is called with what a request to a server came to: an error, or None where the server answered."""


def unwatched(_: UpstreamError | None) -> None:
    """Take no note: the default `OnOutcome`."""
