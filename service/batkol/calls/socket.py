"""The WebSocket under a call, as the call uses it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

CLEAN_CLOSE: Final = frozenset({1000, 1001, 1005})

FAULT: Final = "batkol.fault"
"""The key under which a `websocket.disconnect` has the `PeerFault` for which our own server closed the socket."""


class PeerFault(StrEnum):
    """Reasons why our server gave the peer up. The call ends with the same reason."""

    TIMEOUT = "peer_timeout"
    FLOOD = "flooded"

    @property
    def close_code(self) -> int:
        """RFC 6455, 7.4.1: 1011 is what WebSocket servers send after a ping without a pong."""
        return 1011 if self is PeerFault.TIMEOUT else 1008

    @property
    def sentence(self) -> str:
        """The event, whose fault it is, and what happens next."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    PeerFault.TIMEOUT: (
        "Twilio sent no frame and no pong within the time limit: the network to Twilio is broken, or Twilio "
        "is down; the service delivers the finals of the audio that it has, and Twilio continues with the "
        "next TwiML verb"
    ),
    PeerFault.FLOOD: (
        "the peer sent more frames than a phone call has: the peer is not Twilio, or a client in a loop; the "
        "service delivers the finals of the audio that it has, and reads nothing more"
    ),
}


class ConnectionEnd(NamedTuple):
    """The end of a connection."""

    reason: str  # as `CallEnded` has it
    code: int
    fault: PeerFault | None


def ending(message: Mapping[str, Any]) -> ConnectionEnd:
    """Read a `websocket.disconnect`: the peer closed the connection, or lost it, or our server gave the peer up."""
    code: int = message.get("code", 1006)
    fault: PeerFault | None = message.get(FAULT)
    return ConnectionEnd(fault or ("closed" if code in CLEAN_CLOSE else "dropped"), code, fault)


class Socket(Protocol):
    """The WebSocket under a call, as an ASGI server gives it."""

    @property
    def receive(self) -> Callable[[], Awaitable[Mapping[str, Any]]]: ...
    async def send_text(self, text: str) -> None: ...
    async def close(self, code: int) -> None: ...


async def read_to_end(socket: Socket, receive: Callable[[str | bytes], None]) -> ConnectionEnd:
    """Hand each message to `receive` until the connection ends, and return its end. Cancelling it loses no message."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return ending(message)
        text = message.get("text")
        receive(message.get("bytes") or b"" if text is None else text)


class Inlet(Protocol):
    """A server that hands a call its messages where it parses them, and may hold some back."""

    def pull(self) -> None:
        """Hand on what was held back."""

    def release(self) -> None:
        """Hold nothing back any more."""


Direct = Callable[[Callable[[bytes], None], Callable[[], int]], Inlet]
"""Asks the server to hand each text message to a sink where it is parsed. The second one says how many more messages
there must be before one of them matters at once: fewer need not be handed on until they are pulled.
"""
