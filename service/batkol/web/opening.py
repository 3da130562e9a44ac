"""The opening of a media stream: its messages up to `start`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from batkol.calls.socket import Socket, ending
from batkol.errors import PeerError
from batkol.twilio.messages import Connected, Dtmf, Malformation, MalformedMessage, Mark, Media, Start, Stop, parse
from batkol.twilio.stream import MediaStream
from batkol.web.held import GivenUpError

START_TIMEOUT: Final = 10.0
"""Seconds for `start` after the handshake; Twilio sends it at once."""

_START: Final = "start"


class LateStartError(PeerError):
    """No `start` came in time."""

    def __init__(self) -> None:
        super().__init__("no `start` came in time; the service closes the socket", close_code=1008)


class UnreadableStartError(PeerError):
    """The `start` cannot be read. No other one comes: the peer waits for the call that it has begun."""

    def __init__(self) -> None:
        super().__init__("`start` cannot be read; the service closes the socket", close_code=1003)


class MediaOpening:
    """Reads the first messages of sockets. `on_malformed` is called with the kind of each that cannot be read."""

    def __init__(self, on_malformed: Callable[[Malformation], None], within_s: float = START_TIMEOUT) -> None:
        self._on_malformed = on_malformed
        self._within_s = within_s

    async def stream(self, socket: Socket) -> MediaStream | None:
        """Read up to `start`; None if the peer was gone before it. Raises `PeerError`."""
        stream = MediaStream()
        try:
            async with asyncio.timeout(self._within_s):
                while not stream.started:
                    message = await socket.receive()
                    if message["type"] == "websocket.disconnect":
                        if (fault := ending(message).fault) is not None:
                            raise GivenUpError(fault)
                        return None
                    if self._greet(stream, message):
                        return None
        except TimeoutError:
            raise LateStartError from None
        return stream

    def _greet(self, stream: MediaStream, message: Mapping[str, Any]) -> bool:
        """Take one of the first messages; true if the stream stopped before it started."""
        try:
            match parse(message.get("text") or message.get("bytes") or b""):
                case Start() as start:
                    stream.start(start)
                case Connected() as connected:
                    stream.connect(connected)
                case Stop():
                    return True
                case Media() as early:  # the stream counts what comes before its start
                    stream.append(early)
                case Mark() as early:
                    stream.echo(early)
                case Dtmf() as early:
                    stream.press(early)
        except MalformedMessage as error:
            self._on_malformed(error.kind)
            if error.event == _START:
                raise UnreadableStartError from None
            stream.violation()
        return False
