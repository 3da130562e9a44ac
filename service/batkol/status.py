"""The answer of `GET /v1/status`: what the service sends, what clients read, and what the operator is tested with.

Nothing but the structs: each part of the service makes its own. A client of another version reads the same ones. So
unknown keys are passed over, nearly every field has a default for a service that does not send it, and a word out of a
closed choice (a state, an engine) is a `str`: another version may have more of them. The owner of the word is named
beside it. Times are wall clock, UTC, ISO 8601, unless the name ends in a unit.

People, dashboards and the operator read these keys: a field may be added; none changes its name or its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from batkol.store_status import SinkStatus, StoreStatus

USED_BY: Final[Mapping[str, str]] = {"closed": "every call", "half_open": "one call, on trial", "open": "no call"}
"""Calls that use a step of the recognizer, by the state of its breaker."""


class DrainStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A drain, under way or over. Of `calls.drain`."""

    since: str = ""
    timeout_s: float = 0.0
    calls_left: int = 0  # those that are ending included
    done: bool = False


class TuningStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The tuning in force; see `live.tuning.Tuning`."""

    batch_ms: int = 0
    partial_debounce_ms: int = 0
    final_timeout_ms: int = 0
    silence_ms: int = 0
    minimum_speech_ms: int = 0
    pre_roll_ms: int = 0
    revision: str = ""
    applied_at: str | None = None  # None: still the defaults


class UpstreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The last answer of a server behind the agent. Of `app.upstreams`."""

    state: str = ""  # `transcription.health.CheckState`; `not_asked` also where no server is behind it
    since: str | None = None  # when it began to answer so; None: not asked so far
    reason: str = ""  # why it gave no answer
    said: str = ""  # the same in a sentence, with the server's status; never a text of the server's
    remedy: str = ""  # what to do about it; empty where waiting is all there is to do


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The built-in agent. Of `app.agent`."""

    replies: bool = False  # whether it answers callers; the flag `agent-replies` may say otherwise for a call
    answerer: str = ""
    voice: str = ""
    greeting: bool = False  # whether a call begins with one
    answerers: Mapping[str, UpstreamStatus] = {}  # by their names; those that a server is behind
    voices: Mapping[str, UpstreamStatus] = {}


class ReplyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The reply settings in force; see `live.reply.ReplySettings`."""

    revision: str = ""  # `defaults`: no `reply.json` is in force
    applied_at: str | None = None  # None: still the defaults
    calls: int = 0  # live calls whose conversation uses this revision; the others take it up at their next turn


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a source of live configuration: whether its last content is current."""

    state: str = ""  # `live.source.SourceState`
    since: str | None = None  # when the state began
    why: str | None = None  # what is in the way: whose fault, what happens next, what to do
    heard_s: float | None = None  # seconds since its last sign of life; None: never
    resource_version: str | None = None  # of what was handed over last, or later, as the API server counts
    reconnects: int = 0  # since the start: how often it had to begin anew after a fault
    meanwhile: str | None = None  # the source that stands in for it


class RefusedDefinition(msgspec.Struct, frozen=True):
    """Something that was not put in force; `flag` is None for the file, or a part that is no flag."""

    file: str = ""
    flag: str | None = None
    why: str = ""  # one or two sentences; never a value out of a targeting rule


class LiveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The live configuration. Of `live.config`. Times of applying: None while the defaults are in force."""

    source: str | None = None
    state: str | None = None  # of the source, for people: `watching`, or `retrying since …: why`
    connection: SourceStatus | None = None  # the same, in its parts
    revision: str = ""  # of the tuning
    applied_at: str | None = None  # when the tuning last changed
    flags_revision: str | None = None
    flags_applied_at: str | None = None
    refusals: tuple[RefusedDefinition, ...] = ()  # in effect now; empty once the files are right again
    refused: Mapping[str, int] = {}  # by file: refusals since the start, those that have passed included
    last_error: str | None = None  # the latest refusal or source failure, kept after it has passed
    reads: int = 0  # different contents seen since the start
    age_s: float | None = None  # seconds since contents were last seen to differ


class FlagsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The flags' provider. Of `flags.flags`."""

    provider: str = ""  # `flags.provider.FlagsProvider`
    state: str = ""  # READY, STALE, ERROR, NOT_READY, FATAL
    fallback: bool = False
    last_known: bool | None = None
    recognizer: str = ""  # the newest answer of that flag
    replies: Mapping[str, bool | str] = {}  # the newest answers of the flags that are asked at each turn
    defined: tuple[str, ...] = ()  # those of them that the definitions in force have
    last_error: str | None = None  # kept after it has passed
    evaluations: int = 0
    by_reason: Mapping[str, int] = {}


class BreakerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The breaker of one step. Of `transcription.health`."""

    state: str = ""  # `speech.breaker.BreakerState`; a breaker that is `closed` lets every call through
    used_by: str = ""  # the same in words, of `USED_BY`
    reason: str = ""  # why it is not closed
    said: str = ""  # the same in the step's own words, such as Google's
    remedy: str = ""  # what to do about it; empty where waiting is all there is to do
    since: str | None = None  # when it last changed
    retry_in_s: float | None = None

    def __post_init__(self) -> None:
        """Say what the state means, where a service does not."""
        if not self.used_by:
            msgspec.structs.force_setattr(self, "used_by", USED_BY.get(self.state, ""))


class CheckStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The last question to Google that no call asked. Of `transcription.health`."""

    state: str = ""  # `transcription.health.CheckState`
    at: str | None = None  # when it was answered or given up; None: not yet
    reason: str = ""  # why it was not accepted
    said: str = ""  # the same in Google's own words
    remedy: str = ""  # what to do about it


class StreamingRecognizerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One streaming recognizer. Of `transcription.health`."""

    endpoint: str = ""  # the host that it is asked at
    model: str = ""
    streams: int = 0  # under way
    limit: int = 0  # streams at once; 0: no limit
    breaker: BreakerStatus = BreakerStatus()
    check: CheckStatus = CheckStatus()


class RecognizerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Google, and the steps to a text in the order in which they are tried."""

    endpoint: str = ""  # `google`, or where the double is
    language: str = ""
    model: str = ""
    streams: int = 0  # under way
    requests: int = 0  # under way
    limit: int = 0  # streams at once; 0: no limit
    connections: int = 0
    check: CheckStatus = CheckStatus()
    order: tuple[str, ...] = ()  # names of the streaming ones in force, in the order in which a call tries them
    streaming: Mapping[str, StreamingRecognizerStatus] = {}  # by name: those in force, then those that calls still use
    health: Mapping[str, BreakerStatus] = {}


class TaskStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One background task. Of `supervision.tasks`."""

    state: str = ""  # `supervision.restarts.TaskState`
    since: str | None = None
    deaths: int = 0
    last_fault: str | None = None
    needed_to_hear: bool = False


class UnownedStatus(TaskStatus, frozen=True, kw_only=True, omit_defaults=True):
    """The status of work without an owner: its deaths alone. It is read as a `TaskStatus`."""

    deaths: int
    last_fault: str | None


class SignalStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The sending of one signal. Of `telemetry.signal_state`."""

    state: str = ""  # `telemetry.signal_state.SignalPhase`
    exporters: tuple[str, ...] = ()
    failed: Mapping[str, str] = {}
    delivering: bool = False


class TelemetryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Traces, metrics, and the OTEL_* variables that are not taken as they are given."""

    traces: SignalStatus = SignalStatus()
    metrics: SignalStatus = SignalStatus()
    ignored: Mapping[str, str] = {}


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of the process. Of `telemetry.process`."""

    tasks: int = 0
    rss_mb: float = 0.0


class VadStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Voice activity detection. Of `vad.scheduler`."""

    engine: str = ""  # `vad.engine.EngineName`
    fallen_back: bool = False  # the engine is the fallback, because the chosen one failed
    ears: int = 0  # calls that it listens to
    windows: int = 0  # scored since the start
    mean_batch: float = 0.0  # windows in a batch, on average: the more, the cheaper each
    skipped_ms: int = 0  # audio, over all calls, given up without a score: the detector was too far behind
    failures: int = 0  # rounds in which the engine raised, and events on which a call's `on_speech` raised


class EventLoopStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The worst lateness of the event loop in the last minute."""

    lag_ms_max_60s: int = 0


class LogsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Log lines that stderr did not take, since the start."""

    lines_lost: int = 0


class EventsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Events that slow subscribers of the bus missed since the start. Of `events.bus`."""

    partials_dropped: int = 0
    subscribers_let_go: int = 0


class PluginStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One plug-in. Of `plugins.plugin`."""

    name: str = ""
    version: str = ""  # of its distribution
    state: str = ""  # `plugins.plugin.PluginState`
    failures: int = 0  # since the start
    last_fault: str | None = None  # the class of the error and its place, never its text


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer. The fields without a default tell a status from any other JSON object."""

    version: str
    voice_agent: str = ""
    pod: str = ""
    uptime_s: float = 0.0
    draining: bool
    drain: DrainStatus | None = None  # None while calls are taken
    active_calls: int
    ending_calls: int = 0
    max_calls: int
    tuning: TuningStatus = TuningStatus()
    agent: AgentStatus = AgentStatus()
    reply: ReplyStatus = ReplyStatus()
    twilio_api: UpstreamStatus = UpstreamStatus()
    live: LiveStatus = LiveStatus()
    flags: FlagsStatus = FlagsStatus()
    recognizer: RecognizerStatus = RecognizerStatus()
    store: StoreStatus = StoreStatus()
    rehearsals: bool = False  # whether the store keeps nothing of calls with the direction `rehearsal`
    sinks: Mapping[str, SinkStatus] = {}
    tasks: Mapping[str, TaskStatus] = {}
    telemetry: TelemetryStatus = TelemetryStatus()
    process: ProcessStatus = ProcessStatus()
    vad: VadStatus = VadStatus()
    event_loop: EventLoopStatus = EventLoopStatus()
    logs: LogsStatus = LogsStatus()
    subscribers: int = 0
    events: EventsStatus = EventsStatus()
    plugins: tuple[PluginStatus, ...] = ()
