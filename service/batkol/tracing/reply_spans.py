"""The facts about attempts at a reply, and the attributes and spans that are made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from opentelemetry.trace import SpanContext, SpanKind

from batkol.clock import in_ms
from batkol.telemetry import names
from batkol.telemetry.reply_metrics import ANSWER, HEARD, ReplySplit
from batkol.telemetry.span_writer import Attributes, FinishedSpan
from batkol.tracing.clock import ns
from batkol.tracing.facts import CallFacts


class AttemptAsked(NamedTuple):
    """An attempt that begins. `utterance`: the index of the newest one that it answers."""

    attempt: int
    utterance: int
    speculative: bool
    answerer: str
    voice: str
    answerer_variant: str = "default"  # the names of both in the settings
    voice_variant: str = "default"


class ReplyFault(NamedTuple):
    """A failure: the part, a short word, and the seconds from the asking to the first piece; None: there was none."""

    part: str
    reason: str
    first_piece: float | None = None

    @property
    def sentence(self) -> str:
        """The description of a span's error."""
        return f"the {self.part} failed ({self.reason})"

    @property
    def attributes(self) -> Attributes:
        """On the span of the reply."""
        return {names.ERROR_TYPE: self.reason, names.REPLY_FAILED_PART: self.part}


class FirstSound(NamedTuple):
    """A reply whose first sound was written. `answers`: it answers the caller; a greeting does not."""

    reply_id: str
    turn: int
    attempt: int
    kind: str
    answers: bool
    split: ReplySplit | None = None
    answered_by: str = ""  # of several answerers


class ToolSpan(NamedTuple):
    """A tool call that has ended. `arguments` are shown only where transcripts are."""

    name: str
    outcome: str
    reason: str
    arguments: str
    took_s: float


@dataclass(slots=True)
class TracedAttempt:
    """An attempt under way. `at`: the wall time of the asking, in nanoseconds; `under`: the span that it belongs to."""

    asked: AttemptAsked
    at: int
    under: SpanContext
    utterance_id: str
    fault: ReplyFault | None = None  # that came after some of its sound
    tools: list[FinishedSpan] = field(default_factory=list)  # of the tool calls before its first sound


class ReplySpans:
    """The contents of the spans of one call's replies. Wall times in nanoseconds."""

    def __init__(self, facts: CallFacts) -> None:
        self._facts = facts

    def about(self, sounded: FirstSound, attempt: TracedAttempt | None) -> Attributes:
        """The attributes of a reply at its first sound."""
        found = self._who() if attempt is None else self.about_attempt(attempt, HEARD)
        found |= {
            names.REPLY_OUTCOME: HEARD,
            names.REPLY_ID: sounded.reply_id,
            names.REPLY_TURN: sounded.turn,
            names.REPLY_KIND: sounded.kind,
        }
        if (split := sounded.split) is not None:
            found |= {
                names.REPLY_LATENCY_MS: in_ms(split.total),
                names.REPLY_TEXT_MS: in_ms(split.text),
                names.REPLY_FIRST_TOKEN_MS: in_ms(split.first_token),
                names.REPLY_FIRST_PIECE_MS: in_ms(split.first_piece),
                names.REPLY_FIRST_SOUND_MS: in_ms(split.first_sound),
                names.REPLY_COMMIT_MS: in_ms(split.commit),
            }
        return found

    def about_attempt(self, attempt: TracedAttempt, outcome: str) -> Attributes:
        """The attributes of an attempt at an answer."""
        return self._who() | {
            names.REPLY_OUTCOME: outcome,
            names.REPLY_KIND: ANSWER,
            names.REPLY_ATTEMPT: attempt.asked.attempt,
            names.REPLY_SPECULATIVE: attempt.asked.speculative,
            names.UTTERANCE_ID: attempt.utterance_id,
        }

    def heard(self, attempt: TracedAttempt, split: ReplySplit, written: int) -> Iterator[FinishedSpan]:
        """The parts of an answer whose first sound was written at that time."""
        asked = written - ns(split.total - split.text)
        piece = asked + ns(split.first_token + split.first_piece)
        sound = piece + ns(split.first_sound)
        fault = attempt.fault
        llm = self._llm(attempt, (asked, piece), fault if fault is not None and fault.part != "voice" else None)
        llm.attributes[names.FIRST_CHUNK_S] = round(split.first_token, 4)
        yield llm
        yield self._tts(attempt, (piece, sound), fault if fault is not None and fault.part == "voice" else None)

    def failed(self, attempt: TracedAttempt, fault: ReplyFault, now: int) -> Iterator[FinishedSpan]:
        """The parts of an attempt that gave no sound."""
        if fault.part != "voice":
            yield self._llm(attempt, (attempt.at, now), fault)
            return
        piece = attempt.at
        if fault.first_piece is not None:
            piece = min(now, attempt.at + ns(fault.first_piece))
            yield self._llm(attempt, (attempt.at, piece), None)
        yield self._tts(attempt, (piece, now), fault)

    def tool(self, tool: ToolSpan, now: int) -> FinishedSpan:
        """A tool call that ends now."""
        about: Attributes = {
            names.OPERATION: names.EXECUTE_TOOL, names.TOOL_NAME: tool.name, names.TOOL_OUTCOME: tool.outcome,
        }  # fmt: skip
        if self._facts.transcripts:
            about[names.TOOL_ARGUMENTS] = tool.arguments
        failed = ""
        if tool.outcome != names.TOOL_DONE:
            about[names.ERROR_TYPE] = tool.reason or tool.outcome
            failed = f"the tool {tool.name} was not carried out well ({tool.reason or tool.outcome})"
        return FinishedSpan(names.TOOL, now - ns(tool.took_s), now, self._who() | about, failed=failed)

    def _who(self) -> Attributes:
        identity = self._facts.identity
        found = self._facts.who() | {names.OPERATION: names.INVOKE_AGENT, names.CONVERSATION: identity.call_sid}
        if identity.agent:
            found[names.AGENT_NAME] = identity.agent
        return found

    def _llm(self, attempt: TracedAttempt, times: tuple[int, int], fault: ReplyFault | None) -> FinishedSpan:
        asked = attempt.asked
        about: Attributes = {
            names.OPERATION: names.CHAT,
            names.ANSWERER: asked.answerer,
            names.ANSWERER_VARIANT: asked.answerer_variant,
            names.STREAMED: True,
        }
        return _part(names.LLM, times, about | self._facts.answerers.get(asked.answerer_variant, {}), fault)

    def _tts(self, attempt: TracedAttempt, times: tuple[int, int], fault: ReplyFault | None) -> FinishedSpan:
        asked = attempt.asked
        about: Attributes = {
            names.OPERATION: names.TEXT_TO_SPEECH,
            names.VOICE: asked.voice,
            names.VOICE_VARIANT: asked.voice_variant,
        }
        return _part(names.TTS, times, about | self._facts.voices.get(asked.voice_variant, {}), fault)


def _part(name: str, times: tuple[int, int], attributes: Attributes, fault: ReplyFault | None) -> FinishedSpan:
    kind = SpanKind.CLIENT if names.SERVER_ADDRESS in attributes else SpanKind.INTERNAL
    if fault is None:
        return FinishedSpan(name, *times, attributes, kind=kind)
    attributes[names.ERROR_TYPE] = fault.reason
    return FinishedSpan(name, *times, attributes, kind=kind, failed=fault.sentence)
