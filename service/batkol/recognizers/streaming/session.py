"""One call's streaming recognition: audio in by absolute sample, partials and finals out, while it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from batkol.audio.batch import Batcher
from batkol.audio.ring import Ring
from batkol.recognizers.streaming.events import SessionDelegate
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.stream_chain import StreamChain
from batkol.speech.results import Transcript

OnTranscript = Callable[[Transcript], None]


class StreamingSTTSession:
    """Opened once at the first media of a call, closed once at its end; the streams under it come and go.

    `on_partial` and `on_final` run on the event loop and get absolute times; one that raises is logged and loses
    its own result only.
    """

    def __init__(
        self,
        on_partial: OnTranscript,
        on_final: OnTranscript,
        *,
        recognizer: StreamingRecognizer,
        options: StreamingOptions,
        ring: Ring,
        start: int,
        batch_ms: int,
        delegate: SessionDelegate,
        log: FilteringBoundLogger,
    ) -> None:
        self._on_partial = on_partial
        self._on_final = on_final
        self._log = log
        self._batcher = Batcher(start=start, batch_ms=batch_ms)
        self._streams = StreamChain(
            self._deliver,
            recognizer=recognizer,
            options=options,
            ring=ring,
            start=start,
            delegate=delegate,
            log=log,
        )
        self._ended = asyncio.Event()

    @property
    def committed_to(self) -> int:
        """The end of the last committed final, in absolute samples."""
        return self._streams.timeline.watermark

    @property
    def skipped(self) -> int:
        """Samples that the ring had released before a stream took them, by the count of the streams that have ended."""
        return self._streams.skipped

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
        spans = self._batcher.flush(until) if flush else self._batcher.advance(until)
        if spans:
            self._streams.offer(spans[-1][1])

    @property
    def recognizer(self) -> StreamingRecognizer:
        """The recognizer that hears the call."""
        return self._streams.recognizer

    @property
    def wanted(self) -> StreamingRecognizer:
        """The recognizer that is to hear the call: of the newest change under way, or the one that hears it."""
        return self._streams.wanted

    def switch(self, recognizer: StreamingRecognizer, at: int | None) -> None:
        """Have that recognizer hear the call from sample `at` on: one planned cut, make before break.

        `at` None: from where the caller stands. The newest wish counts, also one for the recognizer that hears now.
        """
        self._streams.switch(recognizer, at)

    def finalize(self) -> None:
        """Have the text of all that was pushed made final, where the recognizer can do that."""
        self._streams.flush()

    def set_silent(self, *, quiet: bool, spoken_to: int | None = None) -> None:
        """The caller fell silent, or speaks: silence is the time to change streams, speech the time to watch them.

        `spoken_to`: the last sample of speech; None: all that was pushed may be speech.
        """
        self._streams.set_silent(quiet=quiet, spoken_to=spoken_to)

    def report_stall(self) -> None:
        """Replace the stream: another recognizer found words that the stream has not returned."""
        self._streams.report_stall()

    async def run(self) -> None:
        """Keep a stream until `close`.

        Returns after a clean close; raises `SpeechError` if no stream could be had any more. Cancelling it cancels
        the streams: results under way are lost.
        """
        try:
            await self._streams.run()
        finally:
            self._ended.set()

    async def close(self) -> None:
        """Send what is left, half-close, and wait (bounded) until `run` has read the last final.

        Cancelling it leaves the close under way.
        """
        self._streams.close()
        await self._ended.wait()

    def _deliver(self, heard: Transcript) -> None:
        try:
            (self._on_final if heard.final else self._on_partial)(heard)
        except Exception:  # noqa: BLE001  a foreign callback
            self._log.exception("[STT] subscriber's callback raised; the call continues")
