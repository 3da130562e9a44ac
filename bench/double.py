"""The benchmark's Google: the speech double, with a cheaper ear and a second face.

`batkol speech-double` hears words by ear, which for a hundred calls takes a core of its own. Here its ear is one that
compares bytes (speech.py), so that the load's core has room for both; limits, delays, interims and finals are the
double's own. pipecat speaks version 2 of Google's API and nothing else: its messages are translated, one for one, on
their way to and from the same double.

Every message of audio and every response is written down with its time, for the latencies of the report.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import grpc
import msgspec
import uvloop
from google.cloud.speech_v1p1beta1.types import cloud_speech as v1
from google.cloud.speech_v2.types import cloud_speech as v2

from batkol.simulators import speech_stream
from batkol.simulators.speech_double import SpeechDouble
from batkol.simulators.voice import SpokenWord
from speech import Ear, HeardWord


class Sent(msgspec.Struct, array_like=True):
    """A final, or the interims of one response put together."""

    at: float  # monotonic seconds, before it is written
    final: bool
    text: str


class StreamLog(msgspec.Struct):
    """One stream, as this side saw it."""

    arrivals: list[tuple[float, int]] = []  # (monotonic seconds, samples so far)
    sent: list[Sent] = []
    words: list[HeardWord] = []
    interim_results: int = 0  # a response may hold two


_LOG: Final[ContextVar[StreamLog]] = ContextVar("log of the stream this task serves")


class Hearing:
    """The ear as the double knows it (`batkol.simulators.hearing.Hearing`)."""

    def __init__(self, *, edges: bool = True) -> None:  # noqa: ARG002  the double's
        self._ear = Ear()
        self._log = _LOG.get()

    @property
    def position(self) -> int:
        return self._ear.received

    @property
    def quiet_until(self) -> int:
        return self._ear.settled

    def feed(self, linear16: bytes) -> list[SpokenWord]:
        words = self._ear.feed(linear16)
        self._log.words += words
        return [SpokenWord(word.text, word.start, word.end) for word in words]

    def finish(self) -> list[SpokenWord]:
        return []

    def underway(self) -> SpokenWord | None:
        begun = self._ear.underway()
        return None if begun is None else SpokenWord(begun[0], begun[1], self._ear.received)


class Wire:
    """One stream's context, which writes down what passes. Subclasses speak another version of the API."""

    def __init__(self, context: Any, log: StreamLog) -> None:
        self._context = context
        self._log = log
        self._samples = 0
        self.peer = context.peer
        self.abort = context.abort
        self.invocation_metadata = context.invocation_metadata

    async def read(self) -> Any:
        request = await self._context.read()
        if request is grpc.aio.EOF:
            return request
        request = self.inward(request)
        if request.audio_content:
            self._samples += len(request.audio_content) // 2
            self._log.arrivals.append((time.monotonic(), self._samples))
        return request

    async def write(self, response: Any) -> None:
        now = time.monotonic()
        results = list(response.results)
        if results and results[0].is_final:
            self._log.sent.append(Sent(now, True, results.pop(0).alternatives[0].transcript.strip()))
        if results:
            self._log.interim_results += len(results)
            text = "".join(result.alternatives[0].transcript for result in results)
            self._log.sent.append(Sent(now, False, text.strip()))
        await self._context.write(self.outward(response))

    def inward(self, request: Any) -> Any:
        return request

    def outward(self, response: Any) -> Any:
        return response


class WireV2(Wire):
    """`google.cloud.speech.v2`: other names for the same things."""

    def inward(self, request: Any) -> Any:
        if request.audio:
            return _V1_REQUEST(audio_content=request.audio)
        given = request.streaming_config
        decoding = given.config.explicit_decoding_config
        translated = _V1_REQUEST()
        translated.streaming_config.interim_results = given.streaming_features.interim_results
        config = translated.streaming_config.config
        config.encoding = decoding.encoding  # LINEAR16 is 1 in both
        config.sample_rate_hertz = decoding.sample_rate_hertz
        config.audio_channel_count = decoding.audio_channel_count
        config.language_code = "iw-IL"
        return translated

    def outward(self, response: Any) -> Any:
        translated = _V2_RESPONSE()
        for result in response.results:
            other = translated.results.add(is_final=result.is_final, stability=result.stability)
            other.result_end_offset.CopyFrom(result.result_end_time)
            best = result.alternatives[0]
            other.alternatives.add(transcript=best.transcript, confidence=best.confidence)
        return translated


_V1_REQUEST: Final = v1.StreamingRecognizeRequest.pb()
_V2_REQUEST: Final = v2.StreamingRecognizeRequest.pb()
_V2_RESPONSE: Final = v2.StreamingRecognizeResponse.pb()


class BenchDouble(SpeechDouble):
    """The double with both faces, and its logs."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: list[StreamLog] = []

    def _handlers(self) -> grpc.GenericRpcHandler:
        return _Both(super()._handlers(), self._v2())

    def _v2(self) -> grpc.GenericRpcHandler:
        streaming = grpc.stream_stream_rpc_method_handler(
            self._converse_v2, _V2_REQUEST.FromString, _V2_RESPONSE.SerializeToString
        )
        return grpc.method_handlers_generic_handler("google.cloud.speech.v2.Speech", {"StreamingRecognize": streaming})

    async def _streaming_recognize(self, requests: Any, context: Any) -> None:
        await self._converse(requests, context, Wire)

    async def _converse_v2(self, requests: Any, context: Any) -> None:
        await self._converse(requests, context, WireV2)

    async def _converse(self, requests: Any, context: Any, wire: type[Wire]) -> None:
        log = StreamLog()
        self.logs.append(log)
        _LOG.set(log)
        await super()._streaming_recognize(requests, wire(context, log))


class _Both(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Two services on one port, for a server that is given one handler."""

    def __init__(self, *handlers: grpc.GenericRpcHandler) -> None:
        self._all = handlers

    def service(self, handler_call_details: Any) -> Any:
        found = (handler.service(handler_call_details) for handler in self._all)
        return next((method for method in found if method is not None), None)


async def serve(port: int, out: Path) -> None:
    """Serve until SIGTERM; then write the logs."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with BenchDouble() as double:
        await double.start(port=port)
        await told.wait()
    out.write_bytes(msgspec.json.encode(double.logs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    vars(speech_stream)["Hearing"] = Hearing
    uvloop.run(serve(given.port, given.out))


if __name__ == "__main__":
    main()
