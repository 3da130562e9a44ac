"""One `StreamingRecognize`, from its opening to its end: a cursor of its own into the call's ring, and its own stop.

Nothing is queued twice and a stalled connection costs no memory: audio that the ring has released is skipped and
counted. There is no time-out on audio: a gap is a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import grpc
from structlog.typing import FilteringBoundLogger

from batkol.audio import mulaw
from batkol.audio.ring import Ring
from batkol.google_api.error_info import of_details
from batkol.recognizers.google import wire
from batkol.recognizers.google.ending import StreamEnding
from batkol.recognizers.google.errors import Next, SpeechError, ended, translate
from batkol.recognizers.google.options import StreamingOptions
from batkol.speech.pacing import Pace
from batkol.speech.timeline import Passage

STREAM_TIMEOUT: Final = 330.0  # seconds; Google ends a stream at 305
NOT_ENDED: Final = "not_ended"
"""The reason of a half-closed stream whose end Google never sent."""

_MESSAGE_SAMPLES: Final = wire.MESSAGE_BYTES // 2

OnResponse = Callable[["Stream", Any], None]


class Stream:
    """`on_response` gets each raw `StreamingRecognizeResponse`; `on_over` is called once, when the stream has ended."""

    def __init__(
        self,
        passage: Passage,
        *,
        speech: StreamingOptions,
        ring: Ring,
        on_response: OnResponse,
        on_over: Callable[[Stream], None],
        log: FilteringBoundLogger,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.passage = passage
        self.opened = asyncio.Event()
        """Set when audio can go out, or when the stream is over without that."""
        self.opened_at = loop.time()
        self.last_response_at = self.opened_at
        """Time of the last response, by the loop's clock."""
        self.model = speech.config.model
        self.error: SpeechError | None = None
        """The error that ended the stream; None if the stream was finished."""
        self.over = False
        self.answered = False
        self.skipped = 0
        """Samples that the ring had released before the stream took them."""
        self._speech = speech
        self._ring = ring
        self._on_response = on_response
        self._on_over = on_over
        self._log = log
        self._loop = loop
        self._pace = Pace(rate=speech.replay_rate, now=self.opened_at)
        self._longest = min(self._pace.longest or _MESSAGE_SAMPLES, _MESSAGE_SAMPLES)
        self._cursor = self._until = passage.base
        self._offered_at: float | None = None
        self._more = asyncio.Event()
        self._finishing = False
        self._failing: asyncio.Future[SpeechError] = loop.create_future()

    @property
    def sent(self) -> int:
        """Samples sent so far."""
        return self._cursor - self.passage.base

    @property
    def finishing(self) -> bool:
        """Whether `finish` was called: the end of the stream is by plan."""
        return self._finishing

    def offer(self, until: int) -> None:
        """The ring holds audio up to sample `until`: send it. Never waits."""
        if self._finishing or until <= self._until:
            return
        self._until = until
        if self._offered_at is None:
            self._offered_at = self._loop.time()
        self._more.set()

    def finish(self) -> None:
        """Send what was offered, half-close, and let the last final come (bounded)."""
        self._finishing = True
        self._more.set()

    def silent_for(self, since: float) -> float:
        """Seconds without an answer since that moment; 0 for a stream that is not open yet."""
        return self._loop.time() - max(self.last_response_at, since) if self.opened.is_set() else 0.0

    def fail(self, error: SpeechError) -> None:
        """Give the stream up: it ends now, with this error."""
        if not self._failing.done():
            self._failing.set_result(error)

    async def run(self) -> None:
        """Own the stream until it has ended; `error` has the fault. Cancelling it cancels the stream."""
        try:
            with self._speech.channels.lease() as client:
                call, ending = await self._open(client)
                self.opened_at = self.last_response_at = self._loop.time()
                self.opened.set()
                try:
                    await self._converse(call, ending)
                finally:
                    call.cancel()
                    if self._failing.done():
                        self._speech.channels.avoid(client)
        except SpeechError as error:
            self.error = error
        finally:
            self.over = True
            self.opened.set()
            self._on_over(self)

    async def _open(self, client: Any) -> tuple[Any, StreamEnding]:
        # Not the client's wrapper: it hands out the stream only when it is connected, so one that was given up while
        # it waited would open later and stay.
        call = wire.streaming_recognize(client.transport.grpc_channel)(timeout=STREAM_TIMEOUT)
        ending = StreamEnding(call)
        try:
            async with asyncio.timeout(self._speech.open_timeout):
                await call.wait_for_connection()
                with suppress(asyncio.InvalidStateError):  # refused already: `_read` has the reason
                    await call.write(wire.opening(self._speech.config))
        except (grpc.RpcError, TimeoutError) as error:
            failed = ending.error(error)
            if isinstance(error, TimeoutError):
                self._speech.channels.avoid(client)
            call.cancel()
            raise failed from error
        except asyncio.CancelledError:
            call.cancel()
            raise
        return call, ending

    async def _converse(self, call: Any, ending: StreamEnding) -> None:
        sending = asyncio.create_task(self._send(call), name="stt.send")
        reading = asyncio.create_task(self._read(call, ending), name="stt.read")
        try:
            await asyncio.wait((sending, reading, self._failing), return_when=asyncio.FIRST_COMPLETED)
            if self._failing.done():
                raise self._failing.result()
            if (
                sending.cancelled() or reading.cancelled()
            ):  # and not by this service: no stream would recognize the call any more
                raise SpeechError("a task of the stream was cancelled", reason="cancelled", next_step=Next.REPLAY)
            if sending.done() and (fault := sending.exception()) is not None:
                raise translate(fault) from fault
            if not reading.done():  # half-closed by us: the last final is on its way
                close = self._speech.close_timeout
                await asyncio.wait((reading, self._failing), timeout=close, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                self._log.warning("[STT] Google did not end a half-closed stream in time; the service cancels it")
                raise SpeechError("Google did not end the stream", reason=NOT_ENDED, next_step=Next.REPLAY)
            if (fault := reading.exception()) is not None:
                raise translate(fault) from fault
            if not self._finishing:
                raise SpeechError("Google ended the stream", reason="ended", next_step=Next.REPLAY)
        finally:
            for task in (sending, reading):
                task.cancel()
            await asyncio.gather(sending, reading, return_exceptions=True)

    async def _send(self, call: Any) -> None:
        """Write audio as it is offered; returns after the half-close, or when the stream has ended under it."""
        try:
            while True:
                await self._more.wait()
                self._more.clear()
                while self._cursor < self._until:
                    audio = self._next_audio()
                    if wait := self._pace.wait(len(audio) // 2, self._loop.time()):
                        await asyncio.sleep(wait)
                    await call.write(wire.audio(audio))
                if self._offered_at is not None:
                    self._speech.on_written(self._loop.time() - self._offered_at)
                    self._offered_at = None
                if self._finishing:
                    await call.done_writing()
                    return
        except (grpc.RpcError, asyncio.InvalidStateError):
            await asyncio.Event().wait()  # the stream has ended: `_read` has the reason, and ends this task

    def _next_audio(self) -> bytes:
        """The next message's LINEAR16: a batch, or more of it if the connection was slow."""
        if self._cursor < self._ring.start:
            lost = min(self._ring.start, self._until) - self._cursor
            self.skipped += lost
            self.passage.base += lost  # the stream's own clock does not see what it is not sent
            self._cursor += lost
        end = min(self._until, self._cursor + self._longest)
        audio = self._ring.read(self._cursor, end)
        self._cursor = end
        return mulaw.decode_to_bytes(audio)

    async def _read(self, call: Any, ending: StreamEnding) -> None:
        try:
            while (response := await call.read()) is not grpc.aio.EOF:
                self._receive(response)
        except grpc.RpcError as error:
            raise ending.error(error) from error

    def _receive(self, response: Any) -> None:
        if response.error.code:  # a google.rpc.Status inside a response: the stream is over
            error = response.error
            raise ended(_status(error.code), error.message, of_details(error.details))
        self.last_response_at = self._loop.time()
        self.answered = True
        self._on_response(self, response)


def _status(code: int) -> grpc.StatusCode:
    return next((s for s in grpc.StatusCode if s.value[0] == code), grpc.StatusCode.UNKNOWN)
