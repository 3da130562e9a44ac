"""The limits of one HTTP exchange on a thread: time for all of it, bytes of the answer, and an end from outside.

A time-out of a socket is for one read, so a server that sends a byte now and then is never late. Here each wait gets
the time that is left. A name is looked up on a thread of its own: no time-out ends `getaddrinfo`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, Protocol

_LOOK_S: Final = 0.05
"""Seconds between two looks at whether an exchange that waits for a lookup was ended."""

SocketAddress = tuple[Any, ...]
SocketOptions = Sequence[tuple[Any, ...]]


class LimitError(Exception):
    """An answer breaks a limit, or the exchange was ended. The text is a sentence, and quotes nothing of the answer.

    It is no `OSError`: urllib3 would make a broken connection of it, and its callers would try again.
    """


class HasDescriptor(Protocol):
    """A socket, in TLS or not."""

    def fileno(self) -> int: ...


class Exchange:
    """One request and its answer. One thread makes it; `end` may come from any."""

    def __init__(self, within_s: float, largest: int) -> None:
        """`within_s`: seconds for everything. `largest`: bytes of the answer, its head included."""
        self._until = time.monotonic() + within_s
        self._room = largest
        self._largest = largest
        self._lock = threading.Lock()
        self._ended = False
        self._held: socket.socket | None = None

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._until

    @property
    def ended(self) -> bool:
        """Whether `end` was called."""
        return self._ended

    def left_s(self) -> float:
        """Return the seconds that are left. Raises `TimeoutError` if there are none, `LimitError` after `end`."""
        if self._ended:
            raise LimitError("The exchange was ended because its client is closed.")
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for the whole exchange is over")
        return left

    def count(self, taken: int) -> None:
        """Account for bytes of the answer. Raises `LimitError`."""
        self._room -= taken
        if self._room < 0:
            raise LimitError(f"The answer is longer than {self._largest} bytes.")

    def hold(self, connection: HasDescriptor) -> None:
        """Remember the connection that `end` must break. Raises `LimitError` after `end`."""
        twin = socket.socket(fileno=os.dup(connection.fileno()))  # stays valid while TLS takes the socket over
        with self._lock:
            former, self._held = self._held, twin
            if self._ended:
                _break(twin)
        if former is not None:
            former.close()

    def end(self) -> None:
        """Break the connection, from any thread: what waits for it raises at once."""
        with self._lock:
            self._ended = True
            if self._held is not None:
                _break(self._held)

    def release(self) -> None:
        """Let the connection go; it may be used again."""
        with self._lock:
            held, self._held = self._held, None
        if held is not None:
            held.close()


UNDERWAY: Final[ContextVar[Exchange]] = ContextVar("exchange")
"""The exchange that this thread makes."""


def connected(host: str, port: int, options: SocketOptions) -> socket.socket:
    """Return a connection for the exchange under way. Raises `OSError` and `LimitError`."""
    exchange = UNDERWAY.get()
    failure: OSError = OSError("the name has no address")
    found = _addresses(host, port, exchange)
    for place, (family, kind, protocol, _, address) in enumerate(found):
        try:
            made = socket.socket(family, kind, protocol)
        except OSError as error:  # a host without IPv6 has other addresses
            failure = error
            continue
        try:
            for option in options:
                made.setsockopt(*option)
            made.settimeout(exchange.left_s() / (len(found) - place))
            exchange.hold(made)
            made.connect(address)
        except OSError as error:
            made.close()
            failure = error
        except LimitError:
            made.close()
            raise
        else:
            return made
    raise failure


class _Lookup:
    """A lookup of a name, on a daemon thread: it may take minutes, and nothing can end it."""

    def __init__(self, host: str, port: int) -> None:
        self.done = threading.Event()
        self._found: Sequence[SocketAddress] = ()
        self._failure: OSError | UnicodeError | None = None
        self._asked = (host, port)
        threading.Thread(target=self._run, name="otlp lookup", daemon=True).start()

    def _run(self) -> None:
        try:
            self._found = socket.getaddrinfo(*self._asked, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self._failure = error
        self.done.set()

    def found(self) -> Sequence[SocketAddress]:
        """Return the addresses. Raises `OSError`."""
        if self._failure is not None:
            raise OSError("the name cannot be looked up") from self._failure
        return self._found


_lookups: Final[dict[tuple[str, int], _Lookup]] = {}
_lookups_lock: Final = threading.Lock()


def _addresses(host: str, port: int, exchange: Exchange) -> Sequence[SocketAddress]:
    with suppress(OSError, UnicodeError):  # it is a name
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    with _lookups_lock:
        lookup = _lookups.get((host, port))
        if lookup is None:  # one thread for a name, however many exchanges give up
            lookup = _lookups[host, port] = _Lookup(host, port)
    while not lookup.done.wait(min(_LOOK_S, exchange.left_s())):
        pass
    with _lookups_lock:
        if _lookups.get((host, port)) is lookup:
            del _lookups[host, port]
    return lookup.found()


def _break(connection: socket.socket) -> None:
    with suppress(OSError):  # it was not connected yet, or is not any more
        connection.shutdown(socket.SHUT_RDWR)
