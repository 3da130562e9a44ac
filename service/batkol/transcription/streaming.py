"""The streaming half of one call's recognition: its session, and when there should be none.

A call that a recognizer keeps failing stays away from it for a while, a process that sees many of its streams fail
stops trying for all calls (`RecognizerChoice`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from structlog.typing import FilteringBoundLogger

from batkol.audio.ring import Ring
from batkol.recognizers.streaming.errors import SpeechError
from batkol.recognizers.streaming.events import (
    AudioLost,
    ChangeFailed,
    StreamAnswered,
    StreamEnded,
    StreamEvent,
    StreamFailed,
    StreamOpening,
    StreamReplaced,
    StreamRotated,
)
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.speech.passage import Passage
from batkol.speech.results import Transcript
from batkol.transcription.choice import EXPECTED, FOR_GOOD, RecognizerChoice
from batkol.transcription.events import Observe, SessionClosed, SessionOpened, StepFailed
from batkol.transcription.final_request import FinalRequest
from batkol.transcription.recognizers import Recognizers, Session, failure
from batkol.transcription.streaming_step import StreamingStep


class Policy(Protocol):
    """Decisions and notifications of the session's owner."""

    def needed(self) -> int:
        """Return the first sample that an utterance still waits for from the stream."""
        ...

    def on_transcript(self, heard: Transcript) -> None:
        """A result, in absolute time."""
        ...

    def lost(self, start: int, end: int | None) -> None:
        """No stream will answer for [start, end): its utterances need another recognizer. None: nor for later audio."""
        ...


SpawnNamed = Callable[[Coroutine[Any, Any, None], str], None]


