"""A voice that speaks the marked words in small chunks, and fails at a chosen chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from batkol.voices.builtin import sound
from batkol.voices.read_ahead import ReadAhead
from batkol.voices.voice import VoiceError, VoiceSound

CHUNK = 2400  # samples


class BreakingVoice:
    """`at` is the chunk of a reply that it does not give, counted from 0; None: it never fails.

    `hangs`: it is silent there, and does not raise. `ahead`: it reads a piece in advance, as Google's voice does.
    `splits`: the last chunk of a piece is an empty one.
    """

    def __init__(
        self,
        at: int | None = None,
        *,
        name: str = "first",
        hangs: bool = False,
        ahead: bool = False,
        splits: bool = True,
        reason: str = "cut_off",
        retryable: bool = True,
    ) -> None:
        self.name = name
        self.at = at
        self.asked = 0
        """Replies."""
        self.closed = 0
        self.under_way = 0
        self._hangs, self._ahead, self._splits = hangs, ahead, splits
        self._error = VoiceError("the voice broke", reason=reason, retryable=retryable)

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        self.asked += 1
        self.under_way += 1
        changed = asyncio.Event()
        texts = ReadAhead(changed.set)
        count, number = 0, 0
        try:
            if self._ahead:
                texts.start(pieces)
            while (text := await self._next(pieces, texts, changed)) is not None:
                for chunk in self._chunks(text, number):
                    await asyncio.sleep(0.01)
                    if count == self.at:
                        await self._fail()
                    yield chunk
                    count += 1
                number += 1
        finally:
            self.under_way -= 1
            await texts.close()

    async def aclose(self) -> None:
        self.closed += 1

    async def _next(self, pieces: AsyncIterator[str], texts: ReadAhead, changed: asyncio.Event) -> str | None:
        if not self._ahead:
            return await anext(pieces, None)
        while not texts.known:
            changed.clear()
            await changed.wait()
        return texts.take()

    def _chunks(self, text: str, number: int) -> list[VoiceSound]:
        mulaw = sound(text).mulaw
        parts = [mulaw[at : at + CHUNK] for at in range(0, len(mulaw), CHUNK)]
        parts += [b""] if self._splits else []
        return [VoiceSound(part, number, last=part is parts[-1]) for part in parts]

    async def _fail(self) -> None:
        if self._hangs:
            await asyncio.Event().wait()
        raise self._error
