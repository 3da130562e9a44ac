"""The messages of a stream that come while it is not known yet whose it is.

They are read and kept, so that the caller's first words are not lost and a caller who leaves is noticed; nothing looks
at them before the stream is admitted. Then they go first, in their order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from batkol.calls.socket import Direct, Inlet, PeerFault, Socket, ending
from batkol.errors import PeerError

LARGEST: Final = 512 * 1024
"""Characters and bytes that are kept of one stream: Twilio sends some 14,000 a second."""

T = TypeVar("T")


class GivenUpError(PeerError):
    """Our server closed the connection before the stream was admitted."""

    def __init__(self, fault: PeerFault) -> None:
        super().__init__(fault.sentence, close_code=fault.close_code)
        self.fault = fault


class HeldMessages:
    """The socket of a call, with the messages that were kept before it."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._kept: deque[Mapping[str, Any]] = deque()
        self._size = 0

    async def during(self, answer: Coroutine[Any, Any, T]) -> T | None:
        """Keep what comes until the answer is there, and return it; None if the peer left first.

        Raises what the answer raises, and `PeerError` for more than a phone call sends. Cancelling it cancels the
        answer, and loses no message.
        """
        asking = asyncio.create_task(answer, name="stream.ask")
        keeping = asyncio.create_task(self._keep(), name="stream.hold")
        try:
            await asyncio.wait((asking, keeping), return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
                return None
            return asking.result()
        finally:
            asking.cancel()
            keeping.cancel()
            await asyncio.gather(asking, keeping, return_exceptions=True)

    async def _keep(self) -> None:
        """Keep messages until the peer leaves. Raises `PeerError`."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                if (fault := ending(message).fault) is not None:
                    raise GivenUpError(fault)
                return
            self._kept.append(message)
            self._size += len(_content(message))
            if self._size > LARGEST:
                raise GivenUpError(PeerFault.FLOOD)

    # The socket of the call

    @property
    def receive(self) -> Callable[[], Awaitable[Mapping[str, Any]]]:
        """See `Socket.receive`: the kept messages first."""
        return self._receive

    async def send_text(self, text: str) -> None:
        """See `Socket.send_text`."""
        await self._socket.send_text(text)

    async def close(self, code: int) -> None:
        """See `Socket.close`."""
        await self._socket.close(code)

    async def _receive(self) -> Mapping[str, Any]:
        return self._kept.popleft() if self._kept else await self._socket.receive()

    def ahead_of(self, direct: Direct | None) -> Direct | None:
        """Return `direct` so that the kept messages reach the sink before it gets those of the server."""
        if direct is None or not self._kept:
            return direct

        def begin(sink: Callable[[bytes], None], wanted: Callable[[], int]) -> Inlet:
            while self._kept:
                content = _content(self._kept.popleft())
                sink(content.encode() if isinstance(content, str) else content)
            return direct(sink, wanted)

        return begin


def _content(message: Mapping[str, Any]) -> str | bytes:
    text: str | None = message.get("text")
    return text if text is not None else message.get("bytes") or b""
