"""The self-probe: the pod asks its own public listener over the network, as callers do.

The kubelet asks the internal listener, which answers as long as the process can. A public listener that accepts
nothing (no descriptor is left, its limit is full of calls, its socket is gone) shows only to a client of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

PATIENCE_S: Final = 2.0
"""Seconds for one answer. The kubelet waits for three seconds."""

FRESH_S: Final = 1.0
"""Seconds that an answer is valid: more frequent questions open no more connections."""

_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 -- what is bound so is asked here
_LONGEST_LINE: Final = 256
_REQUEST: Final = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def bound_to(host: str) -> str:
    """Return the address by which this process reaches a listener of its own that is bound to `host`."""
    return _ANYWHERE.get(host, host)


class SelfProbe:
    """Asks the public listener. `port` is called when it is known to which port the listener is bound; 0: not yet."""

    def __init__(self, host: str, port: Callable[[], int], *, patience_s: float = PATIENCE_S) -> None:
        self._host = bound_to(host)
        self._port = port
        self._patience_s = patience_s
        self._one_at_a_time = asyncio.Lock()
        self._holds_until = float("-inf")
        self._found: str | None = None

    async def why_not(self) -> str | None:
        """Return why it takes no request, or None. Cancelling it loses nothing."""
        async with self._one_at_a_time:
            loop = asyncio.get_running_loop()
            if loop.time() >= self._holds_until:
                self._found = await self._probe()
                self._holds_until = loop.time() + FRESH_S
            return self._found

    async def _probe(self) -> str | None:
        try:
            async with asyncio.timeout(self._patience_s):
                line = await _first_line(self._host, self._port())
        except TimeoutError:
            return f"the public listener does not answer within {self._patience_s:g} s"
        except ValueError:  # a line longer than the limit of asyncio's reader
            return "the public listener does not answer as Batkol does; another program uses its port"
        except OSError as error:
            return f"the public listener cannot be reached: {_named(error)}"
        if line.split(b" ")[1:2] == [b"%d" % HTTPStatus.OK]:
            return None
        return "the public listener accepts no more connections"


async def _first_line(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, limit=_LONGEST_LINE)
    try:
        writer.write(_REQUEST)
        return await reader.readline()
    finally:
        writer.transport.abort()  # nothing is owed to it


def _named(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else type(error).__name__
