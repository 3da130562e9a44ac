"""The sinks of the settings: each made by its kind, with the events that it gets and what it may see of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batkol.rights import Right
from batkol.sinks.delivery import Sink
from batkol.sinks.feed import SinkFeed
from batkol.sinks.settings import NatsSettings, SinkSettings, WebhookSettings
from batkol.sinks.webhook.sink import WebhookSink


@dataclass(frozen=True, slots=True)
class MadeSink:
    """One sink, and its settings. It connects to nothing before it has an event."""

    name: str
    settings: SinkSettings
    sink: Sink

    @property
    def may(self) -> frozenset[Right]:
        """Rights of its receiver: the fields of events that it may see."""
        wanted = ((Right.TEXTS, self.settings.texts), (Right.NUMBERS, self.settings.numbers))
        return frozenset(right for right, is_seen in wanted if is_seen)

    @property
    def feed(self) -> SinkFeed:
        """Share of the outbox that the sink gets."""
        return SinkFeed(self.sink, self.settings.types, self.may)


def build(sinks: Mapping[str, SinkSettings], secrets: Mapping[str, Sequence[str]]) -> tuple[MadeSink, ...]:
    """Make the sinks. Raises `ValueError`, a clause that quotes no secret: the settings were not checked."""
    return tuple(MadeSink(name, settings, _sink(name, settings, secrets[name])) for name, settings in sinks.items())


def _sink(name: str, settings: SinkSettings, secrets: Sequence[str]) -> Sink:
    match settings:
        case WebhookSettings():
            return WebhookSink(name, settings.url, secrets)
        case NatsSettings():
            from batkol.sinks.nats.sink import NatsSink  # noqa: PLC0415 -- nats-py, which others do without

            return NatsSink(name, settings.servers, settings.subject, *secrets, creates_stream=settings.create_stream)
    raise AssertionError(f"there is no sink of kind {settings.kind}")
