"""One stream of any recognizer, from its opening to its end: it owns a connection, and has a stop of its own.

There is no time-out on audio: a gap is a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from batkol.audio.ring import Ring
from batkol.recognizers.streaming.connection import ConnectionEnded, GoingAway, StreamConnection
from batkol.recognizers.streaming.errors import NOT_ENDED, STALLED, Next, SpeechError
from batkol.recognizers.streaming.feed import AudioFeed
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.speech.passage import Passage
from batkol.speech.results import Portion


class StreamListener(Protocol):
    """The owner of a stream. Called on the event loop; must neither block nor raise."""

    def on_portions(self, stream: Stream, portions: Sequence[Portion]) -> None:
        """An answer, perhaps without text."""
        ...

    def on_going_away(self, stream: Stream, within: float) -> None:
        """The recognizer will end the stream within so many seconds."""
        ...

    def on_over(self, stream: Stream) -> None:
        """The stream has ended. Called once."""
        ...


class Stream:
    """One stream of `recognizer`, which hears the ring from `passage.base` on."""

    def __init__(
        self,
        passage: Passage,
        *,
        recognizer: StreamingRecognizer,
        options: StreamingOptions,
        ring: Ring,
        listener: StreamListener,
        log: FilteringBoundLogger,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.passage = passage
        self.recognizer = recognizer
        self.opened = asyncio.Event()
        """Set when audio can go out, or when the stream is over without that."""
        self.opened_at = loop.time()
        self.last_response_at = self.opened_at
        """Time of the last response, by the loop's clock."""
        self.model = recognizer.model
        self.error: SpeechError | None = None
        """The error that ended the stream; None if the stream was finished."""
        self.over = False
        self.withdrawn = False
        """Whether the call has gone on without the stream, although it may be open by now."""
        self.answered = False
        self._feed = AudioFeed(
            passage,
            ring=ring,
            traits=recognizer.traits,
            on_written=lambda waited: options.on_written(waited, recognizer.name),
        )
        self._close_timeout = options.close_timeout
        self._listener = listener
        self._log = log
        self._loop = loop
        self._failing: asyncio.Future[SpeechError] = loop.create_future()

    @property
    def sent(self) -> int:
        """Samples sent so far."""
        return self._feed.sent

    @property
    def skipped(self) -> int:
        """Samples that the ring had released before the stream took them."""
        return self._feed.skipped

    @property
    def finishing(self) -> bool:
        """Whether `finish` was called: the end of the stream is by plan."""
        return self._feed.ending

    def offer(self, until: int) -> None:
        """The ring holds audio up to sample `until`: send it. Never waits."""
        self._feed.offer(until)

    def flush(self) -> None:
        """Have all that was offered made final, where the recognizer can do that. Never waits."""
        if self.recognizer.traits.can_flush:
            self._feed.flush()

    def finish(self) -> None:
        """Send what was offered, half-close, and let the last final come (bounded)."""
        self._feed.finish()

    def silent_for(self, since: float) -> float:
        """Seconds without an answer since that moment; 0 for a stream that is not open yet."""
        return self._loop.time() - max(self.last_response_at, since) if self.opened.is_set() else 0.0

    def fail(self, error: SpeechError) -> None:
        """Give the stream up: it ends now, with this error."""
        if not self._failing.done():
            self._failing.set_result(error)

    def give_up(self) -> None:
        """End the stream now: it should have answered by now, and did not."""
        text = "the stream answers nothing while the caller speaks"
        self.fail(SpeechError(text, reason=STALLED, next_step=Next.REPLAY))

    def withdraw(self) -> None:
        """Give the stream up before it is open: what waits for that waits no longer, and cancels it."""
        self.withdrawn = True
        self.opened.set()

    def refuse(self, error: SpeechError) -> None:
        """Note why the stream is cancelled before it is open."""
        self.error = error

    async def run(self) -> None:
        """Own the stream until it has ended; `error` has the fault. Cancelling it cancels the stream."""
        try:
            async with self.recognizer.connect() as connection:
                self.opened_at = self.last_response_at = self._loop.time()
                self.opened.set()
                try:
                    await self._converse(connection)
                finally:
                    if self._failing.done():
                        connection.suspect()
        except Exception as fault:  # noqa: BLE001  a vendor's client: what it raises must not end the call
            self.error = _translated(fault)
        finally:
            self.over = True
            self.opened.set()
            self._listener.on_over(self)

    async def _converse(self, connection: StreamConnection) -> None:
        vendor = self.recognizer.vendor
        sending = asyncio.create_task(self._send(connection), name="stt.send")
        reading = asyncio.create_task(self._read(connection), name="stt.read")
        try:
            await asyncio.wait((sending, reading, self._failing), return_when=asyncio.FIRST_COMPLETED)
            if self._failing.done():
                raise self._failing.result()
            if (
                sending.cancelled() or reading.cancelled()
            ):  # and not by this service: no stream would recognize the call any more
                raise SpeechError("a task of the stream was cancelled", reason="cancelled", next_step=Next.REPLAY)
            if sending.done() and (fault := sending.exception()) is not None:
                raise _translated(fault) from fault
            if not reading.done():  # half-closed by us: the last final is on its way
                waited = (reading, self._failing)
                await asyncio.wait(waited, timeout=self._close_timeout, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                self._log.warning(f"[STT] {vendor} did not end a half-closed stream in time; the service cancels it")
                raise SpeechError(f"{vendor} did not end the stream", reason=NOT_ENDED, next_step=Next.REPLAY)
            if (fault := reading.exception()) is not None:
                raise _translated(fault) from fault
            if not self.finishing:
                raise SpeechError(f"{vendor} ended the stream", reason="ended", next_step=Next.REPLAY)
        finally:
            for task in (sending, reading):
                task.cancel()
            await asyncio.gather(sending, reading, return_exceptions=True)

    async def _send(self, connection: StreamConnection) -> None:
        """Write audio until the half-close. If the recognizer ends the stream first, wait: `_read` has the reason."""
        try:
            await self._feed.run(connection)
        except ConnectionEnded:
            await asyncio.Event().wait()

    async def _read(self, connection: StreamConnection) -> None:
        while (answer := await connection.read()) is not None:
            if isinstance(answer, GoingAway):
                self._listener.on_going_away(self, answer.within)
                continue
            self.last_response_at = self._loop.time()
            self.answered = True
            self._listener.on_portions(self, [portion.within(self.sent) for portion in answer])


def _translated(fault: BaseException) -> SpeechError:
    if isinstance(fault, SpeechError):
        return fault
    text = f"{type(fault).__name__} in the recognizer's client"
    return SpeechError(text, reason="client", next_step=Next.REPLAY, code="UNKNOWN")
