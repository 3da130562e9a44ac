"""The check of requests to the internal API by the headers that only a browser can set.

A web page can make the browser of its reader send requests to `127.0.0.1`, and to a name of its own that it has made
resolve to `127.0.0.1` (DNS rebinding); the browser then lets it read the answers. Two checks stop it, on every request
of the listener, errors included:

- Only hosts are answered that no web site can have: IP addresses, `localhost` and what is configured. `*.localhost` is
  not among them, for not every resolver keeps it from the network. Other hosts are answered where a page of another
  site cannot be the client: to a request with a token, which such a page does not have, and, where the service asks for
  tokens, to programs, which may read what needs none (`/metrics`) by the name of a Service. A request is a program's if
  it has none of the headers that every browser sends and no page can leave out (Fetch, "HTTP-network fetch").
- A request that a page of another origin made is refused, with a token or without: by `Origin` (RFC 6454) and by
  `Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/). Links from other sites are refused as well, but for one to
  the console's page in a tab of its own: that page is the same for everybody, and its policy keeps other sites out.

Programs (curl, the kubelet, Prometheus, the operator) send neither of these headers. The checks of some load balancers
are HTTP/1.0 without `Host`, which no browser speaks: they are answered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from batkol.host_names import requested_host
from batkol.web.connections import Headers
from batkol.web.log_limit import LogLimit

LOCALHOST: Final = "localhost"
_OWN_SITE: Final = frozenset({"same-origin", "none"})  # `none`: the user typed the address, or chose a bookmark
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_OF_BROWSERS: Final = frozenset({b"accept-language", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"cookie"})
_FOR_BROWSERS: Final = ("/console", "/v1/phone")
"""Paths that browsers alone ask for."""
_LINKED: Final = frozenset({"/console", "/console/"})
"""Paths that a link on another site may lead to."""

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
    "To a browser, and to everybody without a token, this API answers only at IP addresses, at localhost and at the "
    "names in INTERNAL_HOSTS. The Host header of this request has another name. Use the IP address, send a token, or "
    "add the name to INTERNAL_HOSTS.",
)
FOREIGN: Final = OriginRefusal(
    403,
    "cross_site",
    "A page of another web site sent this request, and this API answers no other site. Type the address "
    "into the browser, or use curl. A proxy must pass the Host header on unchanged.",
)


class SameOrigin:
    """An ASGI application around another one."""

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], has_token: Callable[[Headers], bool] | None = None
    ) -> None:
        """`hosts` are names beside `localhost`, in lower case.

        `has_token` tells whether a request has a valid token; None where the service asks for none.
        """
        self._app = app
        self._hosts = frozenset({LOCALHOST, *hosts})
        self._has_token = has_token
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
        if (fault := self._fault_of(hosts[0])) is not None and self._may_be_a_page(scope):
            return fault
        own_origin = all(_is_origin_of(origin, hosts[0]) for origin in _values(scope, b"origin"))
        own_site = all(site in _OWN_SITE for site in _values(scope, b"sec-fetch-site"))
        return None if own_origin and (own_site or _is_link(scope)) else FOREIGN

    def _fault_of(self, header: str) -> OriginRefusal | None:
        """Return what is wrong with a `Host`, for a client that may be a page."""
        try:
            host = requested_host(header)
        except ValueError:
            return MALFORMED
        return None if isinstance(host, IPv4Address | IPv6Address) or host in self._hosts else UNKNOWN

    def _may_be_a_page(self, scope: Scope) -> bool:
        """Whether a page of another site may have sent this, by a name that it had resolve to this address."""
        if self._has_token is None:
            return True
        if self._has_token(scope["headers"]):
            return False
        return scope["path"].startswith(_FOR_BROWSERS) or any(name in _OF_BROWSERS for name, _ in scope["headers"])

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


def _is_link(scope: Scope) -> bool:
    """Whether a person follows a link to the console's page: it replaces the page that has the link, in no frame."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and scope["path"] in _LINKED
        and _values(scope, b"sec-fetch-mode") == ["navigate"]
        and _values(scope, b"sec-fetch-dest") == ["document"]
    )


def _is_origin_of(origin: str, host: str) -> bool:
    """Whether an `Origin` is the requested host. `null` is no host. A proxy in front may use https."""
    scheme, _, authority = origin.lower().partition("://")
    default = _DEFAULT_PORTS.get(scheme)
    return default is not None and authority.removesuffix(default) == host.lower().removesuffix(default)
