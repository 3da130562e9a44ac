"""One session as Google plays it: texts in, sound out in messages of untidy sizes, and the end for a silent client."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import grpc
from google.cloud.texttospeech_v1.types import cloud_tts

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.audio.wav import mulaw_header
from batkol.simulators.google_voice import rules
from batkol.simulators.google_voice.faults import GoogleVoiceFault, GoogleVoiceFaultKind
from batkol.simulators.google_voice.rules import SessionRefusal
from batkol.simulators.google_voice.settings import GoogleVoiceSettings
from batkol.simulators.google_voice.stats import SaidText, SessionRecord
from batkol.voices.builtin import sound

_RESPONSE: Final = cloud_tts.StreamingSynthesizeResponse.pb()
_WRITTEN_S: Final = 1.0
_K: Final = GoogleVoiceFaultKind

Faults = Mapping[GoogleVoiceFaultKind, GoogleVoiceFault]


class SpeakingSession:
    """`run` reads and speaks until the client has half-closed and all is said. `clock` is in seconds."""

    def __init__(
        self, settings: GoogleVoiceSettings, record: SessionRecord, faults: Faults, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._record = record
        self._faults = faults
        self._clock = clock
        self._draw = random.Random(f"{settings.seed}/{record.number}")
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._bytes = 0
        self._sent = 0  # samples
        self._paused = False

    async def run(self, context: Any) -> None:
        """Raises `SessionRefusal`. Cancelling it (the client left) ends it."""
        if (fault := self._faults.get(_K.REFUSE)) is not None:
            raise SessionRefusal(grpc.StatusCode[fault.code], fault.text)
        reading = asyncio.create_task(self._read(context), name="google_voice_double.read")
        speaking = asyncio.create_task(self._speak(context), name="google_voice_double.speak")
        try:
            await asyncio.wait((reading, speaking), return_when=asyncio.FIRST_EXCEPTION)
            for task in (reading, speaking):
                if task.done():
                    task.result()
        finally:
            for task in (reading, speaking):
                task.cancel()
            await asyncio.wait((reading, speaking))

    async def _read(self, context: Any) -> None:
        """Take messages until the half-close; a client that is silent for too long is ended."""
        first = await self._message(context)
        if first is not None:
            config = rules.check_first(first, self._settings)
            self._record.voice, self._record.language = config.voice.name, config.voice.language_code
            while (request := await self._message(context)) is not None:
                text = rules.check_further(request)
                self._bytes += len(text.encode())
                if self._bytes > self._settings.longest_bytes:
                    raise rules.invalid(rules.TOO_LONG)
                self._record.texts.append(SaidText(text, self._clock()))
                self._texts.put_nowait(text)
        self._record.half_closed_at = self._clock()
        self._texts.put_nowait(None)

    async def _message(self, context: Any) -> Any:
        try:
            async with asyncio.timeout(self._settings.without_input_s):
                request = await context.read()
        except TimeoutError:
            raise SessionRefusal(grpc.StatusCode.ABORTED, rules.WITHOUT_INPUT) from None
        return None if request is grpc.aio.EOF else request

    async def _speak(self, context: Any) -> None:
        if _K.HANG in self._faults:
            await asyncio.Event().wait()
        while (text := await self._texts.get()) is not None:
            if _K.EMPTY in self._faults:
                continue
            slow = self._faults.get(_K.SLOW)
            await asyncio.sleep(slow.latency_s if slow else self._settings.first_sound(self._draw))
            begun, at = self._clock(), 0
            async for content in self._messages(text):
                if self._settings.pace:
                    due = (
                        begun + at / SAMPLE_RATE / self._settings.pace + self._draw.uniform(0, self._settings.jitter_s)
                    )
                    await asyncio.sleep(max(0.0, due - self._clock()))
                await _write(context, _RESPONSE(audio_content=content))
                at += len(content)
                self._sent += len(content)
                self._record.sent(len(content), self._clock())

    async def _messages(self, text: str) -> AsyncIterator[bytes]:
        """Yield the sound of a text in messages; a fault comes between two of them."""
        lead = mulaw.silence(self._draw.randint(*self._settings.lead_ms) * SAMPLES_PER_MS)
        whole = lead + sound(text).mulaw
        if _K.HEADER in self._faults or (self._settings.header and not self._sent):
            whole = mulaw_header() + whole
        at = 0
        while at < len(whole):
            size = self._draw.randint(*self._settings.chunk_ms) * SAMPLES_PER_MS
            fault = self._next_fault()
            left = None if fault is None else max(0, int(fault.at_s * SAMPLE_RATE) - self._sent)
            if fault is not None and left == 0:
                await self._strike(fault)
                continue
            if left is not None:
                size = min(size, left)
            yield whole[at : at + size]
            at += size

    def _next_fault(self) -> GoogleVoiceFault | None:
        """Return the fault that is still to strike within the sound."""
        if (fault := self._faults.get(_K.ABORT) or self._faults.get(_K.STALL)) is not None:
            return fault
        return None if self._paused else self._faults.get(_K.PAUSE)

    async def _strike(self, fault: GoogleVoiceFault) -> None:
        if fault.kind is _K.ABORT:
            raise SessionRefusal(grpc.StatusCode[fault.code], fault.text)
        if fault.kind is _K.STALL:
            await asyncio.Event().wait()
        self._paused = True
        await asyncio.sleep(fault.latency_s)


async def _write(context: Any, response: Any) -> None:
    """Write a message. A write that is cancelled in the middle would keep grpc.aio from sending the status after it."""
    writing = asyncio.ensure_future(context.write(response))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait((writing,), timeout=_WRITTEN_S)
        writing.cancel()
        raise
