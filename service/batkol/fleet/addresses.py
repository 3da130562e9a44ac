"""The addresses of the fleet's pods, as DNS has them at the moment."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple

from batkol.fleet.endpoint import Endpoint

MOST_PEERS: Final = 200
"""Pods that are asked: fewer than a cursor can hold."""

DNS_S: Final = 1.0
"""Seconds for one look-up."""


FRESH_S: Final = 1.5
"""Seconds for which the result of a look-up is used."""


class Resolved(NamedTuple):
    """The result of a look-up."""

    addresses: tuple[Endpoint, ...]  # IP addresses, sorted
    failed: tuple[Endpoint, ...]  # names that DNS did not resolve, though this pod has no address of theirs


class Addresses:
    """Looks up the configured names, at most once in `fresh_s` seconds and one look-up at a time.

    What a name had last is kept while DNS does not answer: pods do not go because a name server does.
    """

    def __init__(self, names: Sequence[Endpoint], *, fresh_s: float = FRESH_S) -> None:
        self._names = tuple(names)
        self._fresh_s = fresh_s
        self._last: dict[Endpoint, frozenset[Endpoint]] = {}
        self._found = Resolved((), ())
        self._valid_until = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def current(self) -> Resolved:
        """Return what DNS says now, or said a moment ago. Cancelling it loses nothing."""
        async with self._one_at_a_time:
            loop = asyncio.get_running_loop()
            if loop.time() >= self._valid_until:
                answers = await asyncio.gather(*map(_resolve, self._names))
                for name, answer in zip(self._names, answers, strict=True):
                    if answer is not None:
                        self._last[name] = answer
                every = frozenset[Endpoint]().union(*self._last.values())
                failed = tuple(name for name in self._names if name not in self._last)
                self._found = Resolved(tuple(sorted(every)[:MOST_PEERS]), failed)
                self._valid_until = loop.time() + self._fresh_s
            return self._found


async def _resolve(name: Endpoint) -> frozenset[Endpoint] | None:
    """Return all addresses of a name, or None if DNS does not answer."""
    try:
        return frozenset({Endpoint(str(ip_address(name.host)), name.port)})
    except ValueError:
        pass  # a name
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(DNS_S):
            entries = await loop.getaddrinfo(name.host, name.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # a time-out is an OSError as well
        return None
    return frozenset(Endpoint(str(entry[4][0]), name.port) for entry in entries)
