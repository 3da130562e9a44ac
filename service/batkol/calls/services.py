"""The parts of the process that all its calls share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from batkol.clock import REAL, Clock
from batkol.conversation.agent import Agent
from batkol.events.bus import Bus
from batkol.events.identity import Identity
from batkol.events.recorder import NoRecorder, Recorder
from batkol.flags.flags import Flags
from batkol.live.config import Live
from batkol.telemetry.metrics import Metrics
from batkol.tracing.call import CallTrace
from batkol.tracing.propagation import RemoteParent
from batkol.tracing.tracing import Tracing
from batkol.transcription.recognizers import Recognizers
from batkol.vad.scheduler import VadScheduler


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
    tracing: Tracing = field(default_factory=Tracing)
    recorder: Recorder = field(default_factory=NoRecorder)
    clock: Clock = REAL
    agent: Agent | None = None
    """Who answers the callers; None: nobody."""

    def traced(self, identity: Identity, since: Callable[[int], float], caller: RemoteParent | None) -> CallTrace:
        """Begin the traces of a call. `since(sample)`: how many seconds ago it was spoken."""
        return self.tracing.call(
            identity,
            since=since,
            tuning=lambda: self.live.tuning,
            model=lambda: self.recognizers.speech.config.model,
            caller=caller,
        )
