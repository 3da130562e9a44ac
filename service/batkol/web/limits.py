"""Limits of one listener: time, bytes and connections that a client may take.

These need no tuning. Twilio's requests are a few kilobytes and come in one piece; a proxy in front sends them on
only when it has them, as a rule. A client that needs more than this is not Twilio.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

MOST_PUBLIC: Final = 2048
"""Connections of the public listener, whatever the descriptors allow: a call has one; a webhook, for milliseconds."""

MOST_INTERNAL: Final = 1024
"""Connections of the internal listener: subscribers, the operator, Prometheus, the kubelet."""

SPARE_INTERNAL: Final = 16
"""Connections above that, on which only the probes are answered: subscribers must not get the pod killed."""

_UNLIMITED: Final = 1 << 20  # what RLIM_INFINITY stands for here


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """Limits of one listener. Times in seconds."""

    connections: int
    spare: int = 0
    one_request: bool = True
    """Whether each answer closes its connection: see docs/adr/0013."""

    head_s: float = 10.0
    """From the connection, or the first byte of the next request, to the end of its headers."""
    head_bytes: int = 32 << 10
    head_fields: int = 100

    body_s: float = 15.0
    """From the end of the headers to the end of the body."""
    body_bytes: int = 64 << 10
    trusted_body_bytes: int = 2 << 20
    """For a client with a token of the internal API: three minutes of sound for a caller, as mu-law."""

    keep_alive_s: float = 75.0
    """An idle connection waits so long for its next request; longer than proxies keep theirs (nginx: 60)."""

    answer_s: float = 30.0
    """Seconds for the rest of an answer after which its connection closes; fewer at the limit of connections."""

    linger_s: float = 1.0
    """Seconds for which the server keeps a finished connection. It reads and drops the rest of a request that was too
    large: a reset would overtake the answer with the reason."""

    surplus_bytes: int = 64 << 10
    """Most bytes that are dropped after a request that has no answer yet."""

    ping_after_s: float = 20.0
    """A WebSocket on which no frame has come for so long is pinged."""

    pong_s: float = 20.0
    """Seconds after the ping, without a frame and without a pong, after which a WebSocket is closed."""


def public(descriptors: int | None = None) -> ListenerLimits:
    """Return the limits of what Twilio reaches: half of the process's descriptors at most."""
    return ListenerLimits(connections=min(MOST_PUBLIC, max(1, _descriptors(descriptors) // 2)))


def internal(descriptors: int | None = None) -> ListenerLimits:
    """Return those of what the cluster reaches: a quarter. The last one is for Google, the database and the journal."""
    most = min(MOST_INTERNAL, max(1, _descriptors(descriptors) // 4))
    return ListenerLimits(connections=most, spare=SPARE_INTERNAL, one_request=False)


def _descriptors(given: int | None) -> int:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if given is None else given
    return _UNLIMITED if soft < 0 or soft == resource.RLIM_INFINITY else soft
