"""One call's streaming recognition: audio in by absolute sample, partials and finals out.

The session reads the call's ring through a cursor of its own, so nothing is queued twice and a stalled connection
costs no memory: what the ring has let go is skipped and counted. It has no time-out on audio: a gap is a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.cloud.speech_v1p1beta1.types import cloud_speech
from structlog.typing import FilteringBoundLogger

from batkol.audio import mulaw
from batkol.audio.batch import Batcher
from batkol.audio.ring import Ring
from batkol.google import wire
from batkol.google.channels import Channels
from batkol.google.ending import Ending
from batkol.google.errors import Next, SpeechError, ended, translate
from batkol.speech.results import Heard
from batkol.speech.timeline import Timeline

OPEN_TIMEOUT: Final = 5.0  # seconds to get a stream; the 101st on a connection would wait for ever
CLOSE_TIMEOUT: Final = 5.0  # seconds for the last final after the half-close
STREAM_TIMEOUT: Final = 330.0  # seconds; Google ends a stream at 305
_MESSAGE_SAMPLES: Final = wire.MESSAGE_BYTES // 2

OnHeard = Callable[[Heard], None]
OnWritten = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Speech:
    """What every session of the process shares. `on_written` is told the seconds from offering to writing."""

    channels: Channels
    config: wire.RecognitionConfig
    on_written: OnWritten
    open_timeout: float = OPEN_TIMEOUT
    close_timeout: float = CLOSE_TIMEOUT


class StreamingSTTSession:
    """Opened once at the first media of a call, closed once at its end.

    `on_partial` and `on_final` run on the event loop and get absolute times; one that raises is logged and loses
    its own result only.
    """

    def __init__(
        self,
        on_partial: OnHeard,
        on_final: OnHeard,
        *,
        speech: Speech,
        ring: Ring,
        start: int,
        batch_ms: int,
        log: FilteringBoundLogger,
    ) -> None:
        self._on_partial = on_partial
        self._on_final = on_final
        self._speech = speech
        self._ring = ring
        self._log = log
        self._base = start
        self._cursor = start
        self._until = start
        self._offered_at: float | None = None
        self._batcher = Batcher(start=start, batch_ms=batch_ms)
        self._timeline = Timeline(start=start)
        self._more = asyncio.Event()
        self._ended = asyncio.Event()
        self._closing = False
        self.skipped = 0
        """Samples that the ring had let go before the stream took them."""

    @property
    def heard_to(self) -> int:
        """The end of the last committed final, in absolute samples."""
        return self._timeline.watermark

    @property
    def due(self) -> int:
        """The sample at which `push_audio` has something to do next."""
        return self._batcher.due

    def tune(self, batch_ms: int) -> None:
        """Change the batch length of a session in progress."""
        self._batcher.tune(batch_ms)

    def push_audio(self, until: int, *, flush: bool = False) -> None:
        """The ring holds audio up to sample `until`: send the whole batches, or with `flush` all of it.

        Costs two comparisons when no batch is due. Never waits.
        """
        spans = self._batcher.flush(until) if flush else self._batcher.hear(until)
        if spans:
            self._until = spans[-1][1]
            if self._offered_at is None:
                self._offered_at = asyncio.get_running_loop().time()
            self._more.set()

    async def run(self) -> None:
        """Open the stream and keep it until `close` or its end.

        Returns after a clean close; raises `SpeechError` if the stream could not be opened or ended by itself.
        Cancelling it cancels the stream: results under way are lost.
        """
        try:
            with self._speech.channels.lease() as client:
                stream, ending = await self._open(client)
                self._log.info("[STT] Streaming session started", model=self._speech.config.model)
                try:
                    await self._converse(stream, ending)
                finally:
                    stream.cancel()
                    self._log.info("[STT] Streaming session closed", audio_s=self._seconds(), skipped=self.skipped)
        finally:
            self._ended.set()

    async def close(self) -> None:
        """Send what is left, half-close, and wait (bounded) until `run` has read the last final.

        Cancelling it leaves the close under way.
        """
        self._closing = True
        self._more.set()
        await self._ended.wait()

    async def _open(self, client: Any) -> tuple[Any, Ending]:
        # The transport's own callable, which has no retry either: the client's wrapper hands out the stream only
        # when it is connected, so one that was given up while it waited would open later and stay.
        stream = client.transport.streaming_recognize(timeout=STREAM_TIMEOUT)
        ending = Ending(stream)
        try:
            async with asyncio.timeout(self._speech.open_timeout):
                await stream.wait_for_connection()
                with suppress(asyncio.InvalidStateError):  # refused already: `_read` has the reason
                    await stream.write(wire.opening(self._speech.config))
        except (grpc.RpcError, TimeoutError) as error:
            failed = ending.error(error)
            stream.cancel()
            raise failed from error
        except asyncio.CancelledError:
            stream.cancel()
            raise
        return stream, ending

    async def _converse(self, stream: Any, ending: Ending) -> None:
        sending = asyncio.create_task(self._send(stream), name="stt.send")
        reading = asyncio.create_task(self._read(stream, ending), name="stt.read")
        try:
            await asyncio.wait((sending, reading), return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and (fault := sending.exception()) is not None:
                raise translate(fault) from fault
            if not reading.done():  # half-closed by us: the last final is on its way
                await asyncio.wait((reading,), timeout=self._speech.close_timeout)
            if not reading.done():
                self._log.warning("[STT] Google did not end a half-closed stream in time; it is cancelled")
                return
            reading.result()
            if not self._closing:
                raise SpeechError("Google ended the stream", reason="ended", next_step=Next.REPLAY)
        finally:
            for task in (sending, reading):
                task.cancel()
            await asyncio.gather(sending, reading, return_exceptions=True)

    async def _send(self, stream: Any) -> None:
        """Write audio as it is offered; returns after the half-close, or when the stream has ended under it."""
        try:
            while True:
                await self._more.wait()
                self._more.clear()
                while self._cursor < self._until:
                    await stream.write(wire.audio(self._take()))
                if self._offered_at is not None:
                    self._speech.on_written(asyncio.get_running_loop().time() - self._offered_at)
                    self._offered_at = None
                if self._closing:
                    await stream.done_writing()
                    return
        except (grpc.RpcError, asyncio.InvalidStateError):
            await asyncio.Event().wait()  # the stream has ended: `_read` has the reason, and ends this task

    def _take(self) -> bytes:
        """The next message's LINEAR16: a batch, or more of it if the connection was slow."""
        if self._cursor < self._ring.start:
            lost = self._ring.start - self._cursor
            self.skipped += lost
            self._base += lost  # the stream's own clock does not see what it is not sent
            self._cursor = self._ring.start
        end = min(self._until, self._cursor + _MESSAGE_SAMPLES)
        taken = self._ring.read(self._cursor, end)
        self._cursor = end
        return mulaw.decode_to_bytes(taken)

    async def _read(self, stream: Any, ending: Ending) -> None:
        try:
            while (response := await stream.read()) is not grpc.aio.EOF:
                self._hear(cloud_speech.StreamingRecognizeResponse.pb(response))
        except grpc.RpcError as error:
            raise ending.error(error) from error

    def _hear(self, response: Any) -> None:
        if response.error.code:  # a google.rpc.Status inside a response: the stream is over
            raise ended(_status(response.error.code), response.error.message)
        for heard in self._timeline.hear(self._base, wire.portions(response)):
            try:
                (self._on_final if heard.final else self._on_partial)(heard)
            except Exception:  # noqa: BLE001  somebody else's callback
                self._log.exception("[STT] a subscriber's callback raised; the call goes on")

    def _seconds(self) -> float:
        return round((self._cursor - self._base) / mulaw.SAMPLE_RATE, 2)


def _status(code: int) -> grpc.StatusCode:
    return next((s for s in grpc.StatusCode if s.value[0] == code), grpc.StatusCode.UNKNOWN)
