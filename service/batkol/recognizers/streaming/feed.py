"""The audio of one stream: a cursor of its own into the call's ring, paced.

Nothing is queued twice and a stalled connection costs no memory: audio that the ring has released is skipped and
counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from batkol.audio.ring import Ring
from batkol.recognizers.streaming.connection import StreamConnection
from batkol.recognizers.streaming.traits import Traits
from batkol.speech.pacing import Pace
from batkol.speech.passage import Passage


class AudioFeed:
    """One per stream, from `passage.base` on."""

    __slots__ = (
        "_cursor",
        "_ending",
        "_flushes",
        "_longest",
        "_loop",
        "_more",
        "_offered_at",
        "_on_written",
        "_pace",
        "_passage",
        "_ring",
        "_until",
        "skipped",
    )

    def __init__(self, passage: Passage, *, ring: Ring, traits: Traits, on_written: Callable[[float], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._passage = passage
        self._ring = ring
        self._on_written = on_written
        self._pace = Pace(rate=traits.replay_rate, now=self._loop.time())
        self._longest = min(self._pace.longest or traits.longest_message, traits.longest_message)
        self._cursor = self._until = passage.base
        self._offered_at: float | None = None
        self._more = asyncio.Event()
        self._flushes: deque[int] = deque()  # samples behind which a final is wanted
        self._ending = False
        self.skipped = 0
        """Samples that the ring had released before the stream took them."""

    @property
    def sent(self) -> int:
        """Samples sent so far."""
        return self._cursor - self._passage.base

    @property
    def ending(self) -> bool:
        """Whether `finish` was called."""
        return self._ending

    def offer(self, until: int) -> None:
        """The ring holds audio up to sample `until`: send it. Never waits."""
        if self._ending or until <= self._until:
            return
        self._until = until
        if self._offered_at is None:
            self._offered_at = self._loop.time()
        self._more.set()

    def flush(self) -> None:
        """Have what was offered made final, once it is sent and before more is. Never waits."""
        self._flushes.append(self._until)
        self._more.set()

    def finish(self) -> None:
        """Send what was offered, and half-close."""
        self._ending = True
        self._more.set()

    async def run(self, connection: StreamConnection) -> None:
        """Write audio as it is offered; returns after the half-close. Raises what the connection raises."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._cursor < self._until:
                await self._flush(connection)
                audio = self._next_audio()
                if wait := self._pace.wait(len(audio), self._loop.time()):
                    await asyncio.sleep(wait)
                await connection.write(audio)
            if self._offered_at is not None:
                self._on_written(self._loop.time() - self._offered_at)
                self._offered_at = None
            if self._ending:
                await connection.half_close()
                return
            await self._flush(connection)

    async def _flush(self, connection: StreamConnection) -> None:
        """Ask for the final if all the audio is sent that it is wanted of: a word later it would cut a word in two."""
        wanted = False
        while self._flushes and self._flushes[0] <= self._cursor:
            self._flushes.popleft()
            wanted = True
        if wanted:
            await connection.flush()

    def _next_audio(self) -> bytes:
        """The next message's mu-law: a batch, or more of it if the connection was slow."""
        if self._cursor < self._ring.start:
            lost = min(self._ring.start, self._until) - self._cursor
            self.skipped += lost
            self._passage.base += lost  # the stream's own clock does not see what it is not sent
            self._cursor += lost
        end = min(self._until, self._cursor + self._longest)
        if self._flushes and self._flushes[0] > self._cursor:
            end = min(end, self._flushes[0])
        audio = self._ring.read(self._cursor, end)
        self._cursor = end
        return audio
