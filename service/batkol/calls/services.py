"""The parts of the process that all its calls share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from structlog.typing import FilteringBoundLogger

from batkol.audio.ring import Ring
from batkol.calls.reply_observer import ReplyObserver
from batkol.calls.reporter import Reporter
from batkol.calls.telephone import Telephone
from batkol.clock import REAL, Clock
from batkol.conversation.agent import Agent
from batkol.conversation.conversation import CallSide, Conversation
from batkol.events.bus import Bus
from batkol.events.identity import Identity
from batkol.events.recorder import NoRecorder, Recorder
from batkol.flags.flags import Decision, Flags
from batkol.live.config import Live
from batkol.telemetry import names
from batkol.telemetry.metrics import Metrics
from batkol.tracing.call import CallTrace
from batkol.tracing.propagation import RemoteParent
from batkol.tracing.tracing import Tracing
from batkol.transcription.events import TranscriptionEvent
from batkol.transcription.policy import Transcription
from batkol.transcription.recognizers import Recognizers
from batkol.vad.scheduler import VadScheduler


async def _announce_nowhere(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class CallHearing:
    """The call, as its transcription uses it."""

    decide: Callable[[], Decision]
    prefer: Callable[[], str | None]
    observe: Callable[[TranscriptionEvent], None]
    log: FilteringBoundLogger


@dataclass(frozen=True, slots=True)
class Services:
    """Made once, by `batkol.app.build`."""

    bus: Bus
    recognizers: Recognizers
    flags: Flags
    live: Live
    vad: VadScheduler
    metrics: Metrics
    language: str
    pod: str
    log_transcripts: bool
    log_partials: bool = False
    """Whether each partial has a line at INFO; without it, at DEBUG."""
    tracing: Tracing = field(default_factory=Tracing)
    recorder: Recorder = field(default_factory=NoRecorder)
    clock: Clock = REAL
    agent: Agent | None = None
    """The agent that speaks to the callers; None: the service only hears."""
    telephone: Telephone = field(default_factory=Telephone)
    announce_end: Callable[[str], Coroutine[Any, Any, None]] = _announce_nowhere
    """Tells the other pods that this one has ended a call, before Twilio asks any of them; bounded, raises nothing."""

    def telephone_of(self, identity: Identity, trace: CallTrace) -> Telephone:
        """Return the telephone of one call, whose actions are seen in its trace."""

        def count(action: str, outcome: str) -> None:
            self.telephone.count(action, outcome)
            trace.span.add_event(names.LINE_ACTION, {names.ACTION: action, names.ACTION_OUTCOME: outcome})

        return replace(self.telephone.of(identity), count=count)

    def transcription(self, ring: Ring, heard: CallHearing, trace: CallTrace) -> Transcription:
        """Make the transcription of a call's audio."""
        return Transcription(
            ring=ring,
            recognizers=self.recognizers,
            decide=heard.decide,
            prefer=heard.prefer,
            tuning=self.live.tuning,
            observe=heard.observe,
            log=heard.log,
            log_of=lambda utterance: heard.log.bind(**trace.ids_of(utterance)),
        )

    def conversation(self, call: CallSide, trace: CallTrace) -> Conversation | None:
        """Make the conversation of a call with the agent; None where there is no agent."""
        if self.agent is None:
            return None
        observer = ReplyObserver(call.observe, self.metrics, trace)
        return Conversation(self.agent, replace(call, observe=observer.observe))

    def reporter(
        self, identity: Identity, since: Callable[[int], float], log: FilteringBoundLogger, trace: CallTrace
    ) -> Reporter:
        """Make the reporter of a call. `since(sample)`: how many seconds ago it was spoken."""
        return Reporter(
            identity,
            bus=self.bus,
            metrics=self.metrics,
            log=log,
            since=since,
            log_transcripts=self.log_transcripts,
            log_partials=self.log_partials,
            traces=trace,
            recorder=self.recorder,
            clock=self.clock,
        )

    def traced(self, identity: Identity, since: Callable[[int], float], caller: RemoteParent | None) -> CallTrace:
        """Begin the traces of a call. `since(sample)`: how many seconds ago it was spoken."""
        return self.tracing.call(
            identity,
            since=since,
            tuning=lambda: self.live.tuning,
            model=lambda: self.recognizers.streaming[0].recognizer.model,
            caller=caller,
        )
