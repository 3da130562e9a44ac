"""Sound, marks and `clear` on their way to Twilio.

One task writes; all others only queue, in order. Sound is bounded: Twilio throws away what exceeds ten minutes
of buffer (warning 31931), so a longer queue is refused here, where the caller of `play` gets an error.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.errors import CallError
from batkol.twilio.messages import encode_clear, encode_mark, encode_media

LONGEST: Final = 600 * SAMPLE_RATE
"""Ten minutes of mu-law, the most that Twilio buffers."""

_PIECE: Final = SAMPLE_RATE // 2  # half a second a message: small enough for `clear` to cut in behind it

Send = Callable[[str], Awaitable[None]]


class Playout:
    """The audio and marks on their way to the caller. Only `run` waits."""

    def __init__(self, stream_sid: str) -> None:
        self._stream_sid = stream_sid
        self._queue: deque[bytes | str] = deque()
        self._queued = 0  # samples
        self._more = asyncio.Event()
        self._marks: Counter[str] = Counter()  # written or queued, and not played yet

    def play(self, mulaw: bytes) -> None:
        """Queue sound. Raises `CallError` if ten minutes wait already; none of it is queued then."""
        if self._queued + len(mulaw) > LONGEST:
            raise CallError("more than ten minutes of audio wait for the caller; send `clear` before playing more")
        for start in range(0, len(mulaw), _PIECE):
            self._queue.append(mulaw[start : start + _PIECE])
        self._queued += len(mulaw)
        self._more.set()

    def mark(self, name: str) -> None:
        """Queue a mark: Twilio returns it when all audio before it was played or cleared."""
        self._queue.append(encode_mark(self._stream_sid, name))
        self._marks[name] += 1
        self._more.set()

    def acknowledge_mark(self, name: str) -> bool:
        """Whether a mark that comes back is one that was sent; each counts once. A peer may send any name."""
        if self._marks[name] <= 0:
            del self._marks[name]
            return False
        self._marks[name] -= 1
        return True

    def clear(self) -> None:
        """Stop talking: drop the sound that waits here, keep its marks, and have Twilio drop what it holds."""
        self._queue = deque(item for item in self._queue if isinstance(item, str))
        self._queued = 0
        self._queue.append(encode_clear(self._stream_sid))
        self._more.set()

    async def run(self, send: Send) -> None:
        """Write until cancelled; what was queued but not written is lost then, the call being over."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._queue:
                item = self._queue.popleft()
                if isinstance(item, bytes):
                    self._queued -= len(item)
                    item = encode_media(self._stream_sid, item)
                await send(item)
