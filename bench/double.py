"""The benchmark's Google: the speech double, with a cheaper ear and a second face.

`batkol speech-double` hears words by ear, which for a hundred calls takes a core of its own. Here its ear is one that
compares bytes (speech.py), so that the load's core has room for both; limits, delays, interims and finals are the
double's own. Where words are counted (lost_words.py) it keeps the double's ear. The others speak other versions of
Google's API: version 1, which on the wire is v1p1beta1, and version 2, whose messages are translated, one for one,
on their way to and from the same double. Each version ends a stream with its own code and text.

Every message of audio and every response is written down with its time, for the latencies of the report.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import grpc
import msgspec
import uvloop
from google.cloud.speech_v1p1beta1.types import cloud_speech as v1
from google.cloud.speech_v2.types import cloud_speech as v2

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.simulators.google import rules, stream
from batkol.simulators.google.finals import FinalPortions
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
from batkol.voices.marked.voice import SpokenWord
from speech import Ear, HeardWord


class Sent(msgspec.Struct, array_like=True):
    """A final, or the interims of one response put together."""

    at: float  # monotonic seconds, before it is written
    final: bool
    text: str


class StreamLog(msgspec.Struct):
    """One stream, as this side saw it. `ending` is OK, a status, or CANCELLED if the client left."""

    opened_at: float = 0.0  # monotonic seconds
    ended_at: float = 0.0
    ending: str = ""
    arrivals: list[tuple[float, int]] = []  # (monotonic seconds, samples so far)
    sent: list[Sent] = []
    words: list[HeardWord] = []
    interim_results: int = 0  # a response may hold two


_LOG: Final[ContextVar[StreamLog]] = ContextVar("log of the stream this task serves")


class Hearing:
    """The ear as the double knows it (`batkol.simulators.voice.recognizer.WordRecognizer`)."""

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


class LongWinded(FinalPortions):
    """Portions that do not wait for silence: speech of `every_s` seconds on end is settled up to its last word."""

    every_s = 0.0

    def append_words(self, words: Sequence[SpokenWord], quiet_until: int, now: float) -> None:
        for word in words:
            super().append_words((word,), word.end, now)
            if word.end - self._open[0].start >= self.every_s * SAMPLE_RATE:
                self._close(word.end, now + self._latency())
        super().append_words((), quiet_until, now)


class Wire:
    """One stream's context, which writes down what passes. Subclasses speak another version of the API."""

    def __init__(self, context: Any, log: StreamLog) -> None:
        self._context = context
        self._log = log
        self._samples = 0
        self.peer = context.peer
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

    async def abort(self, code: grpc.StatusCode, text: str) -> None:
        code, text = self.refusal(code, text)
        self._log.ending = code.name
        await self._context.abort(code, text)

    def inward(self, request: Any) -> Any:
        return request

    def outward(self, response: Any) -> Any:
        return response

    def refusal(self, code: grpc.StatusCode, text: str) -> tuple[grpc.StatusCode, str]:
        return code, text


class WireV1(Wire):
    """`google.cloud.speech.v1`: the same messages. One recognizer plays all models, by whatever name."""

    def inward(self, request: Any) -> Any:
        if request.HasField("streaming_config"):
            request.streaming_config.config.ClearField("model")
        return request


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
        config.enable_word_time_offsets = given.config.features.enable_word_time_offsets
        config.language_code = "iw-IL"
        return translated

    def outward(self, response: Any) -> Any:
        translated = _V2_RESPONSE()
        for result in response.results:
            other = translated.results.add(is_final=result.is_final, stability=result.stability)
            other.result_end_offset.CopyFrom(result.result_end_time)
            other.language_code = result.language_code
            best = result.alternatives[0]
            told = other.alternatives.add(transcript=best.transcript, confidence=best.confidence)
            for word in best.words:
                told.words.add(word=word.word, start_offset=word.start_time, end_offset=word.end_time)
        return translated

    def refusal(self, code: grpc.StatusCode, text: str) -> tuple[grpc.StatusCode, str]:
        return _V2_REFUSALS.get(text, (code, text))


