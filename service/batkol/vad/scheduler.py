"""Every call's voice activity detection, in one round for all of them.

A detector is cheapest when it hears many calls at once, and dearest when each call runs its own. So there is
one `VadScheduler` in a process: every 64 ms it gathers the windows that the calls' rings have completed, scores
them in one worker thread, and tells each call what its segmenter made of them. The event loop never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.audio.ring import Ring
from batkol.audio.segmenter import SegmenterSettings
from batkol.status import VadStatus
from batkol.supervision.tasks import Tasks
from batkol.supervision.threads import ThreadDiedError
from batkol.vad.batch import BatchPart, gather, score
from batkol.vad.engine import EngineName, VadEngine
from batkol.vad.factory import create
from batkol.vad.session import OnSpeech, VadSession
from batkol.vad.worker import Worker

log = structlog.get_logger()

_IN_A_ROW = 8  # calls that are refreshed before the loop may see to others: a millisecond
CROWD: Final = 32
"""Calls beyond which reading each message as it comes is cheaper than reading several later."""
_PATIENCE = 5.0  # seconds `aclose` waits for the worker thread


def _webrtc() -> VadEngine:
    return create(EngineName.WEBRTC)


class VadScheduler:
    """Owns the detector, its thread and the one task that feeds it; the task lives while there are ears.

    `fallback` makes the engine that takes over, for all calls and for good, when `engine` raises. When that
    one raises too, the task dies: it is started again by the rules of `batkol.supervision.restarts`, tries the same
    windows, and gives them up when they are 5 s old. `tasks` show the task's deaths; its owner watches `thread`.
    """

    def __init__(
        self,
        engine: VadEngine,
        *,
        fallback: Callable[[], VadEngine] = _webrtc,
        interval: float = 0.064,
        tasks: Tasks | None = None,
    ) -> None:
        self._engine = engine
        self._fallback = fallback
        self._fallen_back = False
        self._interval = interval  # seconds
        self._ears: list[VadSession] = []
        self.thread = Worker("vad")
        self._scoring = False
        self._task = (tasks or Tasks()).add(self._listen, "listener", needed_to_hear=True, may_return=True)
        self._due = asyncio.Event()
        self._windows = self._batches = self._skipped = self._failures = 0

    def open(self, ring: Ring, on_speech: OnSpeech, settings: SegmenterSettings | None = None) -> VadSession:
        """Listen to a call from the start of its ring; `on_speech` is called in the event loop, in order."""
        ear = VadSession(self, ring, on_speech, settings or SegmenterSettings())
        self._ears.append(ear)
        self._task.start()
        return ear

    def status(self) -> VadStatus:
        return VadStatus(
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

    def wake(self) -> None:
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
        self.wake()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._task.join()
        except TimeoutError:
            log.warning("[VAD] engine did not answer while closing; its thread is abandoned")
        finally:
            self.thread.close()
            await self._task.stop()

    async def _listen(self) -> None:
        if self._scoring:  # this task was cancelled while the engine worked, and may be in the middle of it
            await self.thread.run(_nothing)
            self._scoring = False
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._settle()
            if not self._ears:
                return
            await self._score_round()
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

    async def _score_round(self) -> None:
        for number, ear in enumerate(tuple(self._ears), 1):
            if ear.refresh is not None and not ear.closed:
                self._refresh(ear)
            if not number % _IN_A_ROW:
                await asyncio.sleep(0)
        work = [(ear, part, ear.finishing) for ear in self._ears if (part := self._gather(ear)) is not None]
        if not work:
            return
        parts = [part for _, part, _ in work]
        scores = await self._scored(parts)
        if scores is None:
            return
        self._windows += sum(part.windows for part in parts)
        self._batches += 1
        for (ear, part, last), mine in zip(work, scores, strict=True):
            if ear.closed:
                continue
            events = ear.append_scores(mine, part, self._engine.window)
            if last:
                ear.end(part.until, before=events)

    async def _scored(self, parts: Sequence[BatchPart]) -> list[list[float]] | None:
        """Have the engine score these parts; None if it, or its thread, failed: the next round tries them again."""
        self._scoring = True
        try:
            scores = await self.thread.run(score, self._engine, parts)
        except ThreadDiedError:
            self._failures += 1
            scores = None
        except Exception as error:  # noqa: BLE001 -- whatever a native library raises; the fallback's is raised again
            self._scoring = False
            self._survive(error)
            return None
        self._scoring = False
        return scores

    def _refresh(self, ear: VadSession) -> None:
        try:
            if ear.refresh is not None:
                ear.refresh()
        except Exception:  # one call's bug must not deafen the others
            ear.refresh = None
            self.count_failure()
            log.exception("[VAD] call could not read its socket ahead; it continues with what arrives")

    def _gather(self, ear: VadSession) -> BatchPart | None:
        if ear.slot is None:
            return None
        last = ear.finishing
        part = gather(ear.ring, ear.heard, slot=ear.slot, window=self._engine.window, last=last)
        self._skipped += part.start - ear.heard
        ear.heard = part.start
        return part if part.windows or last else None

    def _survive(self, error: Exception) -> None:
        """Go on with the fallback; raise the error if there is no other.

        The round is not lost: no ear has moved on, so the next round scores the same windows.
        """
        self._failures += 1
        if not self._fallen_back:
            log.error(
                "[VAD] engine failed; every call uses the fallback engine until a restart",
                engine=self._engine.name,
                error=repr(error),
            )
            self._engine = self._fallback()
            self._fallen_back = True
            for ear in self._ears:
                ear.slot = None
            return
        for ear in self._ears:
            if ear.finishing:
                ear.end(ear.heard)
        raise error


def _nothing() -> None:
    """Nothing to do: for who waits until the thread has done what came before."""
