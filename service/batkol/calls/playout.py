"""Sound, marks and `clear` on their way to Twilio, and the position that the caller's ear has come to.

One task writes, when `audio.outbound` says so. Everything else only queues or asks, and never waits. While nothing
plays, there is no timer.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

import structlog

from batkol.alarm import Wakeup
from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.audio.outbound import EARLY_S, LONGEST, Clear, Outbound
from batkol.audio.path import Path
from batkol.errors import CallError
from batkol.twilio.messages import encode_clear, encode_mark, encode_media

__all__ = ["LEAD_MS", "LONGEST", "Playout"]

LEAD_MS: Final = 480
"""Milliseconds of sound that are written ahead of the ear. A message later, at least 220 are left for a stall."""

_GRID_S: Final = 0.020  # sound goes out on this grid of the clock: the loop wakes up for all calls at once

log = structlog.get_logger()

SendText = Callable[[str], Awaitable[None]]
Settle = Callable[[bool], None]


class Playout:
    """The audio and marks on their way to the caller. Only `run` waits.

    Positions are samples of outbound audio time (`audio.outbound`, ADR 0021). Times are the running loop's.
    """

    def __init__(self, stream_sid: str, *, lead_ms: int = LEAD_MS) -> None:
        self._stream_sid = stream_sid
        self._clock = asyncio.get_running_loop().time
        self._path = Path(f"batkol-{secrets.token_hex(8)}-")  # a user's mark may have any name but one of these
        self._outbound = Outbound(self._path, lead=lead_ms * SAMPLES_PER_MS)
        self._wakeup = Wakeup()
        self._marks: Counter[str] = Counter()  # the user's: written or queued, and not played yet
        self._echoes: dict[str, asyncio.Future[None]] = {}  # marks of `wait_echo`
        self._waiters: list[tuple[int, int, Settle]] = []  # a heap: (position, order, callback)
        self._order = count()
        self.on_written: Callable[[int, int], None] = lambda _begin, _end: None
        """Called when the samples [begin, end) have been handed to the socket. It must neither block nor raise."""
        self.on_first_sound: Callable[[], None] = lambda: None
        """Called by the task before it writes the first sound after silence. It must neither block nor raise."""
        self._begins = False  # sound was queued in silence
        self._writing_since = math.inf  # while something is being written

    # -- what is queued ----------------------------------------------------------------------------------------------

    def play(self, mulaw: bytes) -> int:
        """Queue sound of any length, and return the position of its end.

        What is left below a whole frame waits for the next `play`. It is filled with silence at a `flush`, or when the
        sound before it is nearly over. Raises `CallError` if more than ten minutes would wait, Twilio's
        buffer included; none of it is queued then.
        """
        now = self._clock()
        if len(mulaw) > self._outbound.room(now):
            raise CallError("more than ten minutes of audio wait for the caller; send `clear` before playing more")
        deadline, silent = self._outbound.deadline, self._outbound.silent_s(now) > 0
        end = self._outbound.append(mulaw, now)
        self._begins = self._begins or (silent and bool(mulaw))
        if self._outbound.deadline != deadline:  # while sound plays, the task wakes up in time by itself
            self._wakeup.ring()
        return end

    def flush(self) -> None:
        """Fill the last frame with silence and write it: no more sound follows for now."""
        self._outbound.flush()
        self._wakeup.ring()

    def mark(self, name: str) -> None:
        """Queue a mark: Twilio returns it when all audio before it was played or cleared."""
        self._outbound.mark(name)
        self._marks[name] += 1
        self._wakeup.ring()

    def acknowledge_mark(self, name: str) -> bool:
        """Whether a mark that comes back is one of the user's; each counts once. A peer may send any name."""
        if self._path.owns(name):
            self._path.echo(name, self._clock())
            if (played := self._echoes.pop(name, None)) is not None and not played.done():
                played.set_result(None)
            return False
        if self._marks[name] <= 0:
            del self._marks[name]
            return False
        self._marks[name] -= 1
        if not self._marks[name]:
            del self._marks[name]
        return True

    @property
    def marks(self) -> int:
        """The user's marks that have not come back."""
        return self._marks.total()

    def clear(self) -> int:
        """Stop talking at once, and return the position that the ear has come to when the `clear` takes effect.

        Sound that waits is dropped, and its positions are given to the sound that follows. Sound that was written and
        is not heard keeps its positions, and the ear skips them. Marks that wait come back at once. Every waiter for a
        position that is not heard gets its answer: no.
        """
        heard = self._outbound.clear(self._clock())
        self._wakeup.ring()
        waiters, self._waiters = self._waiters, []
        for position, _, settle in waiters:
            _call(settle, position <= heard)
        return heard

    # -- where the ear is --------------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """The position that the ear has come to by now: an estimate, never above `written`, and it never goes back."""
        return self._outbound.position(self._clock())

    @property
    def path_s(self) -> float:
        """Seconds to the peer and back, and in its buffer, as measured by marks; 0 while that is not known."""
        return 2 * self._path.there_s + self._path.buffer_s

    @property
    def held_up_s(self) -> float:
        """Seconds for which the peer has not taken what is being written; 0 while it takes all."""
        return max(0.0, self._clock() - self._writing_since)

    @property
    def written(self) -> int:
        """The end of the sound that was handed to the socket."""
        return self._outbound.written

    @property
    def queued_to(self) -> int:
        """The end of all sound: the position at which the next `play` begins."""
        return self._outbound.queued_to

    @property
    def silent_s(self) -> float:
        """Seconds since the ear heard the last sound: 0 while sound waits or plays, infinity before the first one."""
        return self._outbound.silent_s(self._clock())

    def at(self, position: int, callback: Callable[[], None]) -> None:
        """Call back when the ear comes to the sample at a position, which may be queued later.

        A `clear`, or the end of the call, that comes first takes it back. The callback must neither block nor raise.
        """
        if not self._outbound.was_thrown_away(position + 1):
            self._wait_for(position + 1, lambda heard: callback() if heard else None)

    async def wait_played(self, position: int) -> bool:
        """Wait until the ear has heard everything before a position; false if a `clear` or the end comes first.

        The position may be queued later. Cancelling it loses nothing.
        """
        if self._outbound.was_thrown_away(position):
            return False
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._wait_for(position, lambda heard: None if answer.done() else answer.set_result(heard))
        return await answer

    async def wait_echo(self, within_s: float) -> bool:
        """Wait until the peer has played all that is queued now, by its own word: the echo of a mark behind it.

        False if the echo does not come within `within_s` seconds after the ear should have heard the last sound, as
        estimated. Cancelling it loses nothing.
        """
        self._outbound.flush()
        name, end = self._path.name(), self._outbound.queued_to
        played: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._echoes[name] = played
        self._outbound.mark(name)
        self._wakeup.ring()
        try:
            if end:
                await self.wait_played(end)
            async with asyncio.timeout(within_s):
                await played
        except TimeoutError:
            return False
        finally:
            self._echoes.pop(name, None)
        return True

    def _wait_for(self, position: int, settle: Settle) -> None:
        heapq.heappush(self._waiters, (position, next(self._order), settle))
        self._wakeup.ring()

    # -- the task ----------------------------------------------------------------------------------------------------

    async def run(self, send: SendText) -> None:
        """Write until cancelled; what was queued but not written is lost then, the call being over."""
        try:
            while True:
                if self._begins:
                    self._begins = False
                    _call(self.on_first_sound)
                deadline = await self._write_due(send)
                await self._wakeup.wait(_next_due(deadline, self._settle_due()))
        finally:
            self._wakeup.close()
            waiters, self._waiters = self._waiters, []
            for _, _, settle in waiters:
                _call(settle, False)

    async def _write_due(self, send: SendText) -> float | None:
        """Write what is due, and return when the next is."""
        outbound = self._outbound
        while (deadline := outbound.deadline) is not None and deadline - EARLY_S <= (now := self._clock()):
            if (item := outbound.next(now)) is None:
                break
            self._writing_since = now
            if isinstance(item, bytes):
                end = outbound.written
                await send(encode_media(self._stream_sid, item))
                outbound.sent(self._clock())
                _call(self.on_written, end - len(item), end)
            elif isinstance(item, Clear):
                await send(encode_clear(self._stream_sid))
            else:
                await send(encode_mark(self._stream_sid, item))
            self._writing_since = math.inf
        return deadline

    def _settle_due(self) -> float | None:
        """Answer the waiters whose position was heard; return when the next one is, None while it is not written."""
        while self._waiters:
            at = self._outbound.played_at(self._waiters[0][0])
            if at is None or at > self._clock() + EARLY_S:
                return at
            _call(heapq.heappop(self._waiters)[2], True)
        return None


def _next_due(deadline: float | None, heard_at: float | None) -> float | None:
    if deadline is None:
        return heard_at
    due = math.ceil(deadline / _GRID_S) * _GRID_S
    return due if heard_at is None or due < heard_at else heard_at


def _call(callback: Callable[..., None], *about: object) -> None:
    """Call back; an exception of a listener must not take the line, and with it the call, from the caller."""
    try:
        callback(*about)
    except Exception:
        log.exception("[CALL] a listener of the line failed by a defect of the service; the line goes on")
