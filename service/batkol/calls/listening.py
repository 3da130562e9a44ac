"""Every call's voice activity detection, in one round for all of them.

A detector is cheapest when it hears many calls at once, and dearest when each call runs its own. So there is
one `Listener` in a process: every 64 ms it gathers the windows that the calls' rings have completed, scores
them in one worker thread, and tells each call what its segmenter made of them. The event loop never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.audio.ring import Ring
from batkol.audio.segmenter import Segmenter, SegmenterSettings, SpeechEvent
from batkol.audio.vad import EngineName, VadEngine, create
from batkol.calls.listening_round import Part, gather, score
from batkol.calls.worker import Worker

log = structlog.get_logger()

OnSpeech = Callable[[SpeechEvent], None]

_IN_A_ROW = 8  # calls that are refreshed before the loop may see to others: a millisecond
CROWD: Final = 32
"""Calls beyond which reading each message as it comes is cheaper than reading several later."""
_PATIENCE = 5.0  # seconds `aclose` waits for the worker thread


def _webrtc() -> VadEngine:
    return create(EngineName.WEBRTC)


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """What `/v1/status` says about voice activity detection."""

    engine: EngineName
    fallen_back: bool
    """Whether the engine is the fallback, because the chosen one failed."""
    ears: int
    windows: int
    """Windows scored since the start."""
    mean_batch: float
    """Windows in a batch, on average: the more, the cheaper each."""
    skipped_ms: int
    """Audio, over all calls, that was given up unheard because the detector was too far behind."""
    failures: int
    """Rounds in which the engine raised, and events on which a call's `on_speech` raised."""


class Ear:
    """One call's listening. Made by `Listener.open`; lives until `finish` or `close`."""

    __slots__ = ("_listener", "_on_speech", "_segmenter", "closed", "finished", "heard", "refresh", "ring", "slot")

    def __init__(self, listener: Listener, ring: Ring, on_speech: OnSpeech, settings: SegmenterSettings) -> None:
        self._listener = listener
        self._on_speech = on_speech
        self._segmenter = Segmenter(settings)
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
        """The call has ended: score what is left, end what is open, and close.

        Returns the events that this gave; `on_speech` has had each of them already, like all others. Takes
        one round. A cancelled `finish` still finishes; only its answer is lost. A closed ear answers ().
        """
        if self.finished is None:
            if self.closed:
                return ()
            self.finished = asyncio.get_running_loop().create_future()
            self._listener.hurry()
        return await asyncio.shield(self.finished)

    def close(self) -> None:
        """Stop at once: what is left is not scored, and speech that is open ends where it was last heard."""
        self.end(self.heard)

    def hear(self, scores: Iterable[float], part: Part, window: int) -> tuple[SpeechEvent, ...]:
        """Take the scores of a part's windows; the call's last window may be cut short."""
        events: list[SpeechEvent] = []
        start = part.start
        for probability in scores:
            end = min(start + window, part.until)
            events.extend(self._segmenter.hear(probability, start, end))
            start = end
        self.heard = part.until
        self._tell(events)
        return tuple(events)

    def end(self, at: int, *, before: tuple[SpeechEvent, ...] = ()) -> None:
        """Close at sample `at`, and answer who waits in `finish`: the events `before` this and its own."""
        if self.closed:
            return
        self.closed = True
        events = self._segmenter.flush(at)
        self._tell(events)
        if self.finished is not None and not self.finished.done():
            self.finished.set_result(before + events)

    def _tell(self, events: Iterable[SpeechEvent]) -> None:
        for event in events:
            try:
                self._on_speech(event)
            except Exception:  # one call's bug must not deafen the others
                self._listener.count_failure()
                log.exception("a call could not take a speech event; it goes on without it")