class Streaming:
    """One per call. `flag` names the preferred recognizer; None: as before. Everything but `finish` returns at once."""

    def __init__(
        self,
        policy: Policy,
        *,
        ring: Ring,
        recognizers: Recognizers,
        flag: Callable[[], str | None],
        observe: Observe,
        spawn: SpawnNamed,
        log: FilteringBoundLogger,
    ) -> None:
        self._policy = policy
        self._ring = ring
        self._recognizers = recognizers
        self._observe = observe
        self._spawn = spawn
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._steps = recognizers.known
        self._choice = RecognizerChoice(lambda: recognizers.streaming, flag)
        self._chosen: StreamingStep | None = None  # for the session to come; its breaker's probe is taken
        self._speaking = False
        self._unproven = False  # a stream took over by plan, and has not answered yet
        self._unanswered: Passage | None = None  # of the newest stream, until it answers
        self._final_request = FinalRequest(ring)
        self._session: Session | None = None

    @property
    def is_open(self) -> bool:
        """Whether a session hears the call."""
        return self._session is not None

    @property
    def recognizer(self) -> str:
        """The name of the one that hears the call; empty without a session."""
        return "" if self._session is None else self._session.recognizer.name

    def push(self, until: int) -> int | None:
        """The ring holds audio up to `until`: return the sample at which the next push is due; None without a session.

        The media path: two comparisons when no batch is due.
        """
        if self._session is None:
            return None
        self._session.push_audio(until)
        return self._session.due

    def tune(self, batch_ms: int) -> None:
        """Change the batch length of a session in progress."""
        if self._session is not None:
            self._session.tune(batch_ms)

    def abandon(self) -> None:
        """Forget the session; its tasks have ended."""
        self._session = None

    def allows(self) -> bool:
        """Whether an utterance that begins now may be streamed; takes the breaker's probe if that is what it takes."""
        if self._session is None:
            self._chosen = self._choice.best(self._loop.time())
        return self._session is not None or self._chosen is not None

    def prefer(self, at: int | None) -> None:
        """Ask the flag which recognizer the call prefers: an utterance begins at sample `at`.

        A session that is heard by another one changes there, by one planned cut, as soon as the preferred one may be
        used. `at` None: it changes where the caller stands.
        """
        self._choice.ask_flag()
        if (session := self._session) is not None:
            better = self._choice.better_than(session.wanted.name, session.recognizer.name, self._loop.time())
            if better is not None:
                session.switch(better.recognizer, at)

    def follow(self) -> None:
        """Take up recognizers that have come into force, or another order of them, in mid-utterance, too."""
        if self._choice.outdated:
            self.prefer(None)

    def open(self, start: int, batch_ms: int) -> None:
        """Hear the call from `start` on; `allows` has said yes."""
        step = self._chosen or self._recognizers.streaming[0]
        session = self._recognizers.open_session(
            self._on_transcript,
            self._on_transcript,
            recognizer=step.recognizer,
            options=self._recognizers.options,
            ring=self._ring,
            start=start,
            batch_ms=batch_ms,
            delegate=self,
            log=self._log,
        )
        self._session = session
        session.push_audio(self._ring.end)
        session.set_silent(quiet=not self._speaking)
        self._spawn(self._run(session), "stt.session")

    def set_speech(self, *, speaking: bool, end: int | None = None) -> None:
        """The detector's news; `end` is the last sample of speech."""
        self._speaking = speaking
        if self._session is not None:
            self._session.set_silent(quiet=not speaking, spoken_to=end)

    def flush(self) -> None:
        """Send all that was heard, whole batch or not."""
        if self._session is not None:
            self._session.push_audio(self._ring.end, flush=True)

    @property
    def deadline(self) -> float | None:
        """Time at which `tick` must run next."""
        return self._final_request.at

    def pause(self, since: int | None) -> None:
        """The caller is quiet since that sample, or speaks again: None.

        After a moment of quiet, by the audio, a recognizer that can finalize is asked to.
        """
        able = self._session is not None and self._session.recognizer.traits.can_flush
        self._final_request.schedule(since if able else None, self._loop.time())

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._final_request.is_due(now, speaking=self._speaking) and self._session is not None:
            self._session.push_audio(self._final_request.cut(), flush=True)
            self._session.finalize()

    def is_silent(self, end: int) -> bool:
        """Whether the newest stream took over before sample `end`, and has not answered so far."""
        return self._unanswered is not None and self._unanswered.base < end

    def report_stall(self) -> None:
        """Another recognizer found words that the stream has not returned."""
        if self._session is not None:
            self._session.report_stall()

    def retire(self) -> None:
        """No utterance needs the session any more: end it."""
        if self._session is not None:
            session, self._session = self._session, None
            self._spawn(session.close(), "stt.close")

    async def finish(self) -> None:
        """The call is over: send what is left and read the last final (bounded). Cancelling it loses that final."""
        if self._session is not None:
            session, self._session = self._session, None
            session.push_audio(self._ring.end, flush=True)
            await session.close()

    async def _run(self, session: Session) -> None:
        self._observe(SessionOpened())
        try:
            await session.run()
        except SpeechError as error:
            self._lose(session, error)
        finally:
            if self._session is session:  # it was cancelled: the next utterance gets another one
                self._session = None
            self._observe(SessionClosed())

    def _lose(self, session: Session, error: SpeechError) -> None:
        """No stream is to be had: the session's utterances are answered from the audio in hand."""
        is_current = self._session is session
        if is_current:
            self._session = None
        elif self._policy.needed() >= self._ring.end:
            return  # it was about to end, and its results are not needed
        if error.next not in EXPECTED:
            self._log.warning(f"[STT] streaming failed → fallback to single. err={error}", reason=error.reason)
        self._observe(StepFailed(None, "streaming", error.reason, session.recognizer.name))
        self._policy.lost(0, None)

    def _on_transcript(self, heard: Transcript) -> None:
        if heard.final and heard.recognizer:
            self._choice.succeed(heard.recognizer)
            self._steps[heard.recognizer].breaker.succeed(self._loop.time())
        self._policy.on_transcript(heard)

    # -- the delegate of the session (batkol.recognizers.streaming.events) --------------------------------------------

    def needed(self) -> int:
        return self._policy.needed()

    def may_try(self, recognizer: StreamingRecognizer) -> bool:
        return self._steps[recognizer.name].breaker.allows(self._loop.time())

    def has_another(self, recognizer: StreamingRecognizer) -> bool:
        return self._choice.has_another(recognizer.name, self._loop.time())

    def another(self, failed: StreamingRecognizer, error: SpeechError) -> StreamingRecognizer | None:
        other = self._choice.instead_of(failed.name, error, self._loop.time())
        return None if other is None else other.recognizer

    def observe(self, event: StreamEvent) -> None:
        match event:
            case StreamAnswered(recognizer):
                self._unproven, self._unanswered = False, None
                self._steps[recognizer].breaker.succeed(self._loop.time())
            case StreamFailed(error, recognizer):
                if not error.is_local:
                    breaker = self._steps[recognizer].breaker
                    breaker.fail(self._loop.time(), failure(error), grave=error.next in FOR_GOOD)
            case ChangeFailed(recognizer, error):
                self._choice.fail(recognizer, error, self._loop.time(), at_once=True)
            case AudioLost(start, end, recognizer):
                self._observe(StepFailed(None, "streaming", "lost", recognizer))
                self._policy.lost(start, end)
            case StreamRotated():
                self._unproven = True
                self._observe(event)
            case StreamReplaced(reason, _, _, recognizer):
                if self._unproven:  # Google lets a stream be opened that it refuses: that is a failed rotation, too
                    self._recognizers.options.on_rotation_failed(reason, recognizer)
                self._unproven = False
                self._observe(event)
            case StreamOpening() | StreamEnded():
                self._follow_opening(event)
                self._observe(event)
            case _:  # shared: mypy refuses any other
                self._observe(event)

    def _follow_opening(self, event: StreamOpening | StreamEnded) -> None:
        if isinstance(event, StreamOpening):
            self._unanswered = event.stream.passage
        elif event.stream.passage is self._unanswered:  # it never took over, or is followed by one that opens now
            self._unanswered = None
