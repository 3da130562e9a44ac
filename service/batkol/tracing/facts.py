"""Span attributes of a call, without any times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from batkol.events.identity import Identity
from batkol.flags.flags import Decision
from batkol.live.flag_definitions import STREAMING_FLAG
from batkol.live.tuning import Tuning
from batkol.speech.utterance import Mode, Utterance
from batkol.telemetry import names
from batkol.telemetry.span_writer import Attributes


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Attributes of one call, without its numbers. `server` describes the other end of its streams, `answerers` and
    `voices` the servers that its replies are made with, by their names in the settings.
    """

    identity: Identity
    tuning: Callable[[], Tuning]
    model: Callable[[], str]
    server: Attributes
    flags_provider: str
    transcripts: bool
    answerers: Mapping[str, Attributes] = field(default_factory=dict)
    voices: Mapping[str, Attributes] = field(default_factory=dict)

    def who(self) -> Attributes:
        """The attributes of every span of the call."""
        identity = self.identity
        found: Attributes = {names.CALL_SID: identity.call_sid, names.STREAM_SID: identity.stream_sid}
        if identity.agent:
            found[names.AGENT] = identity.agent
        return found

    def call(self) -> Attributes:
        """The attributes of the call's own span."""
        identity = self.identity
        return self.who() | {names.DIRECTION: identity.direction, names.CONVERSATION: identity.call_sid}

    def id_of(self, utterance: Utterance) -> str:
        """Name an utterance as the events on the internal API do."""
        return f"{self.identity.call_sid}-{utterance.index}"

    def utterance(self, utterance: Utterance, decision: Decision | None) -> Attributes:
        """Return the attributes of an utterance at its beginning."""
        tuning = self.tuning()
        found = self.who() | {
            names.CONVERSATION: self.identity.call_sid,
            names.UTTERANCE_ID: self.id_of(utterance),
            names.UTTERANCE_INDEX: utterance.index,
            names.MODE: utterance.mode.value,
            names.REVISION: tuning.revision,
        }
        if utterance.mode is Mode.STREAMING:
            found |= {names.BATCH_MS: tuning.batch_ms, names.DEBOUNCE_MS: tuning.partial_debounce_ms}
        if decision is not None:
            found |= {names.FLAG_KEY: STREAMING_FLAG, names.FLAG_REASON: decision.reason}
            if decision.variant is not None:
                found[names.FLAG_VARIANT] = decision.variant
        return found

    def evaluation(self, decision: Decision) -> Attributes:
        """The attributes of an evaluation of the flag."""
        what: Attributes = {
            names.FLAG_KEY: STREAMING_FLAG,
            names.FLAG_REASON: decision.reason,
            names.FLAG_PROVIDER: self.flags_provider,
            names.FLAG_CONTEXT: self.identity.call_sid,
        }
        if decision.variant is not None:
            what[names.FLAG_VARIANT] = decision.variant
        else:  # the conventions want the value where there is no variant
            what[names.FLAG_VALUE] = decision.enabled
        return what
