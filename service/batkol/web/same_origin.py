"""The check of requests to the internal API by the headers that only a browser can set.

A web page can make the browser of its reader send requests to `127.0.0.1`, and to a name of its own that it has made
resolve to `127.0.0.1` (DNS rebinding); the browser then lets it read the answers. Two checks stop it, on every request
of the listener, errors included:

- Without a token only hosts are answered that no web site can have: IP addresses, `localhost` and what is configured.
  `*.localhost` is not among them, for not every resolver keeps it from the network. With a token every host is
  answered, since a page of another site does not have the token.
- A request that a page of another origin made is refused, with a token or without: by `Origin` (RFC 6454) and by
  `Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/). Links from other sites are refused as well.

Programs (curl, the kubelet, Prometheus, the operator) send neither of these headers. The checks of some load balancers
are HTTP/1.0 without `Host`, which no browser speaks: they are answered.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from batkol.host_names import requested_host
from batkol.web.log_limit import LogLimit

LOCALHOST: Final = "localhost"
_OWN_SITE: Final = frozenset({"same-origin", "none"})  # `none`: the user typed the address, or chose a bookmark
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}

log = structlog.get_logger()


class OriginRefusal(NamedTuple):
    """The answer to the client, and the reason in the log line."""

    status: int
    reason: str
    sentence: str


MALFORMED: Final = OriginRefusal(
    400, "host_malformed", "This request needs exactly one Host header, which is host[:port]."
)
UNKNOWN: Final = OriginRefusal(
    403,
    "host_unknown",
    "Without a token (API_TOKEN) this API answers only to IP addresses, to localhost and to the names in "
    "INTERNAL_HOSTS. The Host header of this request has another name. Use the IP address, or add the "
    "name to INTERNAL_HOSTS.",
)
FOREIGN: Final = OriginRefusal(
    403,
    "cross_site",
    "A page of another web site sent this request, and this API answers no other site. Type the address "
    "into the browser, or use curl. A proxy must pass the Host header on unchanged.",
)


class SameOrigin:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] | None) -> None:
        """`hosts` are names beside `localhost`, in lower case; None answers every host."""
        self._app = app
        self._hosts = None if hosts is None else frozenset({LOCALHOST, *hosts})
        self._lines = LogLimit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse it unread; a WebSocket is refused before it is accepted."""
        refused = self._refused(scope)
        if refused is None:
            await self._app(scope, receive, send)
            return
        self._log(refused, _values(scope, b"host"))
        if scope["type"] == "websocket":
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": 1008})  # the client gets HTTP 403
            return
        await JSONResponse({"detail": refused.sentence}, refused.status)(scope, receive, send)

    def _refused(self, scope: Scope) -> OriginRefusal | None:
        """Return why this request is refused, or None."""
        hosts = _values(scope, b"host")
        if not hosts and scope.get("http_version") == "1.0":
            return FOREIGN if any(_values(scope, each) for each in (b"origin", b"sec-fetch-site")) else None
        if len(hosts) != 1:
            return MALFORMED
        if self._hosts is not None:
            try:
                host = requested_host(hosts[0])
            except ValueError:
                return MALFORMED
            if not isinstance(host, IPv4Address | IPv6Address) and host not in self._hosts:
                return UNKNOWN
        own_origin = all(_is_origin_of(origin, hosts[0]) for origin in _values(scope, b"origin"))
        own_site = all(site in _OWN_SITE for site in _values(scope, b"sec-fetch-site"))
        return None if own_origin and own_site else FOREIGN

    def _log(self, refused: OriginRefusal, hosts: list[str]) -> None:
        """Log one line a second for each reason: any page can cause it."""
        left_out = self._lines.admit(refused.reason, time.monotonic())
        if left_out is not None:
            named = {"host": hosts[0]} if refused is UNKNOWN else {}  # a valid name, so no more than letters and dots
            log.warning(
                "[API] request refused",
                reason=refused.reason,
                **named,
                remedy=refused.sentence,
                lines_left_out=left_out,
            )


def _values(scope: Scope, name: bytes) -> list[str]:
    """Return all headers of this name: a second one must not hide behind the first."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _is_origin_of(origin: str, host: str) -> bool:
    """Whether an `Origin` is the requested host. `null` is no host. A proxy in front may use https."""
    scheme, _, authority = origin.lower().partition("://")
    default = _DEFAULT_PORTS.get(scheme)
    return default is not None and authority.removesuffix(default) == host.lower().removesuffix(default)
