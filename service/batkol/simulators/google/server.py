"""A strict double of Google Cloud Speech: the real gRPC service, Google's limits, and ears for the synthetic voice.

`google.cloud.speech.v1p1beta1.Speech` with StreamingRecognize and Recognize. What it plays is in `speech_settings`,
what can go wrong in `faults`; from another process both are steered over HTTP (`speech_control`).

    async with SpeechDouble(DoubleSettings()) as double:
        port = await double.start()
        double.inject(Fault(kind=Kind.STALL, when=Moment.AUDIO, seconds=2))
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import signal
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
import msgspec
import structlog
from google.cloud.speech_v1p1beta1.types import cloud_speech

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.simulators.double import FaultyDouble
from batkol.simulators.google.control import serve_control
from batkol.simulators.google.faults import Fault, Moment, Surface, befalls
from batkol.simulators.google.mishearing import Mishearing
from batkol.simulators.google.rules import RefusalError
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.google.stats import Stats, StreamRecord
from batkol.simulators.google.stream import StreamRecognizer
from batkol.simulators.google.unary import recognize
from batkol.simulators.grpc_server import GrpcServer

ReadClock = Callable[[], float]

_log = structlog.get_logger()

_SERVICE: Final = "google.cloud.speech.v1p1beta1.Speech"
_ROOM: Final = 12 * 1024 * 1024  # so that the double, not gRPC, refuses what is beyond 10 MB


class _Conversation:
    """One stream on the wire: a task that reads, and the handler that answers when something is due."""

    def __init__(
        self, listener: StreamRecognizer, record: StreamRecord, *, record_times: bool, clock: ReadClock
    ) -> None:
        self.listener = listener
        self._record = record
        self._keep = record_times
        self._clock = clock
        self._wake = asyncio.Event()
        self._armed = -math.inf

    def wake(self) -> None:
        """Something changed from outside: look again."""
        self._wake.set()

    async def run(self, context: Any) -> None:
        """Answer until the stream is done. Raises `RefusalError`; cancelling it (the client left) loses nothing."""
        reader = asyncio.create_task(self._read(context), name="speech_double.read")
        try:
            while not self.listener.finished:
                for response in self.listener.tick(self._clock()):
                    await context.write(response)
                    self._record.answered(response, self._clock(), record=self._keep)
                if self.listener.finished:
                    break
                await self._pause()
                if reader.done():
                    reader.result()
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    async def _pause(self) -> None:
        self._armed = self.listener.deadline
        timer = None
        if self._armed < math.inf:
            wait = max(0.0, self._armed - self._clock())
            timer = asyncio.get_running_loop().call_later(wait, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        self._armed = -math.inf
        if timer is not None:
            timer.cancel()

    async def _read(self, context: Any) -> None:
        listener, record = self.listener, self._record
        try:
            while (request := await context.read()) is not grpc.aio.EOF:
                now = self._clock()
                before = listener.samples
                listener.receive(request, now)
                if listener.samples != before:
                    record.received(now, listener.samples / SAMPLE_RATE, record=self._keep)
                    record.record_words(listener.words, now)
                else:
                    record.configured(request.streaming_config.config)
                if listener.deadline < self._armed:
                    self._wake.set()
            record.half_closed_at = self._clock()
            listener.half_close(record.half_closed_at)
            record.record_words(listener.words, record.half_closed_at)
        finally:
            self._wake.set()


class SpeechDouble(FaultyDouble[Fault, Stats]):
    """The double in this process. Leaving the context stops it and ends what is under way. `clock` is in seconds."""

    def __init__(self, settings: DoubleSettings | None = None, *, clock: ReadClock = time.monotonic) -> None:
        self.settings = settings or DoubleSettings()
        super().__init__(Stats, clock)
        self.mishearing = Mishearing(self.settings.misheard, self.settings.seed)
        self._server = GrpcServer()
        self._open: dict[int, tuple[StreamRecord, _Conversation]] = {}

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, and return the port. Raises `RuntimeError` if it is taken."""
        return await self._server.start(
            self.handlers(),
            host,
            port,
            streams_per_connection=self.settings.streams_per_connection,
            options=(("grpc.max_receive_message_length", _ROOM), *self._ages()),
        )

    def _ages(self) -> tuple[tuple[str, int], ...]:
        age_s, grace_s = self.settings.connection_age_s, self.settings.connection_grace_s
        if not age_s:
            return ()
        ages = ("grpc.max_connection_age_ms", age_s), ("grpc.max_connection_age_grace_ms", grace_s)
        return tuple((name, round(seconds * 1000)) for name, seconds in ages)

    async def stop(self) -> None:
        """End all streams at once (clients see UNAVAILABLE or CANCELLED) and close the port."""
        await self._server.stop()

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return the service, for a server or another wire."""
        streaming = grpc.stream_stream_rpc_method_handler(
            self._streaming_recognize,
            request_deserializer=cloud_speech.StreamingRecognizeRequest.pb().FromString,
            response_serializer=cloud_speech.StreamingRecognizeResponse.pb().SerializeToString,
        )
        unary = grpc.unary_unary_rpc_method_handler(
            self._recognize,
            request_deserializer=cloud_speech.RecognizeRequest.pb().FromString,
            response_serializer=cloud_speech.RecognizeResponse.pb().SerializeToString,
        )
        methods = {"StreamingRecognize": streaming, "Recognize": unary}
        return grpc.method_handlers_generic_handler(_SERVICE, methods)

    # Control

    def inject(self, *faults: Fault) -> None:
        """Put faults in force: for streams that open from now on, and with `running` for open ones too."""
        now = self._clock()
        for fault in faults:
            self._book.inject(fault, now)
            for record, conversation in list(self._open.values()) if fault.running else ():
                if befalls(fault, Surface.STREAMING, record.number, record.call):
                    at_once = msgspec.structs.replace(fault, when=Moment.ELAPSED, seconds=0.0)
                    conversation.listener.arm((at_once if fault.when is Moment.OPEN else fault,), now)
                    conversation.wake()

    # The two methods

    async def _streaming_recognize(self, _requests: Any, context: Any) -> None:
        record, faults, stats = self._begin(context, unary=False)
        untidy = random.Random(f"{self.settings.seed}/untidy/{record.number}")
        listener = StreamRecognizer(
            self.settings,
            latency=self._latency(record.number),
            now=record.opened_at,
            draw=untidy,
            mishearing=self.mishearing.stream(),
        )
        conversation = _Conversation(listener, record, record_times=self.settings.record, clock=self._clock)
        self._open[id(record)] = record, conversation
        ending = "CANCELLED"
        try:
            listener.arm(faults, record.opened_at)
            listener.open(record.opened_at)
            await conversation.run(context)
            ending = "OK"
        except RefusalError as refusal:
            ending = refusal.code.name
            await context.abort(refusal.code, refusal.text, refusal.trailers)
        finally:
            del self._open[id(record)]
            stats.ended(record, ending, self._clock())

    async def _recognize(self, request: Any, context: Any) -> Any:
        record, faults, stats = self._begin(context, unary=True)
        ending = "CANCELLED"
        try:
            response = await recognize(
                request, faults, record, self.settings, self._clock, mishearing=self.mishearing.stream()
            )
            ending = "OK"
        except RefusalError as refusal:
            ending = refusal.code.name
            await context.abort(refusal.code, refusal.text, refusal.trailers)
        finally:
            stats.ended(record, ending, self._clock())
        return response

    def _begin(self, context: Any, *, unary: bool) -> tuple[StreamRecord, tuple[Fault, ...], Stats]:
        now = self._clock()
        metadata = dict(context.invocation_metadata() or ())
        call = metadata.get(self.settings.call_header)
        record = self._stats.opened(unary=unary, peer=context.peer(), call=call, now=now)
        surface = Surface.UNARY if unary else Surface.STREAMING
        return record, self._book.befall(lambda fault: befalls(fault, surface, record.number, call), now), self._stats

    def _latency(self, number: int) -> Any:
        draw = random.Random(f"{self.settings.seed}/{number}")
        return lambda: self.settings.final_latency(draw)


async def run(settings: DoubleSettings, host: str, port: int, control_port: int) -> None:
    """Serve until cancelled, or until SIGTERM or SIGINT. Prints where it listens.

    Raises `RuntimeError` or `OSError` if a port is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with SpeechDouble(settings) as double:
        bound = await double.start(host, port)
        control = await serve_control(double, host, control_port)
        async with control:
            at = control.sockets[0].getsockname()[1]
            print(f"speech double: gRPC on {host}:{bound}, control on http://{host}:{at}", flush=True)  # noqa: T201 - the command's answer
            await stop.wait()
    _log.info("[DOUBLE] speech double stopped")


def main() -> None:
    """`python -m batkol.simulators.google.server`."""
    parser = argparse.ArgumentParser(prog="speech_double", description="A strict double of Google Cloud Speech.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9090, help="gRPC; 0 takes any free one")
    parser.add_argument("--control-port", type=int, default=9091, help="HTTP; 0 takes any free one")
    parser.add_argument(
        "--first-word-takes-pause", action="store_true", help="time a final's first word from the last final's words on"
    )
    parser.add_argument("--record", action="store_true", help="keep the time of every message and response")
    given = parser.parse_args()
    settings = DoubleSettings(record=given.record, first_word_takes_pause=given.first_word_takes_pause)
    asyncio.run(run(settings, given.host, given.port, given.control_port))


if __name__ == "__main__":
    main()