class Listener:
    """Owns the detector, its thread and the one task that feeds it; the task lives while there are ears.

    `fallback` makes the engine that takes over, for all calls and for good, when `engine` raises. When that
    one raises too, the windows are tried again each round, and given up when they are 5 s old.
    """

    def __init__(
        self,
        engine: VadEngine,
        *,
        fallback: Callable[[], VadEngine] = _webrtc,
        interval: float = 0.064,
    ) -> None:
        self._engine = engine
        self._fallback = fallback
        self._fallen_back = self._given_up = False
        self._interval = interval  # seconds
        self._ears: list[Ear] = []
        self._worker = Worker("vad")
        self._task: asyncio.Task[None] | None = None
        self._due = asyncio.Event()
        self._windows = self._batches = self._skipped = self._failures = 0

    def open(self, ring: Ring, on_speech: OnSpeech, settings: SegmenterSettings | None = None) -> Ear:
        """Listen to a call from the start of its ring; `on_speech` is called in the event loop, in order."""
        ear = Ear(self, ring, on_speech, settings or SegmenterSettings())
        self._ears.append(ear)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._listen(), name="listener")
        return ear

    def status(self) -> ListenerStatus:
        return ListenerStatus(
            engine=self._engine.name,
            fallen_back=self._fallen_back,
            ears=sum(not ear.closed for ear in self._ears),
            windows=self._windows,
            mean_batch=self._windows / self._batches if self._batches else 0.0,
            skipped_ms=self._skipped // SAMPLES_PER_MS,
            failures=self._failures,
        )

    @property
    def crowded(self) -> bool:
        """Whether there are so many calls that the event loop hardly ever sleeps: see docs/adr/0012."""
        return len(self._ears) > CROWD

    def hurry(self) -> None:
        """Begin the next round now."""
        self._due.set()

    def count_failure(self) -> None:
        self._failures += 1

    async def aclose(self) -> None:
        """Close every ear, the task and the thread; a thread that hangs is left behind after 5 s.

        Cancelling it cancels the task; nothing is lost but the order.
        """
        for ear in self._ears:
            ear.close()
        self.hurry()
        try:
            if self._task is not None:
                async with asyncio.timeout(_PATIENCE):
                    await self._task
        except TimeoutError:
            log.warning("the voice detector did not answer while closing; its thread is left behind")
        finally:
            self._worker.close()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._settle()
            if not self._ears:
                return
            await self._hear()
            if any(ear.finishing for ear in self._ears):
                continue
            due = max(due + self._interval, loop.time())
            timer = loop.call_at(due, self._due.set)
            await self._due.wait()
            timer.cancel()
            self._due.clear()

    def _settle(self) -> None:
        """Between rounds, the engine being idle: new ears get a slot, closed ones give theirs back."""
        for ear in self._ears:
            if ear.closed and ear.slot is not None:
                self._engine.close(ear.slot)
                ear.slot = None
            elif not ear.closed and ear.slot is None:
                ear.slot = self._engine.open()
        self._ears = [ear for ear in self._ears if not ear.closed]

    async def _hear(self) -> None:
        for number, ear in enumerate(tuple(self._ears), 1):
            if ear.refresh is not None and not ear.closed:
                ear.refresh()
            if not number % _IN_A_ROW:
                await asyncio.sleep(0)
        work = [(ear, part, ear.finishing) for ear in self._ears if (part := self._gather(ear)) is not None]
        if not work:
            return
        parts = [part for _, part, _ in work]
        try:
            scores = await self._worker.run(score, self._engine, parts)
        except Exception as error:  # noqa: BLE001 -- whatever a native library raises; _survive logs it
            self._survive(error)
            return
        self._windows += sum(part.windows for part in parts)
        self._batches += 1
        for (ear, part, last), mine in zip(work, scores, strict=True):
            if ear.closed:
                continue
            events = ear.hear(mine, part, self._engine.window)
            if last:
                ear.end(part.until, before=events)

    def _gather(self, ear: Ear) -> Part | None:
        if ear.slot is None:
            return None
        last = ear.finishing
        part = gather(ear.ring, ear.heard, slot=ear.slot, window=self._engine.window, last=last)
        self._skipped += part.start - ear.heard
        ear.heard = part.start
        return part if part.windows or last else None

    def _survive(self, error: Exception) -> None:
        """The round is not lost: no ear has moved on, so the next round scores the same windows."""
        self._failures += 1
        if not self._fallen_back:
            log.error(
                "voice activity detection failed: every call goes on with the fallback until a restart",
                engine=self._engine.name,
                error=repr(error),
            )
            self._engine = self._fallback()
            self._fallen_back = True
            for ear in self._ears:
                ear.slot = None
            return
        if not self._given_up:
            self._given_up = True
            log.error("the fallback detector fails too: restart this process", error=repr(error))
        for ear in self._ears:
            if ear.finishing:
                ear.end(ear.heard)
