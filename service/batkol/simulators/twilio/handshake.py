"""The handshake of a media stream, as strict as Twilio's, and Twilio's number for each way in which it fails."""

from __future__ import annotations

import ssl

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidURI


class HandshakeFailed(Exception):  # noqa: N818 - what Twilio calls it
    """No stream came about; why is in the report."""


class Dial(connect):
    """Twilio takes nothing but 101 for an answer: a redirect is a failure (31920)."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class CallerConnection(ClientConnection):
    """A connection that gives up a server which does not speak HTTP."""

    def data_received(self, data: bytes) -> None:
        """Hang up on an answer to the handshake that is none; websockets would read on until the server has ended."""
        super().data_received(data)
        if self.protocol.handshake_exc is not None:
            self.transport.abort()


def handshake_code(error: Exception) -> int:
    """Return Twilio's number for the reason why a handshake failed."""
    match error:
        case InvalidURI():
            return 31923
        case InvalidHandshake():
            return 31920
        case ssl.SSLError():
            return 31910
        case ConnectionRefusedError():
            return 31902
    return 31901
