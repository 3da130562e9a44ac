"""Errors of the client: each says whose fault it is, and what to do.

`ClientError`
├── `ServiceUnreachableError`  the service or the network: no connection, or one that broke. Another attempt may succeed
│   └── `FeedEndedError`       the service ended the event feed in good order: its pod leaves
├── `UncertainError`           the network: a command was sent, and no answer came. It may have been carried out
├── `UnexpectedAnswerError`    the other party is not Batkol, or is of another version
└── `RequestRefusedError`      the service answered with an error; `status` is HTTP's
    ├── `TokenRefusedError`    401: the token is missing or wrong
    ├── `ForbiddenError`       403: the token lacks a right, or the service does not know the name that it was asked by
    ├── `CallOverError`        404 or 409 of a call: it is not live, or it is closing
    ├── `BusyError`            429, 500, 502, 503, 504: not now; `retry_after_s` is what the service asks for
    └── `NotAvailableError`    501: this service cannot do it

No text has a word of a call, a number or a token in it, except for what the service itself says of a refusal.
"""

from __future__ import annotations

from batkol.errors import BatkolError


class ClientError(BatkolError):
    """Base of all errors of `batkol.client`. Raised itself for a call of the client that cannot work."""


class ServiceUnreachableError(ClientError):
    """The service cannot be reached, or its answer broke off."""


class FeedEndedError(ServiceUnreachableError):
    """The service ended the event feed in good order, and not because the call is over."""


class UncertainError(ClientError):
    """A command may have been carried out, or not."""


class UnexpectedAnswerError(ClientError):
    """An answer is not what Batkol answers."""


class RequestRefusedError(ClientError):
    """The service refused a request."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class TokenRefusedError(RequestRefusedError):
    """The token is missing or wrong."""


class ForbiddenError(RequestRefusedError):
    """The token is known and may not do this."""


class CallOverError(RequestRefusedError):
    """The call is not live any more, or is closing."""


class BusyError(RequestRefusedError):
    """The service, or a proxy before it, cannot answer now."""

    def __init__(self, message: str, *, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after_s = retry_after_s


class NotAvailableError(RequestRefusedError):
    """This service has no such function."""
