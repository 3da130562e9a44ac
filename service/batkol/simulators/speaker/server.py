"""The voice double: OpenAI's `POST /v1/audio/speech` on a real socket, which speaks the marked words.

    async with VoiceDouble(SpeakerSettings(first_byte_s=0.15)) as double:
        port = await double.start()
        double.inject(VoiceFault(kind=VoiceFaultKind.STALL, at_s=0.5))

It refuses what OpenAI refuses, and in its shapes. From another process its faults and records are reached over HTTP
(`batkol.simulators.google.control`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from batkol.audio.wav import wav_header
from batkol.simulators.double import FaultyDouble
from batkol.simulators.llm.wire import DoubleConnection, Request, WireError, chunk
from batkol.simulators.speaker import rules
from batkol.simulators.speaker.faults import VoiceFault, VoiceFaultKind
from batkol.simulators.speaker.settings import SpeakerSettings
from batkol.simulators.speaker.speech import BYTES_PER_S, RATE, pcm
from batkol.simulators.speaker.stats import SpeakerStats, SpokenRequest

_CONTENT: dict[str, str] = {"pcm": "audio/pcm", "wav": "audio/wav"}


class VoiceDouble(FaultyDouble[VoiceFault, SpeakerStats]):
    """The double in this process. Leaving the context stops it and ends what is under way. `clock` is in seconds."""

    def __init__(self, settings: SpeakerSettings | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings or SpeakerSettings()
        super().__init__(SpeakerStats, clock)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[Any] | None] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, and return the port. Raises `OSError` if it is taken."""
        self._server = await asyncio.start_server(self._accept, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, and close every connection."""
        if self._server is not None:
            self._server.close()
        serving = [task for task in self._connections if task is not None]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    @property
    def records(self) -> list[SpokenRequest]:
        """The requests since the start or the last reset, in their order."""
        return list(self._stats.records)

    # The wire

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._connections.add(task)
        self._stats.connections += 1
        connection = DoubleConnection(reader, writer, self._stats.connections)
        try:
            while (request := await connection.request()) is not None:
                if not await self._respond(connection, request):
                    break
        except WireError as error:
            await connection.answer(error.status, rules.SpeechRefusal(error.status, str(error)).body)
        except asyncio.CancelledError:
            connection.cut()
        finally:
            self._connections.discard(task)
            connection.close()

    async def _respond(self, connection: DoubleConnection, request: Request) -> bool:
        """Answer one request; return whether the connection can have another one."""
        if rules.asks_for_models(request.method, request.path):
            return await self._list_models(connection, request)
        record = self._stats.came(self._clock())
        work = asyncio.create_task(self._speak(connection, request, record), name="voice_double.speak")
        leaving = asyncio.create_task(connection.left(), name="voice_double.left")
        leaving.add_done_callback(lambda _: self._left(work, record))
        try:
            await asyncio.wait([work, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return False
            if work.result() is not None:
                connection.cut()
            return work.result() is None
        finally:
            work.cancel()
            leaving.cancel()
            await asyncio.gather(work, leaving, return_exceptions=True)
            record.ended("cancelled", self._clock())

    async def _list_models(self, connection: DoubleConnection, request: Request) -> bool:
        try:
            rules.check_key(request.headers.get("authorization", ""), self.settings)
        except rules.SpeechRefusal as refusal:
            await connection.answer(refusal.status, refusal.body)
        else:
            await connection.answer(200, rules.model_list(self.settings))
        return True

    def _left(self, work: asyncio.Task[VoiceFaultKind | None], record: SpokenRequest) -> None:
        if not work.done():
            record.cancelled_at = self._clock()

    async def _speak(
        self, connection: DoubleConnection, request: Request, record: SpokenRequest
    ) -> VoiceFaultKind | None:
        """Answer; return the fault after which the connection is cut."""
        hit = self._book.befall(lambda fault: fault.befalls(record.number), self._clock())
        faults = {fault.kind: fault for fault in hit}
        if VoiceFaultKind.DROP in faults:
            record.ended(VoiceFaultKind.DROP, self._clock())
            return VoiceFaultKind.DROP
        if VoiceFaultKind.HANG in faults:
            await asyncio.Event().wait()
        try:
            rules.check_route(request.method, request.path)
            rules.check_key(request.headers.get("authorization", ""), self.settings)
            asked = rules.read(request.body, self.settings)
            record.text, record.model, record.voice = asked.input, asked.model, asked.voice
            record.response_format = asked.response_format
            if (fault := faults.get(VoiceFaultKind.REFUSE)) is not None:
                raise rules.refused(fault.status, fault.code)
        except rules.SpeechRefusal as refusal:
            record.ended(str(refusal.status), self._clock())
            await connection.answer(refusal.status, refusal.body)
            return None
        return await self._stream(connection, asked, record, faults)

    async def _stream(
        self,
        connection: DoubleConnection,
        asked: rules.SpeechRequest,
        record: SpokenRequest,
        faults: dict[VoiceFaultKind, VoiceFault],
    ) -> VoiceFaultKind | None:
        sound = b"" if VoiceFaultKind.EMPTY in faults else pcm(asked.input, self.settings.lead(asked.input))
        record.bytes_whole = len(sound)
        slow = faults.get(VoiceFaultKind.SLOW)
        await self._until(record.came_at + (slow.latency_s if slow else self.settings.first_byte(record.number)))
        await connection.begin({}, _CONTENT[asked.response_format])
        begun = record.first_byte_at = self._clock()
        header = wav_header(RATE) if asked.response_format == "wav" or VoiceFaultKind.HEADER in faults else b""
        broken = faults.get(VoiceFaultKind.STALL) or faults.get(VoiceFaultKind.CUT)
        size = self.settings.chunk_ms * BYTES_PER_S // 1000 & ~1
        end = min(len(sound), int(broken.at_s * BYTES_PER_S)) if broken else len(sound)
        draw = random.Random(f"{self.settings.seed}/{record.number}/jitter")
        for at in range(0, end, size):
            if self.settings.pace:
                late = draw.uniform(0, self.settings.jitter_s)
                await self._until(begun + at / BYTES_PER_S / self.settings.pace + late)
            part = sound[at : min(end, at + size)]
            await connection.write(chunk(header + part))
            record.sent(len(part))
            header = b""
        if VoiceFaultKind.STALL in faults:
            await asyncio.Event().wait()
        if VoiceFaultKind.CUT in faults:
            record.ended(VoiceFaultKind.CUT, self._clock())
            return VoiceFaultKind.CUT
        if header:
            await connection.write(chunk(header))
        record.ended("whole", self._clock())
        await connection.end()
        return None

    async def _until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - self._clock()))
