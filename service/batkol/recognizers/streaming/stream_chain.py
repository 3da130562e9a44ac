"""One stream after another under one session: opened, replaced by plan or after a fault, and read to its end.

By plan the next stream is open before the old one is half-closed, and the old one is read to its end while the next
one already gets audio (`speech.rotation` decides when and where). After a fault the next one begins at the last
committed word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from structlog.typing import FilteringBoundLogger

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.audio.quiet import quiet_spot
from batkol.audio.ring import Ring
from batkol.recognizers.streaming import events
from batkol.recognizers.streaming.backoff import StreamBackoff
from batkol.recognizers.streaming.errors import NO_STREAM_FREE, NOT_ENDED, STALLED, Next, SpeechError
from batkol.recognizers.streaming.events import SessionDelegate
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.speech_watch import SpeechWatch
from batkol.recognizers.streaming.stream import Stream
from batkol.speech.results import Portion, Transcript
from batkol.speech.rotation import CallPosition, Cut, Rotation
from batkol.speech.timeline import Timeline

_LEAD: Final = SAMPLE_RATE // 2
"""Samples of speech that the VAD engine may not have reported yet."""


class StreamChain:
    """The streams of one session. The first gets the audio from `start` on; `on_result` gets all results in order."""

    def __init__(
        self,
        on_result: Callable[[Transcript], None],
        *,
        recognizer: StreamingRecognizer,
        options: StreamingOptions,
        ring: Ring,
        start: int,
        delegate: SessionDelegate,
        log: FilteringBoundLogger,
    ) -> None:
        self._on_result = on_result
        self._recognizer = recognizer
        self._options = options
        self._ring = ring
        self._start = start
        self._delegate = delegate
        self._log = log
        self._loop = asyncio.get_running_loop()
        self.timeline = Timeline(start=start)
        self._until = start  # audio on offer
        self._stream: Stream | None = None  # the one that it goes to
        self._rotation: Rotation | None = None
        self._answered_by: Stream | None = None
        self._committed = False  # a final came since the last look
        self._tasks: asyncio.TaskGroup
        self._running: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Event()  # there is something to decide
        self._closing = asyncio.Event()
        self._backoff = StreamBackoff(options, delegate, closing=self._closing, next_audio=self._next_audio)
        self._watch = SpeechWatch(self._loop.time())
        self._sent = 0
        self.skipped = 0
        """Samples that the ring had released before a stream took them."""

    # -- notifications: nothing here waits ---------------------------------------------------------------------

    def offer(self, until: int) -> None:
        """The ring holds audio up to sample `until`: have it sent."""
        self._until = until
        stream = self._stream
        if stream is None:
            self._turn.set()  # one may be waiting for just this
            return
        stream.offer(until)
        if self._watch.doubts(stream, self._options.stall):
            self.report_stall()

    def set_silent(self, *, quiet: bool) -> None:
        """The caller fell silent, or speaks: silence is the time to change streams, speech the time to watch them."""
        self._watch.set_silent(self._loop.time(), quiet=quiet)
        if quiet:
            self._turn.set()

    def report_stall(self) -> None:
        """The stream should have answered and did not: give it up."""
        if self._stream is not None:
            text = "the stream answers nothing while the caller speaks"
            self._stream.fail(SpeechError(text, reason=STALLED, next_step=Next.REPLAY))

    def close(self) -> None:
        """Have `run` send what is left, read the last final and return."""
        self._closing.set()
        self._turn.set()

    # -- one stream after another --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a stream until `close`; raises `SpeechError` if none could be had. Cancelling it cancels the streams."""
        failure: SpeechError | None = None
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await self._live()
            except SpeechError as error:
                failure = error
                for task in self._running:
                    task.cancel()
        if failure is not None:
            raise failure

    async def _live(self) -> None:
        stream = await self._open(self._start)
        if stream.error is not None:
            stream = await self._replace(stream, stream.error, base=self._start)
        self._log.info("[STT] Streaming session started", model=self._recognizer.model)
        try:
            while not (stream.over and self._closing.is_set()):
                stream = await self._step(stream)
            if stream.error is not None and stream.error.reason != NOT_ENDED:
                raise stream.error
        finally:
            sent = self._sent + (self._stream.sent if self._stream is not None else 0)
            self._log.info("[STT] Streaming session closed", audio_s=round(sent / SAMPLE_RATE, 2), skipped=self.skipped)

    async def _step(self, stream: Stream) -> Stream:
        """Decide what is to be decided, or wait for it; return the stream that audio goes to from now on."""
        if stream.error is not None:
            return await self._replace(stream, stream.error)
        if self._closing.is_set():
            stream.finish()
        elif (cut := self._due_cut()) is not None:
            return await self._rotate(stream, cut)
        await self._wait()
        return stream

    async def _wait(self) -> None:
        due = None
        if self._rotation is not None and not self._closing.is_set():
            due = self._rotation.deadline(self._loop.time(), self._watch.quiet_since)
        try:
            async with asyncio.timeout_at(due):
                await self._turn.wait()
        except TimeoutError:
            return
        self._turn.clear()

    async def _next_audio(self) -> None:
        heard = self._until
        while self._until == heard and not self._closing.is_set():
            await self._wait()

    async def _open(self, base: int) -> Stream:
        """Return a stream that hears from `base` on, open or with its error."""
        stream = Stream(
            self.timeline.follow(base),
            recognizer=self._recognizer,
            options=self._options,
            ring=self._ring,
            listener=self,
            log=self._log,
        )
        if self._stream is None:
            self._stream = stream  # no other stream gets the caller's audio meanwhile
        stream.offer(self._until)
        self._delegate.observe(events.StreamOpening(stream))
        task = self._tasks.create_task(stream.run(), name="stt.stream")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await stream.opened.wait()
        if stream.error is None:
            now = self._loop.time()
            traits = stream.recognizer.traits
            self._rotation = Rotation(opened_at=now, after=traits.rotate_after, by=traits.rotate_by)
        return stream

    def on_over(self, stream: Stream) -> None:
        """A stream has ended, by plan or not."""
        self._sent += stream.sent
        self._delegate.observe(events.StreamEnded(stream))
        if stream.skipped:
            self.skipped += stream.skipped
            self._delegate.observe(events.AudioDropped(stream.skipped // SAMPLES_PER_MS))
        if stream is self._stream:
            self._stream = None
        else:
            self._on_replaced_ended(stream)
        self._deliver(self.timeline.finish(stream.passage))  # the results of its successor meanwhile
        self._turn.set()

    def _on_replaced_ended(self, stream: Stream) -> None:
        """A stream that was replaced has ended; if it was not read to its end, its last words are missing."""
        limit, heard_to = stream.passage.limit, self.timeline.watermark
        if stream.error is not None and limit is not None and heard_to < limit:
            self._delegate.observe(events.AudioLost(heard_to, limit))

    # -- by plan -------------------------------------------------------------------------------------------------

    def _due_cut(self) -> Cut | None:
        committed, self._committed = self._committed, False
        if self._rotation is None:
            return None
        timeline = self.timeline
        position = CallPosition(self._until, timeline.sure, self._watch.quiet_since, committed, timeline.timed)
        return self._rotation.cut(self._loop.time(), position)

    async def _rotate(self, old: Stream, cut: Cut) -> Stream:
        """Make before break: the old stream goes on hearing until the new one is open."""
        rotation = self._rotation
        cut = cut._replace(base=quiet_spot(self._ring, cut.base, cut.slack))
        new = await self._open(cut.base)
        if new.error is not None and new.error.reason == NO_STREAM_FREE:
            return await self._break_before_make(old, cut)
        if new.error is not None:
            self._log.warning("[STT] next stream cannot be opened; the old stream continues", err=str(new.error))
            self._delegate.observe(events.StreamFailed(new.error))
            self._options.on_rotation_failed(new.error.reason)
            if rotation is not None:
                rotation.failed(self._loop.time())
            return old
        self._stream = new
        self._hand_over(old, cut)
        new.offer(self._until)
        self._rotated(cut)
        return new

    async def _break_before_make(self, old: Stream, cut: Cut) -> Stream:
        """Break before make, if every stream is in use: the ring keeps the audio in between."""
        self._stream = None
        self._hand_over(old, cut)
        while not old.over:
            await self._wait()
        new = await self._open(cut.base)
        if new.error is not None:
            new = await self._replace(new, new.error, base=cut.base)
        self._rotated(cut)
        return new

    def _hand_over(self, old: Stream, cut: Cut) -> None:
        self._deliver(self.timeline.bound(old.passage, cut.limit))
        if old.over:
            self._on_replaced_ended(old)
        else:
            old.finish()

    def _rotated(self, cut: Cut) -> None:
        self._log.info("[STT] Stream rotated", why=cut.why.value, overlap_ms=(cut.limit - cut.base) // SAMPLES_PER_MS)
        self._delegate.observe(events.StreamRotated(cut))

    # -- after a fault -------------------------------------------------------------------------------------------

    async def _replace(self, broken: Stream, error: SpeechError, *, base: int | None = None) -> Stream:
        """Go on with another stream, from `base` or the last committed word; raises what makes that useless."""
        first, last, lived = error, broken, self._loop.time() - broken.opened_at
        while True:
            await self._backoff.after(error, last, lived=lived)
            start = self._resume(base)
            stream = await self._open(start)
            if stream.error is None:
                break
            error, last, lived = stream.error, stream, 0.0
        replayed_ms = max(0, self._ring.end - start) // SAMPLES_PER_MS
        log_line = self._log.info if first.next in {Next.ROTATE, Next.REOPEN} else self._log.warning
        text = "[STT] stream failed; the next stream starts from the last final"
        log_line(text, err=str(first), reason=first.reason, replayed_ms=replayed_ms)
        self._delegate.observe(events.StreamReplaced(first.reason, replayed_ms))
        return stream

    def _resume(self, base: int | None) -> int:
        """Return the first sample of the next stream: no utterance waits for audio before it, within the limit."""
        needed = min(self._delegate.needed(), self._ring.end - _LEAD)
        wanted = max(self.timeline.watermark if base is None else base, needed)
        start = max(wanted, self._ring.end - self._options.replay_limit, self._ring.start)
        if start > wanted:
            self._delegate.observe(events.AudioLost(wanted, start))
        return quiet_spot(self._ring, start, self.timeline.slack)

    # -- results -------------------------------------------------------------------------------------------------

    def on_portions(self, stream: Stream, portions: Sequence[Portion]) -> None:
        """A stream has answered."""
        if stream is not self._answered_by:
            self._answered_by = stream
            self._backoff.answered()
            self._delegate.observe(events.StreamAnswered())
        self._deliver(self.timeline.place(stream.passage, portions))

    def on_going_away(self, stream: Stream, within: float) -> None:
        """A stream will end before its time: replace it at the next good moment, or well before its end."""
        if stream is self._stream and self._rotation is not None:
            self._rotation.hurry(self._loop.time(), within)
            self._turn.set()

    def _deliver(self, results: list[Transcript]) -> None:
        for heard in results:
            self._on_result(heard)
            if heard.final and heard.end <= self.timeline.sure:  # a guessed end is no place to hand over at
                self._committed = True
                if self._rotation is not None and self._rotation.may(self._loop.time()):
                    self._turn.set()
