"""Reports of one session's streams: log lines for people, and events for the session's owner."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.recognizers.streaming import events
from batkol.recognizers.streaming.errors import Next, SpeechError
from batkol.recognizers.streaming.events import SessionDelegate, StreamEvent
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.stream import Stream
from batkol.speech.rotation import Cut

_EXPECTED = frozenset({Next.ROTATE, Next.REOPEN})


class ChainReport:
    """One per session. Everything returns at once."""

    def __init__(self, options: StreamingOptions, delegate: SessionDelegate, log: FilteringBoundLogger) -> None:
        self._options = options
        self._delegate = delegate
        self._log = log

    def observe(self, event: StreamEvent) -> None:
        """Report an event that has no line in the log."""
        self._delegate.observe(event)

    def ended(self, stream: Stream) -> None:
        """A stream has ended, by plan or not."""
        self._delegate.observe(events.StreamEnded(stream))
        if stream.skipped:
            self._delegate.observe(events.AudioDropped(stream.skipped // SAMPLES_PER_MS, stream.recognizer.name))

    def rotated(self, cut: Cut, stream: Stream) -> None:
        """A stream has taken over, by plan."""
        overlap_ms = (cut.limit - cut.base) // SAMPLES_PER_MS
        self._log.info(
            "[STT] Stream rotated", why=cut.why.value, overlap_ms=overlap_ms, recognizer=stream.recognizer.name
        )
        self._delegate.observe(events.StreamRotated(cut, stream.recognizer.name))

    def not_opened(self, error: SpeechError, refused: Stream, old: Stream) -> None:
        """The stream that was to take over by plan could not be opened."""
        name = refused.recognizer.name
        self._log.warning(
            "[STT] next stream cannot be opened; the old stream continues", err=str(error), recognizer=name
        )
        self._delegate.observe(events.StreamFailed(error, name))
        self._options.on_rotation_failed(error.reason, name)
        if refused.recognizer is not old.recognizer:
            self._delegate.observe(events.ChangeFailed(name, error))

    def replaced(self, broken: Stream, first: SpeechError, stream: Stream, replayed_ms: int) -> None:
        """A stream goes on after the first fault of the broken one."""
        failed = broken.recognizer.name
        line = self._log.info if first.next in _EXPECTED else self._log.warning
        line(
            "[STT] stream failed; the next stream starts from the last final",
            err=str(first),
            reason=first.reason,
            replayed_ms=replayed_ms,
            recognizer=failed,
        )
        self._delegate.observe(events.StreamReplaced(first.reason, replayed_ms, stream.recognizer.name, failed))

    def changed(self, before: StreamingRecognizer, after: StreamingRecognizer, reason: str) -> None:
        """Another recognizer hears the call from now on."""
        line = self._log.info if reason == events.CHOSEN else self._log.warning
        line("[STT] another recognizer hears the call", recognizer=after.name, before=before.name, reason=reason)
        self._delegate.observe(events.RecognizerChanged(before.name, after.name, reason))
