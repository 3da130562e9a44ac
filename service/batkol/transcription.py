"""The policy: streaming, the single request or Whisper, by flag and by failure. Nothing else decides.

At the start of every utterance the flag is asked for this call. On: the streaming session hears it. Off: one request
with the whole utterance, as if streaming did not exist. When a step fails, the next one gets the same audio out of
the ring: streaming → single request → Whisper. Each step is logged once and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from batkol.audience import Audience
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.audio.ring import Ring
from batkol.flags.flags import Decision
from batkol.google.errors import Next, SpeechError
from batkol.google.session import StreamingSTTSession
from batkol.live.tuning import Tuning
from batkol.recognition import Recognizers
from batkol.speech.cooloff import CoolOff
from batkol.speech.partials import Due, Partials
from batkol.speech.results import Heard
from batkol.speech.utterance import Mode, Source, State, Utterance
from batkol.speech.utterances import (
    LONGEST,
    Missed,
    Outcome,
    Partial,
    Patience,
    Revised,
    Unplaced,
    Utterances,
)
from batkol.speech.utterances import (
    Final as Finished,
)

HEAD: Final = SAMPLE_RATE // 2
"""A single request begins half a second before the pre-roll: a detector that woke up late costs the first word."""

TAIL: Final = SAMPLE_RATE
"""And goes on for up to a second after the end of speech, as far as it was heard: the hang-over is there anyway."""


_LOOK: Final = SAMPLE_RATE // 10  # without a session, the media path looks up this often


class Transcription:
    """The transcription of one call. Everything but `finish` returns at once."""

    def __init__(
        self,
        *,
        ring: Ring,
        recognizers: Recognizers,
        decide: Callable[[], Decision],
        tuning: Callable[[], Tuning],
        audience: Audience,
        log: FilteringBoundLogger,
    ) -> None:
        self._ring = ring
        self._log = log
        self._recognizers = recognizers
        self._decide = decide
        self._tuning_now = tuning
        self._tuning = tuning()
        self._audience = audience
        self._utterances = Utterances(_patience(self._tuning))
        self._partials = Partials(window=self._tuning.partial_debounce_ms / 1000)
        self._session: StreamingSTTSession | None = None
        self._due = 0  # the sample at which there is something to do
        self._wanted = True  # what the flag said last
        self._cool_off = CoolOff()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._pending: set[asyncio.Task[None]] = set()

    @property
    def session_open(self) -> bool:
        """Whether a streaming session hears this call."""
        return self._session is not None

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """The call is up; its sessions and requests live in `tasks`, and none outlives it."""
        self._tasks = tasks

    def start(self) -> None:
        """The first media is there: open the session if the flag says so."""
        self._wanted = self._decide().enabled
        if self._wanted:
            self._open(0)

    def hear(self, until: int) -> None:
        """The ring holds audio up to `until`. This is the media path: one comparison a frame, a few a batch."""
        if until < self._due:
            return
        if self._tuning_now() is not self._tuning:
            self._retune()
        if self._session is not None:
            self._session.push_audio(until)
        self._due = until + _LOOK if self._session is None else self._session.due
        speaking = self._utterances.speaking
        if speaking is not None and until - speaking.begin >= LONGEST:
            cut = speaking.begin + LONGEST
            self.speech_ended(cut)
            self.speech_started(cut, cut)

    def speech_started(self, begin: int, speech_at: int) -> None:
        """The caller speaks, since `speech_at`; `begin` is that less the pre-roll."""
        if self._utterances.speaking is not None:
            return
        decision = self._decide()
        self._wanted = decision.enabled
        streaming = decision.enabled and self._cool_off.allows(self._loop.time())
        if streaming and self._session is None:
            self._open(begin)
        utterance = self._utterances.begin(begin, speech_at, Mode.STREAMING if streaming else Mode.SINGLE)
        self._audience.utterance_started(utterance, decision)
        self._retire_session()

    def speech_ended(self, end: int) -> None:
        """The caller fell silent after sample `end`: everything heard is flushed at once."""
        utterance = self._utterances.speaking
        if utterance is None:
            return
        if self._session is not None:
            self._session.push_audio(self._ring.end, flush=True)
        self._act(self._utterances.fall_silent(end, self._ring.end, self._loop.time()))
        if utterance.mode is Mode.SINGLE:
            self._ask(utterance)

    async def finish(self) -> None:
        """The call is over: deliver what is in hand, and return when that is done.

        Bounded by the recognizers' own time-outs. Cancelling it loses the answers still under way.
        """
        self.speech_ended(self._ring.end)
        if self._session is not None:
            session, self._session = self._session, None
            session.push_audio(self._ring.end, flush=True)
            await session.close()
        self._act(self._utterances.stream_ended())
        while self._pending:
            await asyncio.wait(self._pending)
        self._disarm()

    # -- the streaming session ---------------------------------------------------------------------------------

    def _open(self, start: int) -> None:
        session = StreamingSTTSession(
            self._hear,
            self._hear,
            speech=self._recognizers.speech,
            ring=self._ring,
            start=start,
            batch_ms=self._tuning.batch_ms,
            log=self._log,
        )
        self._session = session
        self._due = 0
        session.push_audio(self._ring.end)
        self._spawn(self._stream(session), "stt.session")

    async def _stream(self, session: StreamingSTTSession) -> None:
        self._audience.session_opened()
        try:
            await session.run()
        except SpeechError as error:
            self._lose(session, error)
        finally:
            self._audience.session_closed()

    def _lose(self, session: StreamingSTTSession, error: SpeechError) -> None:
        """The stream ended by itself: its utterances are answered from the audio in hand."""
        if self._session is session:
            self._session = None
        expected = error.next in {Next.ROTATE, Next.REOPEN}
        if not expected:
            self._log.warning(f"[STT] streaming failed → fallback to single. err={error}", reason=error.reason)
            self._cool_off.fail(
                self._loop.time(),
                for_good=error.next is Next.MISCONFIGURED,
                at_once=error.next is Next.BACK_OFF,
            )
        self._audience.fell_back("streaming", error.reason)
        for utterance in self._utterances.open:
            if utterance.mode is Mode.STREAMING:
                asked = utterance.give_up is None  # it was missed before, and its answer is on the way
                self._utterances.leave_stream(utterance)
                if utterance.state is State.CLOSING and not asked:
                    self._ask(utterance)

    def _retire_session(self) -> None:
        """The flag is off and no utterance needs the session: end it."""
        if self._wanted or self._session is None:
            return
        if not any(u.mode is Mode.STREAMING for u in self._utterances.open):
            session, self._session = self._session, None
            self._spawn(session.close(), "stt.close")

    def _hear(self, heard: Heard) -> None:
        if heard.final:
            self._cool_off.succeed()
        self._act(self._utterances.hear(heard))

    # -- the other recognizers ---------------------------------------------------------------------------------

    def _ask(self, utterance: Utterance) -> None:
        """Have the other recognizers hear it, with what surrounds it but none of its neighbours' speech."""
        before, after = self._utterances.surroundings(utterance)
        end = self._ring.end if utterance.end is None else min(utterance.end + TAIL, self._ring.end)
        if after is not None:
            end = max(utterance.end or after, min(end, after))
        start = min(utterance.begin, max(before, utterance.begin - HEAD, self._ring.start))
        self._spawn(self._answer(utterance, self._ring.read(start, max(start, end))), "stt.single")

    async def _answer(self, utterance: Utterance, audio: bytes) -> None:
        text, source = await self._recognizers.answer(audio, self._audience.fell_back, self._log)
        if not text and utterance.newest:
            text, source = utterance.newest, Source.INTERIM
        self._act(self._utterances.settle(utterance, text, source))

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        if self._tasks is None:
            raise AssertionError("a transcription begins before it hears")
        task = self._tasks.create_task(work, name=name)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    # -- what comes out ----------------------------------------------------------------------------------------

    def _act(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case Partial(utterance, text, _, stability):
                    due = self._partials.hear(utterance, text, stability, self._loop.time())
                    self._send([due] if due else [])
                case Finished(utterance):
                    self._partials.forget(utterance)
                    self._audience.final(utterance, self._recognizers.punctuated(utterance.text, self._log))
                    self.release()
                case Revised(utterance, text):
                    self._audience.revised(utterance, self._recognizers.punctuated(text, self._log))
                case Missed(utterance):
                    self._log.warning("[STT] the stream missed an utterance; a single request gets its audio")
                    self._audience.fell_back("streaming", "missed")
                    self._ask(utterance)
                case Unplaced(utterance):
                    self._audience.utterance_started(utterance, None)
        self._retire_session()
        self._arm()

    def _send(self, due: Sequence[Due]) -> None:
        for utterance, text, stability in due:
            self._audience.partial(utterance, text, stability)

    def release(self) -> None:
        """Let the ring forget what no utterance and no cursor will ask for (ten seconds are kept in any case)."""
        needed = min((u.begin for u in self._utterances.open), default=self._ring.end)
        self._ring.release(min(needed, self._ring.end - 10 * SAMPLE_RATE))

    # -- time --------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        due = [d for d in (self._utterances.deadline, self._partials.deadline) if d is not None]
        if self._timer is not None and due and self._timer.when() <= min(due):
            return  # an early tick finds nothing, and arms again: cheaper than a new timer for every partial
        self._disarm()
        if due:
            self._timer = self._loop.call_at(min(due), self._tick)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        self._send(self._partials.tick(now))
        self._act(self._utterances.tick(now))

    def _retune(self) -> None:
        self._tuning = self._tuning_now()
        self._utterances.patience = _patience(self._tuning)
        self._partials.tune(self._tuning.partial_debounce_ms / 1000)
        if self._session is not None:
            self._session.tune(self._tuning.batch_ms)
        self._arm()


def _patience(tuning: Tuning) -> Patience:
    return Patience(final=tuning.final_timeout_ms / 1000)
