"""Google's `StreamingSynthesize`: mu-law at 8 kHz as Google makes it, one session for a reply.

Which sentence a sound belongs to is found out as `flight` says. A session gets its next text at the latest 4 s after
the last one, or it is half-closed, and the next sentence opens another one: Google ends a session after 5 s without
input. Whether Google counts a session as one request of its quota, and its 5,000 bytes for a text or for a session, is
not known; the texts of a session have no more together.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import grpc

from batkol.errors import OnOutcome, unwatched
from batkol.voices.google import wire
from batkol.voices.google.errors import refusal
from batkol.voices.google.flight import KEEP_S, SpeakingRate
from batkol.voices.google.reply import LONGEST_HOLD_S, GoogleReply
from batkol.voices.google.sessions import Sessions
from batkol.voices.limits import VoiceLimits
from batkol.voices.voice import VoiceError, VoiceSound

_SPOKEN: Final = re.compile(r"\w")


class GoogleVoice:
    """`voice` is a whole name such as `he-IL-Chirp3-HD-Achernar`, of `language`. `sessions` are their owner's.

    With enough sound ahead of the ear, sound is taken every `hold_s` seconds, which costs less CPU; 0: as it comes.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        voice: str,
        language: str,
        name: str = "google",
        limits: VoiceLimits | None = None,
        keep_s: float = KEEP_S,
        hold_s: float = LONGEST_HOLD_S,
        on_outcome: OnOutcome = unwatched,
    ) -> None:
        self._sessions = sessions
        self._voice = voice
        self._language = language
        self._name = name
        self._on_outcome = on_outcome
        self._limits = limits or VoiceLimits()
        self._keep_s = keep_s
        self._hold_s = hold_s
        self._rate = SpeakingRate()

    @property
    def name(self) -> str:
        """See `Voice`."""
        return self._name

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`. It knows no word ends. A piece without a word is an empty sound, and not asked for."""
        reply = GoogleReply(
            self._sessions, wire.opening(self._voice, self._language), self._limits, self._keep_s, self._hold_s
        )
        number = 0
        try:
            reply.read(pieces)
            while (text := await reply.next_text()) is not None:
                if _SPOKEN.search(text):
                    flight = await reply.send(text, self._rate)
                    while sound := await reply.sound(flight):
                        self._on_outcome(None)
                        yield VoiceSound(sound, number)
                    self._rate.learn(text, flight.samples)
                yield VoiceSound(b"", number, last=True)
                number += 1
        except VoiceError as error:
            self._on_outcome(error)
            raise
        finally:
            await reply.close()

    async def warm_up(self) -> None:
        """See `ConnectedVoice`. Asks for the list of the language's voices, which costs nothing."""
        try:
            await self._ask_names()
        except VoiceError as error:
            self._on_outcome(error)
            raise
        self._on_outcome(None)

    async def _ask_names(self) -> None:
        try:
            async with self._sessions.request() as channel, asyncio.timeout(self._limits.first_s):
                names = await wire.voice_names(channel, self._language, self._limits.first_s)
        except TimeoutError as error:
            message = f"the voice cannot be reached: {self._sessions.address} gave no answer in time"
            raise VoiceError(message, reason="unavailable", retryable=True) from error
        except grpc.aio.AioRpcError as error:
            raise refusal(error.code(), error.details() or "") from error
        if self._voice not in names:
            remedy = "set its name (VOICE_NAME, or `name` in VOICES) to another one"
            raise VoiceError(
                f"Google lists no voice {self._voice} for {self._language}; {remedy}",
                reason="refused",
                retryable=False,
                remedy=remedy,
            )

    async def aclose(self) -> None:
        """See `Voice`. The connections are those of `sessions`."""
