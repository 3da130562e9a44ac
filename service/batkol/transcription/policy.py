"""The policy: streaming, the single request or Whisper, by flag and by failure. Nothing else decides.

At the start of every utterance the flag is asked for this call. On: the streaming session hears it. Off: one request
with the whole utterance, as if streaming did not exist. When a step fails, the next one gets the same audio out of
the ring: streaming → single request → Whisper. Each step is logged once and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from structlog.typing import FilteringBoundLogger

from batkol.alarm import Alarm
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.audio.ring import Ring
from batkol.audio.segmenter import PauseEvent, SegmentQuiet
from batkol.flags.flags import Decision
from batkol.live.tuning import Tuning
from batkol.speech.excerpt import excerpt
from batkol.speech.outcomes import Final as Finished
from batkol.speech.outcomes import Missed, Partial, Revision, TakenBack, Unconfirmed, Unplaced, UtteranceOutcome
from batkol.speech.partials import Partials
from batkol.speech.results import Transcript
from batkol.speech.utterance import Mode, Source, Utterance, UtteranceState
from batkol.speech.utterances import LONGEST, Utterances, UtteranceTimeouts
from batkol.transcription.early import EarlyText
from batkol.transcription.events import (
    FinalReady,
    Observe,
    PartialReady,
    RevisionReady,
    SpeechStopped,
    StepFailed,
    UtteranceOpened,
)
from batkol.transcription.pending import PendingWork
from batkol.transcription.recognizers import Recognizers
from batkol.transcription.streaming import Streaming

_LOOK: Final = SAMPLE_RATE // 10  # without a session, the media path looks up this often
_MISSED: Final = "the stream missed an utterance; a single request gets its audio"
_UNCONFIRMED: Final = "no final confirms the promoted text; the service checks the text by a single request"


class Transcription:
    """The transcription of one call. Everything but `finish` returns at once."""

    def __init__(
        self,
        *,
        ring: Ring,
        recognizers: Recognizers,
        decide: Callable[[], Decision],
        prefer: Callable[[], str | None] = lambda: None,
        tuning: Tuning,
        observe: Observe,
        log: FilteringBoundLogger,
        log_of: Callable[[Utterance], FilteringBoundLogger] | None = None,
    ) -> None:
        self._ring = ring
        self._log = log
        self._log_of = log_of or (lambda _: log)
        self._recognizers = recognizers
        self._decide = decide
        self._tuning = tuning
        self._observe = observe
        self._utterances = Utterances(_patience(self._tuning))
        self._partials = Partials(window=self._tuning.partial_debounce_ms / 1000)
        self._early = EarlyText(observe)
        self._pending = PendingWork()
        self._streaming = Streaming(
            self, ring=ring, recognizers=recognizers, flag=prefer, observe=observe, spawn=self._pending.spawn, log=log
        )
        self.due = 0  # the sample at which `hear` has something to do
        self._wanted = True  # the flag's last value
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._tick)

    @property
    def session_open(self) -> bool:
        """Whether a streaming session hears this call."""
        return self._streaming.is_open

    @property
    def recognizer(self) -> str:
        """The name of the streaming recognizer that hears this call; empty without a session."""
        return self._streaming.recognizer

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """The call is up; its sessions and requests live in `tasks`, and none outlives it."""
        self._pending.begin(tasks)

    def start(self) -> None:
        """Open the session if the flag is on: the first media is there."""
        self._wanted = self._decide().enabled
        self._streaming.prefer(0)
        if self._wanted and self._streaming.allows():
            self._open(0)

    def append(self, until: int) -> None:
        """The ring holds audio up to `until`. This is the media path: one comparison a frame, a few a batch."""
        if until < self.due:
            return
        due = self._streaming.push(until)
        self.due = until + _LOOK if due is None else due
        speaking = self._utterances.speaking
        if speaking is not None and until - speaking.begin >= LONGEST:
            cut = speaking.begin + LONGEST
            self.speech_ended(cut)
            self.speech_started(cut, cut)

    def follow(self) -> None:
        """Take up recognizers that have come into force. Called a few times a second."""
        self._streaming.follow()

    def tune(self, tuning: Tuning) -> None:
        """Change the tuning of a call in progress: what waits is timed anew."""
        self._tuning = tuning
        self._utterances.patience = _patience(tuning)
        self._partials.tune(tuning.partial_debounce_ms / 1000)
        self._streaming.tune(tuning.batch_ms)
        self.due = 0  # the next batch may be due sooner than it was
        self._arm()

    def speech_started(self, begin: int, speech_at: int) -> None:
        """The caller speaks, since `speech_at`; `begin` is that less the pre-roll."""
        if self._utterances.speaking is not None:
            return
        decision = self._decide()
        self._wanted = decision.enabled
        if decision.enabled:
            self._streaming.prefer(begin)
        streaming = decision.enabled and self._streaming.allows()
        if streaming and not self._streaming.is_open:
            self._open(begin)
        self._streaming.set_speech(speaking=True)
        utterance = self._utterances.begin(begin, speech_at, Mode.STREAMING if streaming else Mode.SINGLE)
        self._early.begin(utterance)
        self._observe(UtteranceOpened(utterance, decision, self.recognizer if streaming else ""))
        self._retire_session()

    def speech_paused(self, event: PauseEvent) -> None:
        """Take what the detector found inside speech. In a pause all that was heard is sent, whole batch or not."""
        if (utterance := self._utterances.speaking) is not None:
            if isinstance(event, SegmentQuiet):
                self._streaming.flush()
            self._streaming.pause(event.at if isinstance(event, SegmentQuiet) else None)
            self._early.pause(utterance, event, self._loop.time())
            self._arm()

    def speech_ended(self, end: int, silent_to: int | None = None) -> None:
        """The caller fell silent after sample `end`: everything heard is flushed at once.

        Up to `silent_to` it is certain; what was heard after that may be speech again.
        """
        utterance = self._utterances.speaking
        if utterance is None:
            return
        utterance.silent_to = silent_to
        self._streaming.flush()
        self._streaming.set_speech(speaking=False, end=end)
        outcomes = self._utterances.fall_silent(end, self._ring.end, self._loop.time())
        self._observe(SpeechStopped(utterance))
        if not outcomes:  # otherwise the final is there already
            self._early.stop(utterance, end, self._loop.time())
        self._act(outcomes)
        if utterance.mode is Mode.SINGLE:
            self._ask(utterance)

    async def finish(self) -> None:
        """The call is over: deliver what is in hand, and return when that is done.

        Bounded by the recognizers' own time-outs. Cancelling it loses the answers still under way.
        """
        self.speech_ended(self._ring.end)
        await self._streaming.finish()
        self._act(self._utterances.stream_ended())
        await self._pending.finish()
        self._alarm.disarm()

    def abandon(self) -> None:
        """Close all utterances with the text they have, because no time is left. The call's tasks have ended."""
        self._streaming.abandon()
        for utterance in self._utterances.open:
            if utterance.state is UtteranceState.SPEAKING:
                self._utterances.fall_silent(self._ring.end, self._ring.end, self._loop.time())
            source = Source.INTERIM if utterance.newest else Source.NONE
            self._act(self._utterances.settle(utterance, utterance.newest, source))
        self._alarm.disarm()

    # -- notifications of the stream (batkol.transcription.streaming.Policy) ----------------------------------------

    def needed(self) -> int:
        streamed = [u.begin for u in self._utterances.unsettled if u.mode is Mode.STREAMING]
        streamed += [u.covered for u in self._utterances.cut_short(self._ring.end)]
        return min(streamed, default=self._ring.end)

    def on_transcript(self, heard: Transcript) -> None:
        self._act(self._utterances.dispatch(heard))

    def lost(self, start: int, end: int | None) -> None:
        cut_short = {utterance.index for utterance in self._utterances.cut_short(self._ring.end)}
        for utterance in self._utterances.overlapping(start, end):
            if utterance.mode is Mode.STREAMING:
                asked = utterance.give_up is None  # it was missed before, or is confirmed already
                self._utterances.drop_stream(utterance)
                if utterance.state is not UtteranceState.SPEAKING and (not asked or utterance.index in cut_short):
                    self._ask(utterance)

    def _retire_session(self) -> None:
        """The flag is off and no utterance needs the session: end it."""
        if not (self._wanted or any(u.mode is Mode.STREAMING for u in self._utterances.open)):
            self._streaming.retire()

    # -- the other recognizers ---------------------------------------------------------------------------------

    def _open(self, start: int) -> None:
        self.due = 0
        self._utterances.session_opened()
        self._streaming.open(start, self._tuning.batch_ms)

    def _ask(self, utterance: Utterance) -> None:
        """Have the other recognizers hear it."""
        audio = excerpt(self._ring, utterance, *self._utterances.surroundings(utterance))
        self._pending.spawn(self._answer(utterance, audio), "stt.single")

    async def _answer(self, utterance: Utterance, audio: bytes) -> None:
        text, source = await self._recognizers.answer(utterance, audio, self._observe, self._log_of(utterance))
        silent = not utterance.streamed or self._streaming.is_silent(utterance.known_end)
        if text and utterance.mode is Mode.STREAMING and silent:
            self._streaming.report_stall()
        known = bool(utterance.text) and utterance.state is UtteranceState.DONE
        if not text and utterance.newest and utterance.state is not UtteranceState.DONE:
            self._act(self._utterances.fall_back(utterance, checked=source is not None))
        elif source is not None or utterance.state is not UtteranceState.DONE:
            utterance.unheard = source is None
            self._act(self._utterances.settle(utterance, text, source or Source.NONE))
        if source is None and not (known or self._recognizers.all_refused):
            await self._answer_late(utterance, audio)

    async def _answer_late(self, utterance: Utterance, audio: bytes) -> None:
        """Retry an utterance that no recognizer could be reached for: its audio is still in the ring."""
        text, source = await self._recognizers.answer_late(utterance, audio, self._observe, self._log_of(utterance))
        if source is not None:
            self._act(self._utterances.settle(utterance, text, source))

    def _act(self, outcomes: Sequence[UtteranceOutcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case TakenBack(utterance):
                    self._early.update(utterance, self._loop.time())
                case Partial(utterance, text, _, stability):
                    self._early.update(utterance, self._loop.time())
                    if due := self._partials.offer(utterance, text, stability, self._loop.time()):
                        self._observe(PartialReady(*due))
                case Finished(utterance):
                    self._partials.forget(utterance)
                    text = self._recognizers.punctuated(utterance.text, self._log)
                    self._observe(FinalReady(utterance, text, self._early.close(utterance)))
                    self.release()
                case Revision(utterance, text):
                    self._observe(RevisionReady(utterance, self._recognizers.punctuated(text, self._log)))
                case Missed(utterance):
                    self._doubt(_MISSED, "missed", utterance)
                case Unconfirmed(utterance):
                    self._doubt(_UNCONFIRMED, "unconfirmed", utterance)
                case Unplaced(utterance):
                    self._observe(UtteranceOpened(utterance, None, utterance.recognizer))
        self._retire_session()
        self._arm()

    def _doubt(self, what: str, reason: str, utterance: Utterance) -> None:
        self._log_of(utterance).warning(f"[STT] {what}")
        self._observe(StepFailed(utterance, "streaming", reason, utterance.recognizer or self._streaming.recognizer))
        self._ask(utterance)

    def release(self) -> None:
        """Let the ring forget what no utterance and no cursor will ask for (ten seconds are kept in any case)."""
        self._ring.release(min((self._ring.end - 10 * SAMPLE_RATE, *(u.begin for u in self._utterances.unsettled))))

    # -- time --------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        deadlines = [each.deadline for each in (self._utterances, self._partials, self._early, self._streaming)]
        self._alarm.arm(min((due for due in deadlines if due is not None), default=None))

    def _tick(self) -> None:
        now = self._loop.time()
        self._streaming.tick(now)
        self._early.tick(now)
        for partial in self._partials.tick(now):
            self._observe(PartialReady(*partial))
        self._act(self._utterances.tick(now))


def _patience(tuning: Tuning) -> UtteranceTimeouts:
    return UtteranceTimeouts(final=tuning.final_timeout_ms / 1000)
