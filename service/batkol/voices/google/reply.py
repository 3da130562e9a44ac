"""The sessions of one reply at Google: one at a time, and mostly one in all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.voices.google import wire
from batkol.voices.google.flight import Flight, SpeakingRate
from batkol.voices.google.session import VoiceSession, open_session
from batkol.voices.google.sessions import Sessions
from batkol.voices.limits import VoiceLimits
from batkol.voices.read_ahead import ReadAhead
from batkol.voices.voice import VoiceError

_AHEAD_S: Final = 0.6
"""Seconds of sound ahead of the ear with which sound is taken now and then: what came meanwhile costs one wake. They
are enough for the pause that ends a piece, and for the first sound of the next one."""
LONGEST_HOLD_S: Final = 0.5
"""Most seconds between two such moments."""


class GoogleReply:
    """`opening` is the first message of each session; a session lives at most `keep_s` seconds after its last text."""

    def __init__(self, sessions: Sessions, opening: Any, limits: VoiceLimits, keep_s: float, hold_s: float) -> None:
        self._sessions = sessions
        self._opening = opening
        self._limits = limits
        self._keep_s = keep_s
        self._hold_s = hold_s
        self._changed = asyncio.Event()
        self._texts = ReadAhead(self._changed.set)
        self._session: VoiceSession | None = None
        self._lease = AsyncExitStack()
        self._now = asyncio.get_running_loop().time
        self._played_at = 0.0  # time at which the sound so far has been played, if it is played since it was there

    def read(self, pieces: AsyncIterator[str]) -> None:
        """Begin to read the pieces."""
        self._texts.start(pieces)

    async def next_text(self) -> str | None:
        """Return the next text, None after the last one. A session that would wait too long for it is ended first."""
        while not self._texts.known:
            session = self._session
            await self._changed_by(None if session is None else session.sent_at + self._keep_s)
            if session is not None and (session.ended or self._now() >= session.sent_at + self._keep_s):
                await self._end_session()
        return self._texts.take()

    async def send(self, text: str, rate: SpeakingRate) -> Flight:
        """Send a text, on a new session if there is none that can take it. Raises `VoiceError`."""
        size = len(text.encode())
        if size > wire.LARGEST_INPUT:
            message = f"a piece has more than {wire.LARGEST_INPUT} bytes"
            raise VoiceError(message, reason="too_long", retryable=False)
        session = self._session
        if session is not None and (session.closed or session.sent_bytes + size > wire.LARGEST_INPUT):
            await self._end_session()
        session = self._session or await self._open_session()
        flight = Flight(text, rate, self._now())
        await session.say(text)
        return flight

    async def sound(self, flight: Flight) -> bytes:
        """Return the piece's next sound, nothing after the last one. Raises `VoiceError`."""
        session = self._session
        assert session is not None  # noqa: S101 -- `send` opened it
        await self._hold(session)
        while not (sound := session.sound()):
            if session.ended:
                return await self._ended(session, flight)
            keep_until = session.sent_at + self._keep_s
            if self._texts.ended or self._now() >= keep_until:
                await session.half_close()
            given_up_at, over_at = flight.given_up_at(self._limits), float("inf")
            if not session.half_closed:
                over_at = min(keep_until, flight.over_at(next_waits=self._texts.known))
            if await self._changed_by(min(given_up_at, over_at)):
                continue
            if self._now() >= given_up_at:
                raise VoiceError("Google sent no sound in time", reason="deadline", retryable=True)
            if flight.over_at(next_waits=self._texts.known) <= self._now() < keep_until:
                return b""
        flight.arrived(len(sound), session.sound_at)
        self._played_at = max(self._played_at, self._now()) + len(sound) / SAMPLE_RATE
        if flight.samples > self._limits.sound_s * SAMPLE_RATE:
            raise VoiceError("the sound of a piece is longer than the limit", reason="too_long", retryable=False)
        return sound

    async def _hold(self, session: VoiceSession) -> None:
        """Let sound gather while enough of it is ahead of the ear, but not until the session wants its next text."""
        now = self._now()
        hold_s = min(self._hold_s, self._played_at - now - _AHEAD_S)
        if not session.half_closed:
            hold_s = min(hold_s, session.sent_at + self._keep_s - now)
        if hold_s > 0 and not session.ended:
            await asyncio.sleep(hold_s)

    async def close(self) -> None:
        """Cancel what is under way, also if this is cancelled meanwhile."""
        try:
            await self._texts.close()
        finally:
            await self._end_session()

    async def _open_session(self) -> VoiceSession:
        channel = await self._lease.enter_async_context(self._sessions.session())
        self._session = await open_session(
            self._sessions, channel, self._opening, self._limits.connect_s, self._changed.set
        )
        return self._session

    async def _ended(self, session: VoiceSession, flight: Flight) -> bytes:
        if session.error is not None:
            raise session.error
        await self._end_session()
        if not flight.begun:
            raise VoiceError("Google ended the session without any sound", reason="empty", retryable=True)
        return b""

    async def _end_session(self) -> None:
        """Cancel the session, whose sound is whole or is not wanted, and free its place."""
        session, self._session = self._session, None
        try:
            if session is not None:
                await session.close()
        finally:
            await self._lease.aclose()

    async def _changed_by(self, moment: float | None) -> bool:
        """Wait for a change until that moment; return whether there was one."""
        try:
            async with asyncio.timeout_at(moment):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True
