"""One call's part in voice activity detection: the audio scored so far, and the events of its segmenter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from typing import Protocol

import structlog

from batkol.audio.quiet import is_loud
from batkol.audio.ring import Ring
from batkol.audio.segmenter import Segmenter, SegmenterSettings, SpeechEvent
from batkol.live.tuning import Tuning
from batkol.vad.batch import BatchPart, PartLevels, gather

log = structlog.get_logger()

OnSpeech = Callable[[SpeechEvent], None]


class VadHost(Protocol):
    """The methods of the scheduler that a session calls."""

    def wake(self) -> None: ...

    def count_failure(self) -> None: ...


class VadSession:
    """Voice activity detection of one call. Made by `VadScheduler.open`; lives until `finish` or `close`."""

    __slots__ = ("_host", "_on_speech", "_segmenter", "closed", "finished", "heard", "refresh", "ring", "slot")

    def __init__(self, host: VadHost, ring: Ring, on_speech: OnSpeech, settings: SegmenterSettings) -> None:
        self._host = host
        self._on_speech = on_speech
        self._segmenter = Segmenter(settings, partial(is_loud, ring))
        self.ring = ring
        self.refresh: Callable[[], None] | None = None
        """Brings the ring up to date; called before each round."""
        self.heard = ring.start
        """Audio time up to which decisions are known, in samples."""
        self.slot: int | None = None  # the engine's; taken and given back between rounds only
        self.finished: asyncio.Future[tuple[SpeechEvent, ...]] | None = None
        self.closed = False

    @property
    def speaking(self) -> bool:
        """Whether the caller is speaking, as far as `heard`."""
        return self._segmenter.speaking

    @property
    def finishing(self) -> bool:
        return self.finished is not None and not self.closed

    def tune(self, settings: SegmenterSettings) -> None:
        """Change the settings of a call in progress; they hold from the next window on."""
        self._segmenter.settings = settings

    async def finish(self) -> tuple[SpeechEvent, ...]:
        """Score the remaining audio, end open speech, and close: the call has ended.

        Returns the events that this gave; `on_speech` has had each of them already, like all others. Takes
        one round. A cancelled `finish` still finishes; only its answer is lost. A closed session returns ().
        """
        if self.finished is None:
            if self.closed:
                return ()
            self.finished = asyncio.get_running_loop().create_future()
            self._host.wake()
        return await asyncio.shield(self.finished)

    def close(self) -> None:
        """Close at once: the remaining audio is not scored, and open speech ends at the last scored sample."""
        self.end(self.heard)

    def gather(self, slot: int, window: int) -> BatchPart:
        """Return this call's part in the next round: all that the ring has, if the call has ended."""
        part = gather(self.ring, self.heard, slot=slot, window=window, last=self.finishing)
        since = self._segmenter.levels_since(part.start, part.until)
        if since is None:
            return part
        unmeasured = self.ring.read(max(since, self.ring.start), part.start)
        return part._replace(unmeasured=unmeasured, speech_from=self._segmenter.settings.release_threshold)

    def append_scores(
        self, scores: Iterable[float], part: BatchPart, window: int, levels: PartLevels | None = None
    ) -> tuple[SpeechEvent, ...]:
        """Take the scores of a part's windows; the call's last window may be cut short."""
        events: list[SpeechEvent] = []
        start = part.start
        if levels is not None:
            self._segmenter.append_level(levels.before, start)
        for probability, level in zip(scores, repeat(None) if levels is None else levels.windows, strict=False):
            end = min(start + window, part.until)
            events.extend(self._segmenter.append_score(probability, start, end, level=level))
            start = end
        self.heard = part.until
        self._notify(events)
        return tuple(events)

    def end(self, at: int, *, before: tuple[SpeechEvent, ...] = ()) -> None:
        """Close at sample `at`, and have `finish` return the events `before` this and the events of this end."""
        if self.closed:
            return
        self.closed = True
        events = self._segmenter.flush(at)
        self._notify(events)
        if self.finished is not None and not self.finished.done():
            self.finished.set_result(before + events)

    def _notify(self, events: Iterable[SpeechEvent]) -> None:
        for event in events:
            try:
                self._on_speech(event)
            except Exception:  # an exception of one call must not stop the detection of the other calls
                self._host.count_failure()
                log.exception("[VAD] call could not take a speech event; it continues without the event")


def endpointing(tuning: Tuning) -> SegmenterSettings:
    """Return the part of the tuning that a session uses."""
    return SegmenterSettings(
        minimum_speech_ms=tuning.minimum_speech_ms,
        silence_ms=tuning.silence_ms,
        pre_roll_ms=tuning.pre_roll_ms,
        lasting_ms=tuning.turns.thresholds.interruption_ms,
    )
