"""Voice activity detection of all calls, in common rounds.

An engine costs least when it scores many calls at once, and most when each call has an engine of its own. So there is
one `VadScheduler` in a process: every 64 ms it gathers the windows that the calls' rings have completed, scores
them in one worker thread, and gives each call the events of its segmenter. The event loop never waits.
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
from batkol.supervision.worker import Jobs, Worker
from batkol.vad.batch import BatchPart, RoundScores, score
from batkol.vad.engine import EngineName, VadEngine
from batkol.vad.factory import create
from batkol.vad.session import OnSpeech, VadSession

log = structlog.get_logger()

_REFRESHES_PER_YIELD = 8  # calls that are refreshed before the event loop runs other tasks: about a millisecond
CROWD: Final = 32
"""Calls beyond which reading each message as it comes is cheaper than reading several later."""
CLOSING_S: Final = 5.0
"""Seconds that `aclose` waits for the engine."""


def _webrtc() -> VadEngine:
    return create(EngineName.WEBRTC)


class VadScheduler:
    """Owns the engine, its thread and the one task that feeds it; the task lives while there are sessions.

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
        thread: Jobs | None = None,
        closing_s: float = CLOSING_S,
    ) -> None:
        self._engine = engine
        self._fallback = fallback
        self._fallen_back = False
        self._interval = interval  # seconds
        self._sessions: list[VadSession] = []
        self.thread: Jobs = thread or Worker("vad")
        self._closing_s = closing_s
        self._scoring = False
        self._task = (tasks or Tasks()).add(self._listen, "listener", needed_to_hear=True, may_return=True)
        self._due = asyncio.Event()
        self._windows = self._batches = self._skipped = self._failures = 0

    def open(self, ring: Ring, on_speech: OnSpeech, settings: SegmenterSettings | None = None) -> VadSession:
        """Detect the speech of a call from the start of its ring; `on_speech` is called in the event loop, in order."""
        session = VadSession(self, ring, on_speech, settings or SegmenterSettings())
        self._sessions.append(session)
        self._task.start()
        return session

    def status(self) -> VadStatus:
        return VadStatus(
            engine=self._engine.name,
            fallen_back=self._fallen_back,
            ears=sum(not session.closed for session in self._sessions),
            windows=self._windows,
            mean_batch=self._windows / self._batches if self._batches else 0.0,
            skipped_ms=self._skipped // SAMPLES_PER_MS,
            failures=self._failures,
        )

    @property
    def crowded(self) -> bool:
        """Whether there are so many calls that the event loop hardly ever sleeps: see docs/adr/0012."""
        return len(self._sessions) > CROWD

    def wake(self) -> None:
        """Begin the next round now."""
        self._due.set()

    def count_failure(self) -> None:
        self._failures += 1

    async def aclose(self) -> None:
        """Close every session, the task and the thread; a thread that hangs is left behind after `closing_s`.

        Cancelling it cancels the task; nothing is lost but the order.
        """
        for session in self._sessions:
            session.close()
        self.wake()
        try:
            async with asyncio.timeout(self._closing_s):
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
            if not self._sessions:
                return
            await self._score_round()
            if any(session.finishing for session in self._sessions):
                continue
            due = max(due + self._interval, loop.time())
            timer = loop.call_at(due, self._due.set)
            await self._due.wait()
            timer.cancel()
            self._due.clear()

    def _settle(self) -> None:
        """Between rounds, the engine being idle: new sessions get a slot, closed ones give theirs back."""
        for session in self._sessions:
            if session.closed and session.slot is not None:
                self._engine.close(session.slot)
                session.slot = None
            elif not session.closed and session.slot is None:
                session.slot = self._engine.open()
        self._sessions = [session for session in self._sessions if not session.closed]

    async def _score_round(self) -> None:
        for number, session in enumerate(tuple(self._sessions), 1):
            if session.refresh is not None and not session.closed:
                self._refresh(session)
            if not number % _REFRESHES_PER_YIELD:
                await asyncio.sleep(0)
        work = [
            (session, part, session.finishing)
            for session in self._sessions
            if (part := self._gather(session)) is not None
        ]
        if not work:
            return
        parts = [part for _, part, _ in work]
        scores = await self._scored(parts)
        if scores is None:
            return
        self._windows += sum(part.windows for part in parts)
        self._batches += 1
        for (session, part, last), mine in zip(work, scores.probabilities, strict=True):
            if session.closed:
                continue
            events = session.append_scores(mine, part, self._engine.window, scores.levels.get(part.slot))
            if last:
                session.end(part.until, before=events)

    async def _scored(self, parts: Sequence[BatchPart]) -> RoundScores | None:
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

    def _refresh(self, session: VadSession) -> None:
        try:
            if session.refresh is not None:
                session.refresh()
        except Exception:  # an exception of one call must not stop the detection of the other calls
            session.refresh = None
            self.count_failure()
            log.exception("[VAD] call could not read its socket ahead; it continues with what arrives")

    def _gather(self, session: VadSession) -> BatchPart | None:
        if session.slot is None:
            return None
        last = session.finishing
        part = session.gather(session.slot, self._engine.window)
        self._skipped += part.start - session.heard
        session.heard = part.start
        return part if part.windows or last else None

    def _survive(self, error: Exception) -> None:
        """Go on with the fallback; raise the error if there is no other.

        The round is not lost: no session has moved on, so the next round scores the same windows.
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
            for session in self._sessions:
                session.slot = None
            return
        for session in self._sessions:
            if session.finishing:
                session.end(session.heard)
        raise error


def _nothing() -> None:
    """Do nothing: `run` returns when the thread has finished the work before it."""
