"""Reports of a call's replies: events, log lines, metrics."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec
from structlog.typing import FilteringBoundLogger

from batkol.calls.publisher import Publisher
from batkol.calls.reply_makers import MakersOfReplies
from batkol.calls.reply_progress import ReplyHistory, latency_parts
from batkol.clock import in_ms
from batkol.conversation import events as turns
from batkol.events.events import (
    ReplyEnded,
    ReplyFailed,
    ReplyInterrupted,
    ReplyResumed,
    ReplySentence,
    ReplyStarted,
    ToolCalled,
)
from batkol.quantity import quantity

LONGEST_RESULT: Final = 4_000
"""Characters of a tool's result in an event, and so in the store."""
_KEPT: Final = 8


class ReplyReporter:
    """One per call, beside its `Reporter`."""

    def __init__(self, publisher: Publisher, log: FilteringBoundLogger, *, log_transcripts: bool) -> None:
        self._publisher = publisher
        self._log = log
        self._log_transcripts = log_transcripts
        self.history = ReplyHistory()
        """The replies so far, as their subscribers saw them."""
        self._latencies: OrderedDict[str, turns.ReplyLatency] = OrderedDict()
        self._makers = MakersOfReplies()

    def observe(self, event: turns.ConversationEvent) -> None:
        """Report one event of the conversation; never blocks."""
        self.history.observe(event)
        match event:
            case turns.AttemptBegan():
                self._makers.asked(event)
            case turns.FirstSoundWritten():
                self._makers.sounded(event)
                self._started(event)
            case turns.SentenceBegan(reply_id, turn, index, text, begin_ms):
                header = self._publisher.header()
                self._publisher.publish(
                    ReplySentence(**header, reply_id=reply_id, turn=turn, index=index, text=text, begin_ms=begin_ms)
                )
            case turns.ReplyCut(reply_id, turn, heard):
                header = self._publisher.header()
                self._publisher.publish(ReplyInterrupted(**header, reply_id=reply_id, turn=turn, heard=heard))
            case turns.ReplyContinued(reply_id, turn, index):
                header = self._publisher.header()
                self._publisher.publish(ReplyResumed(**header, reply_id=reply_id, turn=turn, index=index))
            case turns.ReplySettled():
                self._ended(event)
            case turns.AnnouncementUnsaid(reply_id, why):
                self._log.info("[AGENT] announcement was not said", reply_id=reply_id, reason=why.value)
                self._publish_failure("line", why.value, reply_id, 0)
            case turns.ToolEnded():
                self._tool_ended(event)
            case turns.AttemptFailed() if event.part != "budget":
                self._failed(event)
            case _:
                """The others are for metrics and traces."""

    def _started(self, event: turns.FirstSoundWritten) -> None:
        latency = event.latency
        if latency is not None:
            self._latencies[event.reply_id] = latency
            while len(self._latencies) > _KEPT:
                self._latencies.popitem(last=False)
        phrase = None if event.phrase is None else event.phrase.value
        self._publisher.publish(
            ReplyStarted(
                **self._publisher.header(),
                reply_id=event.reply_id,
                turn=event.turn,
                phrase=phrase,
                latency_ms=None if latency is None else in_ms(latency.total),
            )
        )

    def _ended(self, event: turns.ReplySettled) -> None:
        latency = self._latencies.pop(event.reply_id, None)
        makers = self._makers.take(event.reply_id, event.voices)
        self._publisher.publish(
            ReplyEnded(
                **self._publisher.header(),
                reply_id=event.reply_id,
                turn=event.turn,
                intended=event.intended,
                heard=event.heard,
                interrupted=event.interrupted,
                fault=event.fault or None,
                **latency_parts(latency),
                prompt_tokens=event.prompt_tokens,
                completion_tokens=event.completion_tokens,
                **msgspec.structs.asdict(makers),
            )
        )
        self._log.info(
            f"[AGENT] reply ended: {self._shown(event.heard)}",
            turn=event.turn,
            interrupted=event.interrupted,
            latency_ms=None if latency is None else round(latency.total * 1000),
        )

    def _tool_ended(self, event: turns.ToolEnded) -> None:
        self._publisher.publish(
            ToolCalled(
                **self._publisher.header(),
                turn=event.turn,
                name=event.name,
                arguments=event.arguments,
                outcome=event.outcome.value,
                duration_ms=in_ms(event.took_s),
                result=event.result[:LONGEST_RESULT],
            )
        )
        log = self._log.info if event.outcome is turns.ToolOutcome.DONE else self._log.warning
        log(
            "[AGENT] tool call ended",
            tool=event.name,
            outcome=event.outcome.value,
            reason=event.reason or None,
            took_ms=round(event.took_s * 1000),
        )

    def _failed(self, event: turns.AttemptFailed) -> None:
        what_next = "the caller gets another answer or an apology"
        if event.announced:
            what_next = f"the caller hears {'a part' if event.has_sound else 'nothing'} of the announcement"
        self._log.warning(f"[AGENT] the {event.part} failed; {what_next}", reason=event.reason)
        if not (event.announced and event.has_sound):  # an announcement has one end: `reply.ended` names the fault
            self._publish_failure(event.part, event.reason, event.reply_id, event.turn)

    def _publish_failure(self, part: str, reason: str, reply_id: str, turn: int) -> None:
        header = self._publisher.header()
        self._publisher.publish(ReplyFailed(**header, reply_id=reply_id, turn=turn, part=part, reason=reason))

    def _shown(self, text: str) -> str:
        return text if self._log_transcripts else f"({quantity(len(text.split()), 'word')})"
