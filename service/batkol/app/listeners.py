"""The two listeners' connections: their limits, their counts, and what is read of them at a scrape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from batkol.app.service import Service
from batkol.web import limits
from batkol.web.access import Access, trusted
from batkol.web.connections import ClosingReason, Connections

PUBLIC: Final = "public"
INTERNAL: Final = "internal"

log = structlog.get_logger()


class HttpListeners(NamedTuple):
    """Both listeners of the process."""

    public: Connections
    internal: Connections


def http_listeners(service: Service) -> HttpListeners:
    """Make both listeners, and have their connections counted; once per process."""
    settings, metrics = service.settings, service.metrics
    made = HttpListeners(
        Connections(PUBLIC, limits.public(), on_closed=counting(service, PUBLIC)),
        Connections(
            INTERNAL, limits.internal(), trusted=trusted(Access.of(settings)), on_closed=counting(service, INTERNAL)
        ),
    )
    metrics.gauges(
        "batkol.http.connections",
        "Open HTTP and WebSocket connections, by listener.",
        lambda: {each.listener: len(each) for each in made},
        by="listener",
    )
    metrics.gauges(
        "batkol.http.connections_limit",
        "Connections that a listener accepts at once, by listener.",
        lambda: {each.listener: each.limits.connections for each in made},
        by="listener",
    )
    for listener in (PUBLIC, INTERNAL):
        for reason in ClosingReason:
            metrics.http_closed.add(0, {"listener": listener, "reason": str(reason)})
    _warn(settings.max_calls, made.public.limits.connections)
    return made


def counting(service: Service, listener: str) -> Callable[[ClosingReason], None]:
    """Return what counts a closed connection of this listener."""

    def closed(reason: ClosingReason) -> None:
        service.metrics.http_closed.add(1, {"listener": listener, "reason": str(reason)})

    return closed


def _warn(calls: int, connections: int) -> None:
    """Each call has a connection for as long as it lasts, and another one for a moment before that."""
    if calls >= connections:
        log.warning(
            "[CFG] too few file descriptors for MAX_CALLS; callers above the limit get no answer",
            max_calls=calls,
            connections_limit=connections,
            remedy=f"raise the limit of open files (ulimit -n) above {4 * calls}, or lower MAX_CALLS",
        )
