"""The intake of a call's socket: it wakes the event loop for a batch of sound, not for each message.

Twilio sends fifty messages a second and call, each at a moment of its own. Nothing comes of most of them before a batch
is whole, and waking the loop costs more than reading one. So the kernel gets the number of bytes to wait for
(SO_RCVLOWAT, socket(7)): the message that makes the batch whole wakes the loop at once, with those before it. Who needs
to know earlier, the voice detector, pulls what is there. An end or an error wakes the loop whatever was asked for.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

MAX_BYTES: Final = 16_384
"""Bytes that a socket may hold back, whatever its messages look like; a batch of Twilio's is about 2,500."""

_AT_ONCE: Final = 65_536
_ANY: Final = 1


class Intake:
    """The intake of one socket while it waits. `receive` gets what `pull` reads, as the loop would give it."""

    __slots__ = ("_asked", "_closing", "_fd", "_receive", "_socket", "_transport")

    def __init__(self, transport: asyncio.Transport, receive: Callable[[bytes], None]) -> None:
        """Raises `OSError` where a socket cannot wait: closed, inside TLS, and on kernels that know nothing of it."""
        if transport.is_closing():
            raise OSError("the connection has ended, and its descriptor may belong to another connection")
        if transport.get_extra_info("sslcontext") is not None:
            raise OSError("the bytes inside TLS cannot be counted from outside")
        self._transport = transport
        self._receive = receive
        self._asked = _ANY
        # The transport's own is a stand-in that is three times as slow. This one never owns the descriptor.
        self._fd = transport.get_extra_info("socket").fileno()
        self._socket = socket.socket(fileno=self._fd)
        self._closing = transport.is_closing
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _ANY)
        except OSError:
            self._socket.detach()
            raise

    def wait_for(self, size: int) -> None:
        """Wake the loop when so many bytes are there: at most `MAX_BYTES`, and at once if they are."""
        size = min(max(size, _ANY), MAX_BYTES)
        if size != self._asked and not self._closing():
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
            self._asked = size

    def pull(self) -> bool:
        """Take what is there now; false if that is nothing.

        Ends and errors are left to the loop, which was woken for them.
        """
        if self._asked == _ANY or self._closing():
            return False
        try:
            data = os.read(self._fd, _AT_ONCE)
        except OSError:  # nothing is there; or a reset, and the loop finds the end that it left
            return False
        try:
            if data:
                self._receive(data)
        except Exception as error:  # noqa: BLE001 -- one call's fault ends that call, as on the loop
            context = {
                "message": "a protocol failed while it read received bytes",
                "exception": error,
                "transport": self._transport,
            }
            asyncio.get_running_loop().call_exception_handler(context)
            self._transport.abort()
        return bool(data)

    def close(self) -> None:
        """Have every byte wake the loop again, and forget the socket, which stays open. To be called once."""
        self.wait_for(_ANY)
        self._socket.detach()
