"""The spans of a call's utterances, as its reporter uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from opentelemetry.trace import SpanContext

from batkol.speech.utterance import Utterance


class Traces(Protocol):
    """The span of an utterance; implemented by `batkol.tracing.call`."""

    def ids_of(self, utterance: Utterance) -> Mapping[str, str]: ...
    def span_of(self, utterance: Utterance) -> SpanContext | None: ...


class Untraced:
    """No spans."""

    def ids_of(self, utterance: Utterance) -> Mapping[str, str]:  # noqa: ARG002  it has none
        return {}

    def span_of(self, utterance: Utterance) -> SpanContext | None:  # noqa: ARG002  it has none
        return None
