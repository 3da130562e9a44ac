"""The streams that are open under one session, and their results, in the order of the call.

At most two at a time: the one that gets the caller's audio, and the one that it has replaced, which is read to its
end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from structlog.typing import FilteringBoundLogger

from batkol.audio.ring import Ring
from batkol.recognizers.streaming import events
from batkol.recognizers.streaming.chain_report import ChainReport
from batkol.recognizers.streaming.errors import STALLED, Next, SpeechError
from batkol.recognizers.streaming.events import SessionDelegate
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.stream import Stream
from batkol.speech.results import Portion, Transcript
from batkol.speech.rotation import Cut, Rotation
from batkol.speech.timeline import Timeline


class Streams:
    """One per session. `turn` is set when there is something to decide; `on_result` gets all results in order.

    `on_answer` is called when a stream answers for the first time.
    """

    def __init__(
        self,
        on_result: Callable[[Transcript], None],
        *,
        options: StreamingOptions,
        ring: Ring,
        start: int,
        delegate: SessionDelegate,
        report: ChainReport,
        turn: asyncio.Event,
        log: FilteringBoundLogger,
    ) -> None:
        self._on_result = on_result
        self._options = options
        self._ring = ring
        self._delegate = delegate
        self._report = report
        self._turn = turn
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._answered_by: Stream | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._replaced: list[Stream] = []  # by plan, and perhaps not read to their end so far
        self._sent = 0
        self.timeline = Timeline(start=start)
        self.until = start
        """Audio on offer."""
        self.current: Stream | None = None
        """The stream that it goes to."""
        self.opening: Stream | None = None
        """The stream that `open` waits for."""
        self.rotation: Rotation | None = None
        """The rotation of the newest stream."""
        self.committed = False
        """Whether a final came since the last look."""
        self.skipped = 0
        """Samples that the ring had released before a stream took them."""
        self.on_answer: Callable[[], None] = lambda: None

    @property
    def sent(self) -> int:
        """Samples sent so far, by the streams that have ended and by the one that gets the audio."""
        return self._sent + (self.current.sent if self.current is not None else 0)

    @property
    def awaited(self) -> Stream | None:
        """The stream whose results come next: until one that was replaced has ended, its successor's are held."""
        return next((stream for stream in self._replaced if not stream.over), self.current)

    async def open(self, base: int, recognizer: StreamingRecognizer, tasks: asyncio.TaskGroup) -> Stream:
        """Return a stream that hears from `base` on, open, with its error, or withdrawn; it lives in `tasks`."""
        stream = Stream(
            self.timeline.follow(base, recognizer.name),
            recognizer=recognizer,
            options=self._options,
            ring=self._ring,
            listener=self,
            log=self._log,
        )
        if self.current is None:
            self.current = stream  # no other stream gets the caller's audio meanwhile
        stream.offer(self.until)
        self._report.observe(events.StreamOpening(stream))
        task = tasks.create_task(stream.run(), name="stt.stream")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        self.opening = stream
        await self._opened(stream, task)
        self.opening = None
        if stream.error is None and not stream.withdrawn:
            traits = recognizer.traits
            self.rotation = Rotation(opened_at=self._loop.time(), after=traits.rotate_after, by=traits.rotate_by)
        return stream

    def cancel(self) -> None:
        """End every stream at once."""
        for task in self._running:
            task.cancel()

    def bound(self, stream: Stream, cut: Cut) -> None:
        """Let the stream speak for the call up to the cut's limit, and no further; its successor is open."""
        self._replaced = [*(earlier for earlier in self._replaced if not earlier.over), stream]
        self._deliver(self.timeline.bound(stream.passage, cut.limit, cut.quiet_from))
        if stream.over:
            self._on_replaced_ended(stream)
        else:
            stream.finish()

    async def _opened(self, stream: Stream, task: asyncio.Task[None]) -> None:
        """Wait until the stream is open or over: not for long where another recognizer can take over."""
        impatient = self._delegate.has_another(stream.recognizer)
        try:
            async with asyncio.timeout(self._options.impatience if impatient else None):
                await stream.opened.wait()
        except TimeoutError:
            stream.refuse(SpeechError("no stream was opened in time", reason=STALLED, next_step=Next.REPLAY))
        else:
            if not stream.withdrawn:
                return
        task.cancel()
        await asyncio.wait((task,))

    # -- the listener of the streams (batkol.recognizers.streaming.stream) -----------------------------------------

    def on_portions(self, stream: Stream, portions: Sequence[Portion]) -> None:
        """A stream has answered."""
        if stream is not self._answered_by:
            self._answered_by = stream
            self.on_answer()
            self._report.observe(events.StreamAnswered(stream.recognizer.name))
        self._deliver(self.timeline.place(stream.passage, portions))

    def on_going_away(self, stream: Stream, within: float) -> None:
        """A stream will end before its time: replace it at the next good moment, or well before its end."""
        if stream is self.current and self.rotation is not None:
            self.rotation.hurry(self._loop.time(), within)
            self._turn.set()

    def on_over(self, stream: Stream) -> None:
        """A stream has ended, by plan or not."""
        self._sent += stream.sent
        self.skipped += stream.skipped
        self._report.ended(stream)
        if stream is self.current:
            self.current = None
        else:
            self._on_replaced_ended(stream)
        self._deliver(self.timeline.finish(stream.passage))  # the results of its successor meanwhile
        self._turn.set()

    def _on_replaced_ended(self, stream: Stream) -> None:
        """A stream that was replaced has ended; if it was not read to its end, its last words are missing."""
        limit, heard_to = stream.passage.limit, self.timeline.watermark
        if stream.error is not None and limit is not None and heard_to < limit:
            self._report.observe(events.AudioLost(heard_to, limit, stream.recognizer.name))

    def _deliver(self, results: list[Transcript]) -> None:
        for heard in results:
            self._on_result(heard)
            if heard.final and heard.end <= self.timeline.sure:  # a guessed end is no place to hand over at
                self.committed = True
                if self.rotation is not None and self.rotation.may(self._loop.time()):
                    self._turn.set()
