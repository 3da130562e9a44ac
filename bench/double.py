"""The benchmark's Google: both faces of the streaming API over one cheap ear.

`google.cloud.speech.v1p1beta1` for the service and the naive design, `google.cloud.speech.v2` for pipecat, which
speaks nothing else; the same words, times and delays behind both. `batkol speech-double` is strict and hears the words
by ear, which for a hundred calls takes a core of its own; this one compares bytes (speech.py) and leaves its core to
the load. An interim every 100 ms of speech, a final 0.88 s (median) after its end: the delay published for Google.

It writes down when every message of audio came and when every response went, for the latencies of the report.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import msgspec
import uvloop
from google.cloud.speech_v1p1beta1.types import cloud_speech as v1
from google.cloud.speech_v2.types import cloud_speech as v2
from google.protobuf.duration_pb2 import Duration

from batkol.audio.mulaw import SAMPLE_RATE
from speech import Ear, HeardWord

INTERIM: Final = SAMPLE_RATE // 10
"""Samples of speech between two interims."""
PAUSE: Final = SAMPLE_RATE // 2
"""Silence after which an utterance gets its final; a little more than between two words."""
UNARY_S: Final = 0.35


class Sent(msgspec.Struct, array_like=True):
    at: float  # monotonic seconds
    final: bool
    text: str


class StreamLog(msgspec.Struct):
    """One stream, as this side saw it."""

    arrivals: list[tuple[float, int]] = []  # (monotonic seconds, samples so far)
    sent: list[Sent] = []
    words: list[HeardWord] = []


class Face(NamedTuple):
    """One version of the API: how its messages are read and written."""

    request: Any
    response: Any
    audio: str
    end_time: str


_V1: Final = Face(
    v1.StreamingRecognizeRequest.pb(), v1.StreamingRecognizeResponse.pb(), "audio_content", "result_end_time"
)
_V2: Final = Face(v2.StreamingRecognizeRequest.pb(), v2.StreamingRecognizeResponse.pb(), "audio", "result_end_offset")


class Stream:
    """One streaming recognition. Results are consecutive: a final covers what the next one does not."""

    def __init__(self, face: Face, log: StreamLog, write: Any, draw: random.Random) -> None:
        self._face = face
        self._log = log
        self._write = write
        self._draw = draw
        self._ear = Ear()
        self._words: list[HeardWord] = []  # since the last final
        self._interim_at = 0
        self._shown = ""
        self._due: asyncio.Task[None] | None = None
        self._order = asyncio.Lock()

    async def hear(self, linear16: bytes) -> None:
        words = self._ear.feed(linear16)
        received = self._ear.received
        self._log.arrivals.append((time.monotonic(), received))
        underway = self._ear.underway()
        if (words or underway) and self._due is not None:  # the next utterance begins: the final cannot wait
            await self._finish()
        self._words += words
        self._log.words += words
        if self._words and not underway and self._due is None and received - self._words[-1].end >= PAUSE:
            ended = (received - self._words[-1].end) / SAMPLE_RATE
            delay = self._draw.triangular(0.70, 1.25, 0.80) - ended
            self._due = asyncio.create_task(self._finish_after(delay))
        elif self._due is None and (self._words or underway) and received - self._interim_at >= INTERIM:
            self._interim_at = received
            await self._show(underway)

    async def end(self) -> None:
        """The client has half-closed: the final comes at once."""
        if self._due is not None or self._words:
            await self._finish()

    async def _show(self, underway: str) -> None:
        text = " ".join((*(word.text for word in self._words), *((underway,) if underway else ())))
        if text != self._shown:
            self._shown = text
            await self._send(text, self._ear.received, final=False)

    async def _finish_after(self, delay: float) -> None:
        await asyncio.sleep(max(0.0, delay))
        self._due = None
        await self._finish()

    async def _finish(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        words, self._words, self._shown = self._words, [], ""
        if words:
            await self._send(" ".join(word.text for word in words), words[-1].end, final=True, words=words)

    async def _send(self, text: str, end: int, *, final: bool, words: list[HeardWord] | None = None) -> None:
        response = self._face.response()
        result = response.results.add()
        result.is_final = final
        if not final:
            result.stability = 0.8
        getattr(result, self._face.end_time).CopyFrom(_duration(end))
        best = result.alternatives.add()
        best.transcript = text
        for word in words or ():
            told = best.words.add()
            told.word = word.text
            if self._face is _V1:
                told.start_time.CopyFrom(_duration(word.start))
                told.end_time.CopyFrom(_duration(word.end))
        async with self._order:
            self._log.sent.append(Sent(time.monotonic(), final, text))
            await self._write(response)


def _duration(sample: int) -> Duration:
    return Duration(seconds=sample // SAMPLE_RATE, nanos=sample % SAMPLE_RATE * 125_000)


class Double:
    """The gRPC service."""

    def __init__(self) -> None:
        self.logs: list[StreamLog] = []

    def add_to(self, server: grpc.aio.Server) -> None:
        unary = grpc.unary_unary_rpc_method_handler(
            self._recognize, v1.RecognizeRequest.pb().FromString, v1.RecognizeResponse.pb().SerializeToString
        )
        faces = {"google.cloud.speech.v1p1beta1.Speech": _V1, "google.cloud.speech.v2.Speech": _V2}
        for name, face in faces.items():
            streaming = grpc.stream_stream_rpc_method_handler(
                self._streaming(face), face.request.FromString, face.response.SerializeToString
            )
            handlers = {"StreamingRecognize": streaming, "Recognize": unary}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))

    def _streaming(self, face: Face) -> Any:
        async def converse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            log = StreamLog()
            self.logs.append(log)
            stream = Stream(face, log, context.write, random.Random(len(self.logs)))
            while (request := await context.read()) is not grpc.aio.EOF:
                if linear16 := getattr(request, face.audio):
                    await stream.hear(linear16)
            await stream.end()

        return converse

    async def _recognize(self, request: Any, _: grpc.aio.ServicerContext[Any, Any]) -> Any:
        await asyncio.sleep(UNARY_S)
        response = v1.RecognizeResponse.pb()()
        words = Ear().feed(request.audio.content)
        if words:
            response.results.add().alternatives.add().transcript = " ".join(word.text for word in words)
        return response


async def serve(port: int, out: Path) -> None:
    """Serve until SIGTERM; then write the logs."""
    double = Double()
    server = grpc.aio.server()
    double.add_to(server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await told.wait()
    await server.stop(0)
    out.write_bytes(msgspec.json.encode(double.logs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    uvloop.run(serve(given.port, given.out))


if __name__ == "__main__":
    main()
