"""The connections of one listener: how many there may be, and which one is closed to make room for the next.

A connection may be closed while it waits for its client: with an answer that is not taken, idle between two requests,
or with a request that is not whole. One whose request is being answered, and one that has become a WebSocket, is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Sized
from enum import Enum, StrEnum, auto
from itertools import chain
from typing import Final, NamedTuple, Protocol

import structlog

from batkol.web.limits import ListenerLimits
from batkol.web.log_limit import LogLimit

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case."""

log = structlog.get_logger()


def _trust_none(_: Headers) -> bool:
    return False


class ClosingReason(StrEnum):
    """Reasons why a connection was closed before its request was answered."""

    HEAD_LATE = "head_late"
    HEAD_LONG = "head_long"
    BODY_LATE = "body_late"
    BODY_LONG = "body_long"
    MALFORMED = "malformed"
    CROWDED = "crowded"
    FULL = "full"
    UNREAD = "unread"
    LEFT = "left"


class HttpRefusal(NamedTuple):
    """The answer to the client."""

    status: int
    sentence: str


REFUSALS: Final = {
    ClosingReason.HEAD_LATE: HttpRefusal(408, "The headers of this request did not arrive in time."),
    ClosingReason.HEAD_LONG: HttpRefusal(
        431, "The request line and the headers are too long, or there are too many headers."
    ),
    ClosingReason.BODY_LATE: HttpRefusal(408, "The body of this request did not arrive in time."),
    ClosingReason.BODY_LONG: HttpRefusal(413, "The body of this request is larger than the limit of this service."),
    ClosingReason.MALFORMED: HttpRefusal(400, "This is not a valid HTTP/1.1 request."),
    ClosingReason.CROWDED: HttpRefusal(
        503, "There are too many connections, and this connection was the oldest without a request."
    ),
    ClosingReason.FULL: HttpRefusal(503, "There are too many connections."),
}
"""`UNREAD` and `LEFT` have no client to answer."""


class Admission(Enum):
    """Limits of a new connection."""

    OWN = auto()
    SPARE = auto()  # above the limit: on it only the probes are answered
    NONE = auto()


class Connection(Protocol):
    """A connection that can be asked to make room."""

    def make_room(self) -> None:
        """Close, and give the descriptor back within this turn of the event loop."""


class Connections:
    """One per listener. Everything here is done in a few dictionary operations, whatever the number."""

    def __init__(
        self,
        listener: str,
        limits: ListenerLimits,
        *,
        trusted: Callable[[Headers], bool] = _trust_none,
        on_closed: Callable[[ClosingReason], None] = lambda _: None,
    ) -> None:
        """`trusted` returns whether a request may have the larger body; `on_closed` counts."""
        self.listener = listener
        self.limits = limits
        self._trusted = trusted
        self._on_closed = on_closed
        self._lines = LogLimit()
        self.open: Sized = ()
        """All open connections, WebSockets included; the server's own set, from its start on."""
        self._unread: dict[Connection, None] = {}  # each of these in the order of its becoming so
        self._idle: dict[Connection, None] = {}
        self._incomplete: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self.open)

    @property
    def crowded(self) -> bool:
        """Whether more are open than the limit."""
        return len(self.open) > self.limits.connections

    def body_bytes(self, headers: Headers) -> int:
        """Return how long the body of a request with these headers may be."""
        return self.limits.trusted_body_bytes if self._trusted(headers) else self.limits.body_bytes

    def admit(self, newcomer: Connection) -> Admission:
        """Take a connection that has just been accepted, and close another for it if need be."""
        oldest = next(self._closable(), None) if self.crowded else None
        if oldest is not None:
            self.discard(oldest)
            oldest.make_room()
        self._incomplete[newcomer] = None
        if oldest is not None or not self.crowded:  # one that makes room counts as open until its end is reported
            return Admission.OWN
        return Admission.SPARE if len(self.open) <= self.limits.connections + self.limits.spare else Admission.NONE

    def waiting(self, connection: Connection) -> None:
        """A request has begun on it, and is not whole."""
        self.discard(connection)
        self._incomplete[connection] = None

    def idle(self, connection: Connection) -> None:
        """Note that the connection's request was answered, and that it waits for the next one."""
        self.discard(connection)
        self._idle[connection] = None

    def unread(self, connection: Connection) -> None:
        """Note that the connection is over, except for bytes that its client has not read yet."""
        self.discard(connection)
        self._unread[connection] = None

    def discard(self, connection: Connection) -> None:
        """Forget a connection that is closed, or whose request is complete."""
        for some in (self._unread, self._idle, self._incomplete):
            some.pop(connection, None)

    def closed(self, reason: ClosingReason) -> None:
        """Count a connection that was closed before its request was answered, and log one line a second at most."""
        self._on_closed(reason)
        if reason is ClosingReason.LEFT:  # every load balancer's check does
            return
        left_out = self._lines.admit(reason, time.monotonic())
        if left_out is not None:
            refusal = REFUSALS.get(reason)
            log.warning(
                "[HTTP] connection closed before its request was answered",
                listener=self.listener,
                reason=str(reason),
                status=refusal.status if refusal else None,
                lines_left_out=left_out,
            )

    def _closable(self) -> Iterator[Connection]:
        return chain(self._unread, self._idle, self._incomplete)
