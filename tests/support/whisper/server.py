"""A Whisper server that hears the synthetic voice: OpenAI's `/v1/audio/transcriptions`, one request a connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from batkol.simulators.voice.recognizer import WordRecognizer

_SLOW_S = 0.3
_HEADER = 44  # bytes of a plain WAV file before its samples


@dataclass
class HearingWhisper:
    """`url` for WHISPER_URL; `answers` is what it has said."""

    url: str = ""
    answers: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").lower().split("\r\n")
            length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
            text = transcribed(await reader.readexactly(length))
            self.answers.append(text)
            await asyncio.sleep(_SLOW_S)
            body = json.dumps({"text": text}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()


def transcribed(form: bytes) -> str:
    """Read the WAV file out of the multipart form and say what was said in it."""
    file = form[form.index(b"RIFF") :]
    size = int.from_bytes(file[40:44], "little")
    hearing = WordRecognizer()
    words = hearing.feed(file[_HEADER : _HEADER + size]) + hearing.finish()
    return " ".join(word.text for word in words)


@asynccontextmanager
async def hearing_whisper() -> AsyncIterator[HearingWhisper]:
    """Serve on a free port of this machine."""
    whisper = HearingWhisper()
    server = await asyncio.start_server(whisper.serve, "127.0.0.1", 0)
    whisper.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield whisper
    finally:
        server.close()
        await server.wait_closed()
