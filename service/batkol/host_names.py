"""The host in a `Host` header: read strictly, in one way only."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[0-9a-z._-]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL: Final = re.compile(r"[0-9a-z_](?:[0-9a-z_-]{0,61}[0-9a-z_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST: Final = 253


def host_name(text: str) -> str:
    """Return a DNS name in lower case and without the dot of the root. Raises `ValueError` for anything else.

    A name whose last label is a number is none: browsers take it for an IPv4 address
    (https://url.spec.whatwg.org/#ends-in-a-number-checker).
    """
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > _LONGEST or not all(map(_LABEL.fullmatch, labels)) or _NUMBER.fullmatch(labels[-1]):
        raise ValueError("is not a host name")
    return name


def requested_host(header: str) -> str | IPv4Address | IPv6Address:
    """Return which host a `Host` header names. Raises `ValueError` for what is no `host[:port]` (RFC 9110, 7.2).

    An IPv4 address has four decimal numbers and no dot behind them, an IPv6 address has brackets and no zone.
    """
    found = _AUTHORITY.fullmatch(header.lower())
    if found is None or int(found["port"] or 0) > 65535:
        raise ValueError("is not host[:port]")
    host = found["host"]
    if host.startswith("["):
        return IPv6Address(host[1:-1])
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        return IPv4Address(host)
    return host_name(host)
