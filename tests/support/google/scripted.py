"""A Google that does what a test tells it: the real service over a real socket, and no rule of its own.

The project's speech double is strict; this one is for what a strict double never does: refusals by any status code,
streams that stall, responses that make no sense.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
from google.cloud.speech_v1p1beta1.types import cloud_speech
from google.rpc import status_pb2  # type: ignore[import-untyped]  # has no types

SERVICE = "google.cloud.speech.v1p1beta1.Speech"
MS_A_SECOND = 1000


def result(text: str, end_ms: int, *, final: bool = False, stability: float = 0.0) -> Any:
    """Build one `StreamingRecognitionResult`; without text it has no alternatives."""
    return cloud_speech.StreamingRecognitionResult(
        alternatives=[cloud_speech.SpeechRecognitionAlternative(transcript=text)] if text else [],
        is_final=final,
        stability=stability,
        result_end_time=timedelta(milliseconds=end_ms),
    )


class ServedStream:
    """One `StreamingRecognize`, from Google's side."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self.config: Any = None
        self.messages: list[bytes] = []
        """The audio of every message after the first."""
        self.half_closed = False
        self.ended = asyncio.Event()
        context.add_done_callback(lambda _: self.ended.set())

    @property
    def linear16(self) -> bytes:
        return b"".join(self.messages)

    async def read(self) -> bytes | None:
        """Read the next message: its audio, or None when the client has half-closed."""
        request = await self._context.read()
        if request is grpc.aio.EOF:
            self.half_closed = True
            return None
        if self.config is None:
            assert not request.audio_content, "the first message is configuration only"
            self.config = request.streaming_config
            return b""
        assert not request.streaming_config, "only the first message is configuration"
        self.messages.append(request.audio_content)
        return bytes(request.audio_content)

    async def read_to_end(self) -> None:
        while await self.read() is not None:
            pass

    async def read_samples(self, samples: int) -> None:
        """Read until that many samples have come."""
        while len(self.linear16) < 2 * samples:
            assert await self.read() is not None

    async def say(self, *results: Any, error: tuple[int, str] | None = None) -> None:
        """Send a response."""
        response = cloud_speech.StreamingRecognizeResponse(results=list(results))
        if error is not None:
            response.error = status_pb2.Status(code=error[0], message=error[1])
        await self._context.write(response)

    async def abort(self, code: grpc.StatusCode, text: str) -> None:
        await self._context.abort(code, text)


StreamScript = Callable[[ServedStream], Awaitable[None]]
SingleScript = Callable[[Any, Any], Awaitable[str]]


async def until_the_end(stream: ServedStream) -> None:
    """Hear everything, answer nothing, end when the client half-closes."""
    await stream.read_to_end()


async def nothing(request: Any, context: Any) -> str:
    """Make nothing of it."""
    return ""


class ScriptedGoogle:
    """`stream` and `single` may be changed while it serves."""

    def __init__(self, stream: StreamScript = until_the_end, single: SingleScript = nothing) -> None:
        self.stream = stream
        self.single = single
        self.streams: list[ServedStream] = []
        self.requests: list[Any] = []
        self.address = ""
        self._changed = asyncio.Condition()

    async def opened(self, count: int) -> None:
        """Wait until that many streams were opened."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.streams) >= count)

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return the service, for a server or for a wire in memory."""
        handlers = {
            "StreamingRecognize": grpc.stream_stream_rpc_method_handler(
                self.serve_stream,
                request_deserializer=cloud_speech.StreamingRecognizeRequest.deserialize,
                response_serializer=cloud_speech.StreamingRecognizeResponse.serialize,
            ),
            "Recognize": grpc.unary_unary_rpc_method_handler(
                self.serve_single,
                request_deserializer=cloud_speech.RecognizeRequest.deserialize,
                response_serializer=cloud_speech.RecognizeResponse.serialize,
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    async def serve_stream(self, _: Any, context: Any) -> None:
        served = ServedStream(context)
        async with self._changed:
            self.streams.append(served)
            self._changed.notify_all()
        await self.stream(served)

    async def serve_single(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        text = await self.single(request, context)
        alternatives = [cloud_speech.SpeechRecognitionAlternative(transcript=text)]
        results = [cloud_speech.SpeechRecognitionResult(alternatives=alternatives)] if text else []
        return cloud_speech.RecognizeResponse(results=results)


@asynccontextmanager
async def served(
    google: ScriptedGoogle,
    *,
    options: Sequence[tuple[str, Any]] = (),
    compression: grpc.Compression = grpc.Compression.NoCompression,
) -> AsyncIterator[ScriptedGoogle]:
    """Serve it over gRPC, on a free port of the loopback."""
    server = grpc.aio.server(options=list(options), compression=compression)
    server.add_generic_rpc_handlers((google.handlers(),))
    google.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield google
    finally:
        await server.stop(None)


@asynccontextmanager
async def scripted_google(
    stream: StreamScript = until_the_end,
    single: SingleScript = nothing,
    *,
    options: Sequence[tuple[str, Any]] = (),
    compression: grpc.Compression = grpc.Compression.NoCompression,
) -> AsyncIterator[ScriptedGoogle]:
    """Serve these scripts over gRPC, on a free port of the loopback."""
    async with served(ScriptedGoogle(stream, single), options=options, compression=compression) as google:
        yield google
