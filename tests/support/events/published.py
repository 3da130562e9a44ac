"""What subscribers would get of a call's recognition and of its conversation, and whether it is in order."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import structlog

from batkol.calls.publisher import Publisher
from batkol.calls.reply_reporter import ReplyReporter
from batkol.calls.reporter import Reporter
from batkol.conversation.events import ConversationEvent
from batkol.events.bus import Bus
from batkol.events.events import Event
from batkol.events.identity import Identity
from batkol.telemetry.metrics import Metrics

IDENTITY = Identity(
    call_sid="CA" + "0" * 32, stream_sid="MZ" + "0" * 32, account_sid="AC" + "0" * 32, from_="+1", to="+2"
)


@cache
def _metrics() -> Metrics:
    return Metrics()


def of_recognition(events: Iterable[Any]) -> list[Event]:
    """Return what is published of a whole call's recognition (`batkol.transcription.events`)."""
    bus = Bus()
    with bus.subscribe(capacity=1_000_000) as subscription:
        reporter = Reporter(
            IDENTITY,
            bus=bus,
            metrics=_metrics(),
            log=structlog.get_logger(),
            since=lambda _: 1.0,
            log_transcripts=False,
        )
        reporter.call_started(streaming=True)
        for event in events:
            reporter.observe(event)
        reporter.call_ended(reason="stop", duration_s=1.0, gap_ms=0, close_code=1000)
        return subscription.waiting()


def of_conversation(events: Iterable[ConversationEvent]) -> list[Event]:
    """Return what is published of a conversation, after a `call.started`."""
    bus = Bus()
    with bus.subscribe(capacity=1_000_000) as subscription:
        publisher = Publisher(IDENTITY, bus)
        reporter = ReplyReporter(publisher, structlog.get_logger(), log_transcripts=False)
        for event in events:
            reporter.observe(event)
        return subscription.waiting()
