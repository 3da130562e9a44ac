"""A Whisper server that hears the synthetic voice: OpenAI's `/v1/audio/transcriptions`, as speaches serves it.

As strict as that: the path, the form's fields, a model that is installed, a language that Whisper has, a sound that can
be decoded, the key. Its refusals are worded as there. As untidy: a text begins with a space and has marks between its
words, a connection at rest is closed without a word, the first request may wait for the model, and silence may become
a sentence that was not said.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, Final

from batkol.simulators.voice.recognizer import WordRecognizer

IVRIT: Final = "ivrit-ai/whisper-large-v3-turbo-ct2"
"""The model of ivrit.ai that the pages recommend."""
HALLUCINATED: Final = "תודה רבה."

_SLOW_S: Final = 0.3
_HEADER: Final = 44  # bytes of a plain WAV file before its samples
_LANGUAGES: Final = frozenset({"he", "en", "ar", "ru", "fr"})  # of Whisper's hundred
_FIELDS: Final = {"file", "model", "language", "prompt", "response_format", "temperature"}
_REASONS: Final = {
    200: "OK", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 415: "Unsupported Media Type",
    422: "Unprocessable Entity", 500: "Internal Server Error",
}  # fmt: skip


class _Refused(Exception):  # noqa: N818  it is an answer
    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass
class HearingWhisper:
    """`url` for WHISPER_URL; `answers` is what it has said, `refusals` the statuses of what it refused."""

    url: str = ""
    models: frozenset[str] = frozenset({"whisper-1", IVRIT})
    api_key: str = ""
    load_s: float = 0.0
    """Time that the first request waits for the model."""
    closes_at_rest: bool = False
    """Whether a connection is closed after an answer that promises to keep it."""
    hallucinates: bool = False
    answers: list[str] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    connections: int = 0
    _loaded: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; return whether the connection stays."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        try:
            text = await self._transcription(head[0], headers, body)
            status, answer = 200, {"text": text, "usage": {"type": "duration", "seconds": 1}}
        except _Refused as refused:
            status, answer = refused.status, {"detail": refused.detail}
            self.refusals.append(status)
        content = json.dumps(answer, ensure_ascii=False).encode()
        writer.write(f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n".encode())
        writer.write(b"Content-Length: %d\r\n\r\n" % len(content) + content)
        await writer.drain()
        return not self.closes_at_rest

    async def _transcription(self, line: str, headers: dict[str, str], body: bytes) -> str:
        method, target, _ = line.split(" ")
        if target != "/v1/audio/transcriptions":
            raise _Refused(404, "Not Found")
        if method != "POST":
            raise _Refused(405, "Method Not Allowed")
        if self.api_key and headers.get("authorization") != f"Bearer {self.api_key}":
            raise _Refused(403, "Invalid API key. The provided API key is incorrect.")
        file = self._checked(fields(headers.get("content-type", ""), body))
        if not self._loaded:
            await asyncio.sleep(self.load_s)
            self._loaded = True
        words = transcribed(file)
        self.answers.append(words)
        await asyncio.sleep(_SLOW_S)
        if not words:
            return f" {HALLUCINATED}" if self.hallucinates else ""
        return f" {words.replace(' ', ', ', 1)}." if self.hallucinates else f" {words}"

    def _checked(self, given: dict[str, bytes]) -> bytes:
        for name in ("file", "model"):
            if name not in given:
                raise _Refused(422, [{"type": "missing", "loc": ["body", name], "msg": "Field required"}])
        if unknown := given.keys() - _FIELDS:
            raise _Refused(422, [{"type": "extra_forbidden", "loc": ["body", *sorted(unknown)]}])
        if given.get("response_format", b"json") != b"json":
            raise _Refused(422, [{"type": "literal_error", "loc": ["body", "response_format"]}])
        if (model := given["model"].decode()) not in self.models:
            how = "You can download the model using `POST /v1/models`"
            raise _Refused(404, f"Model '{model}' is not installed locally. {how}")
        if given.get("language", b"he").decode() not in _LANGUAGES:
            raise _Refused(500, "Internal Server Error")  # faster-whisper raises a ValueError
        file = given["file"]
        if file[:4] != b"RIFF" or file[8:16] != b"WAVEfmt ":
            raise _Refused(415, "Failed to decode audio. The provided file type is not supported.")
        return file


def fields(content_type: str, body: bytes) -> dict[str, bytes]:
    """Read a multipart form, strictly: each field once, a file with a name."""
    form: Message[str, str] = BytesParser(policy=HTTP).parsebytes(
        f"Content-Type: {content_type}\r\n\r\n".encode() + body
    )
    if form.get_content_type() != "multipart/form-data" or not form.is_multipart() or form.defects:
        raise _Refused(422, "the body is no multipart form")
    found: dict[str, bytes] = {}
    for part in form.get_payload():
        assert isinstance(part, Message)
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes) or name in found:
            raise _Refused(422, "a part of the form has no name, or that of another one")
        if (name == "file") != (part.get_filename() is not None):
            raise _Refused(422, [{"type": "value_error", "loc": ["body", name], "msg": "Expected UploadFile"}])
        found[name] = content
    return found


def transcribed(file: bytes) -> str:
    """Say what was said in a WAV file."""
    size = int.from_bytes(file[40:44], "little")
    hearing = WordRecognizer()
    words = hearing.feed(file[_HEADER : _HEADER + size]) + hearing.finish()
    return " ".join(word.text for word in words)


@asynccontextmanager
async def hearing_whisper(**chosen: Any) -> AsyncIterator[HearingWhisper]:
    """Serve on a free port of this machine."""
    whisper = HearingWhisper(**chosen)
    connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        try:
            await whisper.serve(reader, writer)
        finally:
            connections.discard(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    whisper.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield whisper
    finally:
        server.close()
        for writer in connections:
            writer.close()
        await server.wait_closed()
