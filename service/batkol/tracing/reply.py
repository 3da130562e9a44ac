"""The spans of the agent's replies in one call, up to the first sound of each.

    agent         caller's last sample ──────────────────────────────▶ first sound written
      llm               asked ──────▶ first piece
      tts                             first piece ──────▶ first sound
      tool                 begin ──────▶ result, for each tool call

A reply is in the trace of the newest utterance that it answers. A phrase that answers nothing is under the call. An
attempt that gave no sound has an `agent` span of its own, from the asking to the failure. An attempt that was thrown
away is an event of the `agent` span that follows. All of it is kept as plain values and written when the reply is over,
as the spans of utterances are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.trace import SpanContext

from batkol.clock import in_ms
from batkol.telemetry import names
from batkol.telemetry.reply_metrics import ANNOUNCEMENT, DROPPED, FAILED
from batkol.telemetry.span_writer import Attributes, FinishedSpan, SpanEvent, SpanWriter
from batkol.tracing.clock import ns
from batkol.tracing.facts import CallFacts
from batkol.tracing.reply_spans import AttemptAsked, FirstSound, ReplyFault, ReplySpans, ToolSpan, TracedAttempt

KEPT: Final = 32
"""Events between two replies that the next `agent` span has; of more the oldest are left out."""


@dataclass(slots=True)
class _Reply:
    """A reply that is heard."""

    under: SpanContext
    context: SpanContext
    begun: int
    ended: int
    attributes: Attributes
    events: tuple[SpanEvent, ...]
    fault: ReplyFault | None = None
    interrupted: bool = False
    resumed: int = 0


@dataclass(slots=True)
class _Past:
    """Events and attempts since the reply before."""

    events: deque[SpanEvent] = field(default_factory=lambda: deque(maxlen=KEPT))
    dropped: int = 0
    since: int | None = None  # when the first of its attempts was asked
    newest: TracedAttempt | None = None  # the newest one that was thrown away or failed
    until: int = 0  # when that happened


class ReplyTraces:
    """One per call with an agent. `now` is the call's wall time in nanoseconds, `root_of` finds an utterance's trace.

    Nothing here waits.
    """

    def __init__(
        self,
        writer: SpanWriter | None,
        facts: CallFacts,
        *,
        call: SpanContext,
        now: Callable[[], int],
        root_of: Callable[[int], SpanContext | None],
    ) -> None:
        self._writer = writer
        self._facts = facts
        self._spans = ReplySpans(facts)
        self._call = call
        self._now = now
        self._root_of = root_of
        self._opened: int | None = now()  # until the first reply sounds
        self._attempts: dict[int, TracedAttempt] = {}
        self._heard: dict[str, _Reply] = {}
        self._past = _Past()

    # -- attempts --------------------------------------------------------------------------------------------------

    def asked(self, asked: AttemptAsked) -> None:
        """An attempt begins."""
        under = self._root_of(asked.utterance) or self._call
        utterance_id = f"{self._facts.identity.call_sid}-{asked.utterance}"
        self._attempts[asked.attempt] = TracedAttempt(asked, self._now(), under, utterance_id)

    def dropped(self, number: int, asked_for: float) -> None:
        """An attempt was thrown away before its first sound, so many seconds after it was asked."""
        if (attempt := self._attempts.pop(number, None)) is None:
            return
        self._past.dropped += 1
        self._is_past(attempt)
        self._write_all(attempt.tools, attempt.under)
        self._note(
            names.ATTEMPT_DROPPED,
            {
                names.REPLY_ATTEMPT: number,
                names.REPLY_SPECULATIVE: attempt.asked.speculative,
                names.UTTERANCE_ID: attempt.utterance_id,
                names.ASKED_MS: in_ms(asked_for),
            },
        )

    def refused(self) -> None:
        """The budget of speculative attempts was spent: the answerer is asked at the end of speech."""
        self._note(names.SPECULATION_REFUSED)

    def failed(self, number: int, fault: ReplyFault, *, has_sound: bool, reply_id: str) -> None:
        """A part of an attempt failed: before its first sound, or with some that is or will be heard."""
        if (reply := self._heard.get(reply_id)) is not None:
            reply.fault = fault
            return
        if (attempt := self._attempts.get(number)) is None:
            return
        if has_sound:
            attempt.fault = fault
            return
        del self._attempts[number]
        self._is_past(attempt)
        self._write_failed(attempt, fault)

    def tool_ended(self, tool: ToolSpan, *, attempt: int, reply_id: str) -> None:
        """A tool call has ended: its span is under the reply's, or, with no reply to it, under the utterance's."""
        span = self._spans.tool(tool, self._now())
        if (reply := self._heard.get(reply_id)) is not None:
            self._write(span, reply.context)
        elif (waiting := self._attempts.get(attempt)) is not None:
            waiting.tools.append(span)
        else:
            self._write(span, self._call)

    # -- replies ---------------------------------------------------------------------------------------------------

    def filler(self) -> None:
        """The caller waited too long, and heard the filler."""
        self._note(names.FILLER_SAID)

    def sounded(self, sounded: FirstSound) -> None:
        """The first sound of a reply was written."""
        past, self._past = self._past, _Past()
        attempt, now = self._attempts.pop(sounded.attempt, None), self._now()
        if attempt is not None and sounded.answered_by:
            attempt.asked = attempt.asked._replace(answerer=sounded.answered_by)
        origin = attempt or (past.newest if sounded.answers else None)
        under = self._call if origin is None else origin.under
        reply = _Reply(
            under=under,
            context=under if self._writer is None else self._writer.child(under),
            begun=self._begin_of(sounded, attempt, past, now),
            ended=now,
            attributes=self._spans.about(sounded, attempt) | {names.REPLY_DROPPED: past.dropped},
            events=tuple(past.events),
            fault=None if attempt is None else attempt.fault,
        )
        self._opened = None
        self._heard[sounded.reply_id] = reply
        self._write_all(() if attempt is None else attempt.tools, reply.context)
        if attempt is not None and sounded.split is not None:
            for part in self._spans.heard(attempt, sounded.split, now):
                self._write(part, reply.context)

    def interrupted(self, reply_id: str) -> None:
        """The caller interrupted it."""
        if (reply := self._heard.get(reply_id)) is not None:
            reply.interrupted = True

    def resumed(self, reply_id: str) -> None:
        """The interruption was none."""
        if (reply := self._heard.get(reply_id)) is not None:
            reply.interrupted = False
            reply.resumed += 1

    def ended(self, reply_id: str, intended: str, heard: str) -> None:
        """A reply is over: its span is written."""
        if (reply := self._heard.pop(reply_id, None)) is None:
            return
        reply.attributes |= {names.REPLY_WORDS: len(intended.split()), names.REPLY_WORDS_HEARD: len(heard.split())}
        if self._facts.transcripts:
            reply.attributes |= {names.REPLY_INTENDED: intended, names.REPLY_HEARD: heard}
        self._write_reply(reply)

    def close(self) -> None:
        """The call is over: write what is open, and the attempts that no reply followed."""
        for reply in self._heard.values():
            self._write_reply(reply)
        self._heard.clear()
        for number, attempt in tuple(self._attempts.items()):
            self.dropped(number, (self._now() - attempt.at) / 1e9)
        past, self._past = self._past, _Past()
        if past.dropped and past.newest is not None and past.since is not None:
            attributes = self._spans.about_attempt(past.newest, DROPPED) | {names.REPLY_DROPPED: past.dropped}
            unheard = FinishedSpan(names.REPLY, past.since, past.until, attributes, tuple(past.events))
            self._write(unheard, past.newest.under)

    # ----------------------------------------------------------------------------------------------------------------

    def _note(self, name: str, attributes: Attributes | None = None) -> None:
        self._past.events.append(SpanEvent(name, self._now(), attributes))

    def _is_past(self, attempt: TracedAttempt) -> None:
        past = self._past
        past.newest, past.until = attempt, self._now()
        past.since = attempt.at if past.since is None else min(past.since, attempt.at)

    def _begin_of(self, sounded: FirstSound, attempt: TracedAttempt | None, past: _Past, now: int) -> int:
        """Return when the wait for a reply began."""
        if sounded.split is not None:
            last_sample = now - ns(sounded.split.total)
            return min(last_sample, last_sample + ns(sounded.split.text))  # asked in a pause that was not the end
        if attempt is not None:
            return attempt.at
        if sounded.kind == ANNOUNCEMENT:
            return now
        began = past.since if sounded.answers else self._opened
        return now if began is None else began

    def _write_failed(self, attempt: TracedAttempt, fault: ReplyFault) -> None:
        if self._writer is None:
            return
        now, context = self._now(), self._writer.child(attempt.under)
        attributes = self._spans.about_attempt(attempt, FAILED) | fault.attributes
        span = FinishedSpan(names.REPLY, attempt.at, now, attributes, failed=fault.sentence)
        self._write(span, attempt.under, context)
        self._write_all((*attempt.tools, *self._spans.failed(attempt, fault, now)), context)

    def _write_reply(self, reply: _Reply) -> None:
        reply.attributes |= {names.REPLY_INTERRUPTED: reply.interrupted, names.REPLY_RESUMED: reply.resumed}
        failed = ""
        if reply.fault is not None:
            failed = reply.fault.sentence
            reply.attributes |= reply.fault.attributes
        span = FinishedSpan(names.REPLY, reply.begun, reply.ended, reply.attributes, reply.events, failed=failed)
        self._write(span, reply.under, reply.context)

    def _write_all(self, spans: Iterable[FinishedSpan], parent: SpanContext) -> None:
        for span in spans:
            self._write(span, parent)

    def _write(self, span: FinishedSpan, parent: SpanContext, context: SpanContext | None = None) -> None:
        if self._writer is not None and parent.trace_flags.sampled:
            self._writer.write(span, parent, context)
