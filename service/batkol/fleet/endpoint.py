"""Endpoints: a host and a port at which a pod, or several of them, can be asked."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import NamedTuple


class Endpoint(NamedTuple):
    """A host name or an IP address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def endpoint(text: str) -> Endpoint:
    """Read `host:port`; an IPv6 address stands in brackets. Raises `ValueError`, a clause that quotes nothing."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("must be host:port, or several of these, separated by commas")
    if host.startswith("[") and host.endswith("]"):
        return Endpoint(str(IPv6Address(host[1:-1])), int(port))
    if not all(character.isascii() and (character.isalnum() or character in "-._") for character in host):
        raise ValueError("must be host:port, without scheme, path, user and password")
    return Endpoint(host.lower(), int(port))
