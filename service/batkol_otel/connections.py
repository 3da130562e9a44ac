"""Connections of urllib3 that keep the limits of the exchange under way: connecting, TLS, each send and each read."""

from __future__ import annotations

import io
from collections.abc import Iterable
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from socket import socket
from typing import TYPE_CHECKING, Any, Final

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from batkol_otel.exchange import UNDERWAY, Exchange, LimitError, connected

if TYPE_CHECKING:
    from typing_extensions import Buffer

_PIECE: Final = 16_384
"""Bytes of one send: TLS sends a record of so many at a time, and has a time-out for each."""


class _MeteredReader(io.RawIOBase):
    """Reader of an answer's bytes, within the limits of an exchange."""

    def __init__(self, raw: io.RawIOBase, connection: socket, exchange: Exchange) -> None:
        super().__init__()
        self._raw = raw
        self._connection = connection
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int | None:
        """Raise `TimeoutError` or `LimitError` when a limit is reached."""
        self._connection.settimeout(self._exchange.left_s())
        taken = self._raw.readinto(buffer)
        self._exchange.count(taken or 0)
        return int(taken or 0)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _MeteredResponse(HTTPResponse):
    """An answer whose head is read within the limits, too."""

    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        whole: Any = self.fp
        self.fp = io.BufferedReader(_MeteredReader(whole.detach(), sock, UNDERWAY.get()))


class _Bounded(HTTPConnection):
    """The common part of both kinds of connection."""

    response_class = _MeteredResponse

    def _new_conn(self) -> socket:
        made = connected(self._dns_host, int(self.port), self.socket_options or ())
        made.settimeout(UNDERWAY.get().left_s())  # for the whole TLS handshake: CPython counts it as one wait
        return made

    def _tunnel(self) -> None:
        super()._tunnel()
        self.sock.settimeout(UNDERWAY.get().left_s())  # for the TLS handshake behind the proxy

    def send(self, data: Any) -> None:
        """Send bytes, and connect first where that is needed."""
        exchange = UNDERWAY.get()
        if self.sock is None:
            self.connect()
        exchange.hold(self.sock)
        pieces: Iterable[memoryview] = (
            memoryview(data)[begin : begin + _PIECE] for begin in range(0, len(data), _PIECE)
        )
        for piece in pieces:
            self.sock.settimeout(exchange.left_s())
            super().send(piece)

    def getresponse(self) -> Any:
        """Return an answer whose body is still to be read. Raises `LimitError` for what is not HTTP."""
        try:
            return super().getresponse()
        except RemoteDisconnected:  # an idle connection that the server closed: worth another try
            raise
        except HTTPException as error:
            raise LimitError(f"The answer is not HTTP ({type(error).__name__}).") from None


class _BoundedTls(_Bounded, HTTPSConnection):
    """The same with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTls


POOLS: Final = {"http": _Pool, "https": _TlsPool}
"""For `PoolManager.pool_classes_by_scheme`."""
