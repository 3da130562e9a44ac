"""What all calls of the process share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from batkol.calls.bus import Bus
from batkol.calls.identity import Identity
from batkol.calls.listening import Listener
from batkol.calls.recorder import NoRecorder, Recorder
from batkol.flags.flags import Flags
from batkol.live.live import Live
from batkol.recognition import Recognizers
from batkol.telemetry.call_trace import CallTrace
from batkol.telemetry.metrics import Metrics
from batkol.telemetry.propagation import Caller
from batkol.telemetry.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Services:
    """Made once, by `batkol.app`."""

    bus: Bus
    recognizers: Recognizers
    flags: Flags
    live: Live
    listener: Listener
    metrics: Metrics
    language: str
    pod: str
    log_transcripts: bool
    tracing: Tracing = field(default_factory=Tracing)
    recorder: Recorder = field(default_factory=NoRecorder)

    def traced(self, identity: Identity, since: Callable[[int], float], caller: Caller | None) -> CallTrace:
        """Begin the traces of a call. `since(sample)`: how many seconds ago it was spoken."""
        return self.tracing.call(
            identity,
            since=since,
            tuning=lambda: self.live.tuning,
            model=lambda: self.recognizers.speech.config.model,
            caller=caller,
        )
