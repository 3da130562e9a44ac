"""One session at Google: texts in, sound out, from its opening to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import grpc

from batkol.google_api.stream_status import StreamStatus
from batkol.voices.google import wire
from batkol.voices.google.body import SessionBody
from batkol.voices.google.errors import refusal
from batkol.voices.google.sessions import Sessions
from batkol.voices.voice import VoiceError

LONGEST_S: Final = 300.0
"""Seconds of a session: the last guard, for a reply has at most three minutes of sound."""


class VoiceSession:
    """Opened by `open_session`. `on_change` is called when sound came or when the session has ended."""

    def __init__(self, call: Any, on_change: Callable[[], None]) -> None:
        self.sent_at = asyncio.get_running_loop().time()
        """The moment of the newest message."""
        self.sent_bytes = 0
        self.sound_at = 0.0
        """The moment of the newest sound."""
        self.half_closed = False
        self.ended = False
        """Whether no more sound comes: `error` says why if it is not as it should be."""
        self.error: Exception | None = None
        self._call = call
        self._on_change = on_change
        self._status = StreamStatus(call)
        self._body = SessionBody()
        self._came: list[bytes] = []
        self._begun = False
        self._reading: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        """Whether it takes no more texts."""
        return self.half_closed or self.ended

    async def open(self, opening: Any, within_s: float) -> None:
        """Send the configuration. Raises `VoiceError`; cancelling it leaves the session to `close`."""
        try:
            async with asyncio.timeout(within_s):
                await self._call.wait_for_connection()
                await self._write(opening)
        except TimeoutError as error:
            message = f"the voice cannot be reached: Google gave no connection within {within_s:g} s"
            raise VoiceError(message, reason="unavailable", retryable=True) from error
        except grpc.RpcError as error:
            raise self._translated(error) from error
        self._reading = asyncio.create_task(self._read(), name="voice.session")

    async def say(self, piece: str) -> None:
        """Send a text. If the session has ended under it, the reading has the reason."""
        self.sent_bytes += len(piece.encode())
        self.sent_at = asyncio.get_running_loop().time()
        self._begun = False
        with suppress(grpc.RpcError):
            await self._write(wire.text(piece))

    async def half_close(self) -> None:
        """Send the end of the text, after which Google sends the rest of the sound and ends the session."""
        if not self.half_closed:
            self.half_closed = True
            with suppress(grpc.RpcError, asyncio.InvalidStateError):
                await self._call.done_writing()

    def sound(self) -> bytes:
        """Return the sound that came since the last time."""
        sound = b"".join(self._came)
        self._came.clear()
        return sound

    async def close(self) -> None:
        """Cancel the session, unless it has ended, and what reads it."""
        self._call.cancel()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))

    async def _write(self, message: Any) -> None:
        with suppress(asyncio.InvalidStateError):  # ended already: `_read` has the reason
            await self._call.write(message)

    async def _read(self) -> None:
        try:
            while (response := await self._call.read()) is not grpc.aio.EOF:
                self._arrived(self._body.feed(response.audio_content))
            self._arrived(self._body.finish())
            if not self.half_closed:
                raise VoiceError("Google ended the session", reason="cut_off", retryable=True)  # noqa: TRY301
        except grpc.RpcError as error:
            self.error = self._translated(error)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is raised where the sound is awaited
            self.error = error
        finally:
            self.ended = True
            self._on_change()

    def _arrived(self, sound: bytes) -> None:
        if sound:
            self._begun = True
            self.sound_at = asyncio.get_running_loop().time()
            self._came.append(sound)
            self._on_change()

    def _translated(self, error: grpc.RpcError) -> VoiceError:
        code, text = self._status.failure(error) or (grpc.StatusCode.UNKNOWN, "")
        return refusal(code, text, begun=self._begun)


async def open_session(
    sessions: Sessions, channel: grpc.aio.Channel, opening: Any, connect_s: float, on_change: Callable[[], None]
) -> VoiceSession:
    """Begin a session on a connection. Raises `VoiceError`; the connection is then avoided if it gave no answer."""
    session = VoiceSession(wire.streaming_synthesize(channel, LONGEST_S), on_change)
    try:
        await session.open(opening, connect_s)
    except BaseException as error:
        if isinstance(error, VoiceError) and isinstance(error.__cause__, TimeoutError):
            sessions.avoid(channel)
        await session.close()
        raise
    return session