_V2_REFUSALS: Final = {
    rules.STREAM_LIMIT: (grpc.StatusCode.ABORTED, "Max duration of 5 minutes reached for stream."),
    rules.NO_AUDIO: (grpc.StatusCode.ABORTED, "Stream timed out after receiving no more client requests."),
}
"""Reported in GoogleCloudPlatform/python-docs-samples 12053 and livekit/agents 852."""

_V1_REQUEST: Final = v1.StreamingRecognizeRequest.pb()
_V1_RESPONSE: Final = v1.StreamingRecognizeResponse.pb()
_V2_REQUEST: Final = v2.StreamingRecognizeRequest.pb()
_V2_RESPONSE: Final = v2.StreamingRecognizeResponse.pb()


class BenchDouble(SpeechDouble):
    """The double with all its faces, and its logs."""

    def __init__(self, settings: DoubleSettings | None = None) -> None:
        super().__init__(settings)
        self.logs: list[StreamLog] = []

    def handlers(self) -> grpc.GenericRpcHandler:
        v1_messages = _V1_REQUEST.FromString, _V1_RESPONSE.SerializeToString
        v2_messages = _V2_REQUEST.FromString, _V2_RESPONSE.SerializeToString
        return _Several(
            super().handlers(),
            _face("google.cloud.speech.v1.Speech", self._converse_v1, *v1_messages),
            _face("google.cloud.speech.v2.Speech", self._converse_v2, *v2_messages),
        )

    async def _streaming_recognize(self, requests: Any, context: Any) -> None:
        await self._converse(requests, context, Wire)

    async def _converse_v1(self, requests: Any, context: Any) -> None:
        await self._converse(requests, context, WireV1)

    async def _converse_v2(self, requests: Any, context: Any) -> None:
        await self._converse(requests, context, WireV2)

    async def _converse(self, requests: Any, context: Any, wire: type[Wire]) -> None:
        log = StreamLog(opened_at=time.monotonic())
        self.logs.append(log)
        _LOG.set(log)
        try:
            await super()._streaming_recognize(requests, wire(context, log))
            log.ending = "OK"
        finally:
            log.ending = log.ending or "CANCELLED"
            log.ended_at = time.monotonic()


def _face(service: str, converse: Any, read: Any, write: Any) -> grpc.GenericRpcHandler:
    streaming = grpc.stream_stream_rpc_method_handler(converse, read, write)
    return grpc.method_handlers_generic_handler(service, {"StreamingRecognize": streaming})


class _Several(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Services on one port, for a server that is given one handler."""

    def __init__(self, *handlers: grpc.GenericRpcHandler) -> None:
        self._all = handlers

    def service(self, handler_call_details: Any) -> Any:
        found = (handler.service(handler_call_details) for handler in self._all)
        return next((method for method in found if method is not None), None)


async def serve(port: int, out: Path, settings: DoubleSettings) -> None:
    """Serve until SIGTERM; then write the logs."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with BenchDouble(settings) as double:
        await double.start(port=port)
        await told.wait()
    out.write_bytes(msgspec.json.encode(double.logs))


def _replace(name: str, by: type) -> None:
    """Give the double another part. Raises `KeyError` if it has none of that name: the figures would mean nothing."""
    parts = vars(stream)
    if name not in parts:
        raise KeyError(name)
    parts[name] = by


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--settings", default="{}", help="DoubleSettings as JSON")
    parser.add_argument("--ear", default="marks", choices=("marks", "voice"), help="what it knows words by")
    parser.add_argument("--final-every-s", type=float, default=0.0, help="finals inside speech that long")
    given = parser.parse_args()
    if given.ear == "marks":
        _replace("WordRecognizer", Hearing)
    if given.final_every_s:
        LongWinded.every_s = given.final_every_s
        _replace("FinalPortions", LongWinded)
    uvloop.run(serve(given.port, given.out, msgspec.json.decode(given.settings, type=DoubleSettings)))


if __name__ == "__main__":
    main()
