"""One stream after another under one session: opened, replaced by plan or after a fault, and read to its end.

By plan the next stream is open before the old one is half-closed, and the old one is read to its end while the next
one already gets audio (`speech.rotation` decides when and where). After a fault the next one begins at the last
committed word. The next one may be another recognizer's: by plan where the call prefers that one, after a fault where
the old one cannot go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.audio.quiet import quiet_spot
from batkol.audio.ring import Ring
from batkol.recognizers.streaming import events
from batkol.recognizers.streaming.backoff import StreamBackoff
from batkol.recognizers.streaming.chain_report import ChainReport
from batkol.recognizers.streaming.errors import NO_STREAM_FREE, NOT_ENDED, SpeechError
from batkol.recognizers.streaming.events import SessionDelegate
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.speech_watch import SpeechWatch
from batkol.recognizers.streaming.stream import Stream
from batkol.recognizers.streaming.streams import Streams
from batkol.recognizers.streaming.switch import Switch
from batkol.speech.results import Transcript
from batkol.speech.rotation import CallPosition, Cut

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
        self.recognizer = recognizer
        """The recognizer that hears the call."""
        self._options = options
        self._ring = ring
        self._start = start
        self._delegate = delegate
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Event()  # there is something to decide
        self._closing = asyncio.Event()
        self._tasks: asyncio.TaskGroup
        self._switch: Switch | None = None
        self._opening: Switch | None = None  # the change whose stream is being opened
        self._report = ChainReport(options, delegate, log)
        self._streams = Streams(
            on_result,
            options=options,
            ring=ring,
            start=start,
            delegate=delegate,
            report=self._report,
            turn=self._turn,
            log=log,
        )
        self._backoff = StreamBackoff(options, delegate, closing=self._closing, next_audio=self._next_audio)
        self._streams.on_answer = self._backoff.forgive
        self._watch = SpeechWatch(self._loop.time())
        self.timeline = self._streams.timeline

    @property
    def wanted(self) -> StreamingRecognizer:
        """The recognizer that is to hear the call: of the newest change under way, or the one that hears it."""
        change = self._switch or self._opening
        return self.recognizer if change is None else change.recognizer

    @property
    def skipped(self) -> int:
        """Samples that the ring had released before a stream took them."""
        return self._streams.skipped

    # -- notifications: nothing here waits ---------------------------------------------------------------------

    def offer(self, until: int) -> None:
        """The ring holds audio up to sample `until`: have it sent."""
        self._streams.until = until
        stream = self._streams.current
        if stream is None:
            self._turn.set()  # one may be waiting for just this
            return
        stream.offer(until)
        if self._watch.doubts(stream, self._options.impatience) and self._doubts(stream):
            stream.give_up()

    def flush(self) -> None:
        """Have the text of all that was offered made final, where the recognizer can do that."""
        if (stream := self._streams.current) is not None:
            stream.flush()

    def set_silent(self, *, quiet: bool, spoken_to: int | None = None) -> None:
        """The caller fell silent, or speaks: silence is the time to change streams, speech the time to watch them."""
        last = self._streams.until if spoken_to is None else spoken_to
        self._watch.set_silent(self._loop.time(), last, quiet=quiet)
        if quiet:
            self._turn.set()

    def report_stall(self) -> None:
        """The stream should have answered and did not: give it up, or the one before it, if that has not ended."""
        if (stream := self._streams.awaited) is not None:
            stream.give_up()

    def switch(self, recognizer: StreamingRecognizer, at: int | None) -> None:
        """Go on with that recognizer from sample `at` on: one planned cut, as soon as a stream of it is open.

        The newest wish counts: a change to another recognizer whose stream is not open yet is withdrawn.
        """
        if self._opening is not None and self._opening.recognizer is not recognizer:
            self._opening = None
            if self._streams.opening is not None:
                self._streams.opening.withdraw()
        under_way = self.recognizer if self._opening is None else self._opening.recognizer
        spoken_to = None if self._watch.quiet_since is None else self._watch.spoken_to
        self._switch = None if recognizer is under_way else Switch(recognizer, at, spoken_to)
        self._turn.set()

    def close(self) -> None:
        """Have `run` send what is left, read the last final and return."""
        self._closing.set()
        self._turn.set()

    def _doubts(self, stream: Stream) -> bool:
        """Whether the stream should have answered by now: sooner where another recognizer can take over."""
        return self._watch.doubts(stream, self._options.stall) or self._delegate.has_another(stream.recognizer)

    # -- one stream after another --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a stream until `close`; raises `SpeechError` if none could be had. Cancelling it cancels the streams."""
        failure: SpeechError | None = None
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await self._live()
            except SpeechError as error:
                failure = error
                self._streams.cancel()
        if failure is not None:
            raise failure

    async def _live(self) -> None:
        stream = await self._open(self._start)
        if stream.error is not None:
            stream = await self._replace(stream, stream.error, base=self._start)
        self._log.info("[STT] Streaming session started", model=stream.model, recognizer=self.recognizer.name)
        try:
            while not (stream.over and self._closing.is_set()):
                stream = await self._step(stream)
            if stream.error is not None and stream.error.reason != NOT_ENDED:
                raise stream.error
        finally:
            audio_s = round(self._streams.sent / SAMPLE_RATE, 2)
            self._log.info("[STT] Streaming session closed", audio_s=audio_s, skipped=self.skipped)

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
        due, rotation = None, self._streams.rotation
        if rotation is not None and not self._closing.is_set():
            due = rotation.deadline(self._loop.time(), self._watch.quiet_since)
        try:
            async with asyncio.timeout_at(due):
                await self._turn.wait()
        except TimeoutError:
            return
        self._turn.clear()

    async def _next_audio(self) -> None:
        heard = self._streams.until
        while self._streams.until == heard and not self._closing.is_set():
            await self._wait()

    async def _open(self, base: int) -> Stream:
        return await self._streams.open(base, self.recognizer, self._tasks)

    # -- by plan -------------------------------------------------------------------------------------------------

    def _due_cut(self) -> Cut | None:
        streams, timeline = self._streams, self.timeline
        committed, streams.committed = streams.committed, False
        if self._switch is not None and self._switch.recognizer is self.recognizer:
            self._switch = None
        timed = timeline.timed and self.recognizer.traits.word_times_on_finals
        watch = self._watch
        position = CallPosition(
            streams.until, timeline.sure, watch.quiet_since, committed, timed, spoken_to=watch.spoken_to
        )
        if self._switch is not None:
            return self._switch.cut(self._loop.time(), position)
        return None if streams.rotation is None else streams.rotation.cut(self._loop.time(), position)

    async def _rotate(self, old: Stream, cut: Cut) -> Stream:
        """Make before break: the old stream goes on hearing until the new one is open."""
        rotation, switch, self._switch = self._streams.rotation, self._switch, None
        recognizer = self.recognizer if switch is None else switch.recognizer
        cut = cut._replace(base=quiet_spot(self._ring, cut.base, cut.slack))
        self._opening = switch
        new = await self._streams.open(cut.base, recognizer, self._tasks)
        self._opening = None
        if new.error is not None and new.error.reason == NO_STREAM_FREE and recognizer is self.recognizer:
            return await self._break_before_make(old, cut)
        if new.error is not None:
            self._report.not_opened(new.error, new, old)
            if rotation is not None and switch is None:
                rotation.failed(self._loop.time())
        if new.error is not None or new.withdrawn:
            return old
        self._change(recognizer, events.CHOSEN)
        self._streams.current = new
        self._streams.bound(old, cut)
        new.offer(self._streams.until)
        self._report.rotated(cut, new)
        return new

    async def _break_before_make(self, old: Stream, cut: Cut) -> Stream:
        """Break before make, if every stream is in use: the ring keeps the audio in between."""
        self._streams.current = None
        self._streams.bound(old, cut)
        while not old.over:
            await self._wait()
        new = await self._open(cut.base)
        if new.error is not None:
            new = await self._replace(new, new.error, base=cut.base)
        self._report.rotated(cut, new)
        return new

    def _change(self, recognizer: StreamingRecognizer, reason: str) -> None:
        """Let another recognizer hear the call from now on, if it is another one."""
        before, self.recognizer = self.recognizer, recognizer
        if before is not recognizer:
            self._report.changed(before, recognizer, reason)

    # -- after a fault -------------------------------------------------------------------------------------------

    async def _replace(self, broken: Stream, error: SpeechError, *, base: int | None = None) -> Stream:
        """Go on with another stream, from `base` or the last committed word; raises what makes that useless."""
        first, last, lived = error, broken, self._loop.time() - broken.opened_at
        while True:
            await self._wait_or_change(error, last, lived)
            start = self._resume(base, broken, last)
            stream = await self._open(start)
            if stream.error is None:
                break
            error, last, lived = stream.error, stream, 0.0
        self._report.replaced(broken, first, stream, max(0, self._ring.end - start) // SAMPLES_PER_MS)
        return stream

    async def _wait_or_change(self, error: SpeechError, failed: Stream, lived: float) -> None:
        """Wait as long as the fault calls for, or let another recognizer take over at once; raises if there is none."""
        try:
            await self._backoff.after(error, failed, lived=lived)
        except SpeechError:
            other = None if self._closing.is_set() else self._delegate.another(failed.recognizer, error)
            if other is None:
                raise
            self._backoff.forgive()
            self._change(other, error.reason)
        if self._switch is not None:
            self._change(self._switch.recognizer, events.CHOSEN)
            self._switch = None

    def _resume(self, base: int | None, broken: Stream, failed: Stream) -> int:
        """Return the first sample of the next stream: no utterance waits for audio before it, within the limit."""
        needed = min(self._delegate.needed(), self._ring.end - _LEAD)
        wanted = max(self.timeline.resume(broken.passage) if base is None else base, needed)
        start = max(wanted, self._ring.end - self._options.replay_limit, self._ring.start)
        if start > wanted:
            self._report.observe(events.AudioLost(wanted, start, failed.recognizer.name))
        if start == broken.passage.base or not self.recognizer.traits.word_times_on_finals:
            return start  # a quiet spot already, or nothing would show what is heard twice
        return quiet_spot(self._ring, start, self.timeline.slack)
