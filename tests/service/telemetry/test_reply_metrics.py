"""Metrics of replies, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from opentelemetry.trace import SpanContext, TraceFlags
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from batkol.conversation.events import ReplyLatency
from batkol.telemetry.budget_metrics import USED
from batkol.telemetry.metrics import Metrics

PARTS = ("text", "first_token", "first_piece", "first_sound", "commit")
SPLIT = ReplyLatency(total=0.74, text=0.21, first_token=0.33, first_piece=0.02, first_sound=0.12, commit=0.06)
DEFAULT = {"answerer_variant": "default", "voice_variant": "default"}
SPAN = SpanContext(trace_id=7, span_id=8, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics()
    yield metrics
    metrics.close()


def value(metrics: Metrics, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(metrics.render().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    (found,) = [sample.value for sample in samples if labels.items() <= sample.labels.items()]
    return found


def series(metrics: Metrics, name: str) -> list[dict[str, str]]:
    families = text_string_to_metric_families(metrics.render().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return [{key: label for key, label in each.labels.items() if not key.startswith("otel_")} for each in samples]


def test_the_latency_and_each_of_its_parts_are_histograms_of_their_own(metrics: Metrics) -> None:
    metrics.reply_times.record(SPLIT, None)

    assert value(metrics, "batkol_reply_latency_seconds_sum") == SPLIT.total
    for part in PARTS:
        assert value(metrics, f"batkol_reply_{part}_seconds_sum") == getattr(SPLIT, part)
        assert value(metrics, f"batkol_reply_{part}_seconds_count") == 1


def test_every_part_of_the_split_has_a_histogram(metrics: Metrics) -> None:
    """A part that is added to the event is missed here."""
    named = {each.name.removeprefix("batkol.reply.") for each in metrics.reply_times.buckets}

    assert named == {"latency" if field == "total" else field for field in msgspec.structs.asdict(SPLIT)}


def test_a_twentieth_of_a_second_tells_two_latencies_apart_between_0_3_and_1_4_s(metrics: Metrics) -> None:
    bounds = metrics.reply_times.latency.bounds
    for step in range(6, 29):
        assert any(abs(bound - step * 0.05) < 1e-9 for bound in bounds), step * 0.05


def test_a_part_that_is_negative_counts_as_nothing(metrics: Metrics) -> None:
    """The answerer was asked in a pause, and the caller spoke on for a breath: asked before the last sample."""
    metrics.reply_times.record(msgspec.structs.replace(SPLIT, text=-0.3), None)

    assert value(metrics, "batkol_reply_text_seconds_sum") == 0
    assert value(metrics, "batkol_reply_text_seconds_count") == 1


def test_each_latency_leads_to_the_trace_of_its_utterance(metrics: Metrics) -> None:
    metrics.reply_times.record(SPLIT, SPAN)
    families = openmetrics(metrics.render_openmetrics().decode())  # type: ignore[no-untyped-call]  # has no types
    named = {
        sample.name: sample.exemplar.labels["trace_id"]
        for family in families
        for sample in family.samples
        if sample.exemplar
    }

    assert named == dict.fromkeys((f"batkol_reply_{part}_seconds_bucket" for part in ("latency", *PARTS)), f"{7:032x}")


def test_attempts_failures_interruptions_and_replies_are_counted_by_what_they_are(metrics: Metrics) -> None:
    metrics.replies.attempt("heard", speculative=True)
    metrics.replies.attempt("dropped", speculative=True)
    metrics.replies.attempt("dropped", speculative=True)
    metrics.replies.failed("voice", "deadline")
    metrics.replies.interrupted("resumed")
    metrics.replies.replied("answer")
    metrics.replies.refused()

    assert value(metrics, "batkol_reply_attempts_total", outcome="heard", speculative="true") == 1
    assert value(metrics, "batkol_reply_attempts_total", outcome="dropped", speculative="true") == 2
    assert value(metrics, "batkol_reply_failures_total", part="voice", reason="deadline") == 1
    assert value(metrics, "batkol_reply_interruptions_total", kind="resumed") == 1
    assert value(metrics, "batkol_replies_total", kind="answer") == 1
    assert value(metrics, "batkol_reply_speculation_refused_total") == 1


def test_an_ended_call_is_counted_by_the_share_that_it_used_of_each_budget(metrics: Metrics) -> None:
    metrics.budgets.begin_at_zero(("tokens", "minutes", "characters"))
    for share in (0.0, 0.49, 0.5, 0.79, 0.8, 0.999, 1.0, 1.7):
        metrics.budgets.call_over({"tokens": share})
    metrics.budgets.call_over({})
    name = "batkol_reply_budget_calls_total"

    assert [value(metrics, name, budget="tokens", used=used) for used in USED] == [2, 2, 2, 2]
    assert [value(metrics, name, budget="minutes", used=used) for used in USED] == [0, 0, 0, 0]


def test_what_has_not_happened_is_0_so_that_the_first_time_is_seen_to_grow(metrics: Metrics) -> None:
    metrics.replies.begin_at_zero(kinds=("answer", "apology"), failures=[("answerer", "unavailable")])

    assert len(series(metrics, "batkol_reply_attempts_total")) == 6
    assert series(metrics, "batkol_reply_interruptions_total") == [{"kind": k, **DEFAULT} for k in ("real", "resumed")]
    assert series(metrics, "batkol_replies_total") == [{"kind": "answer"}, {"kind": "apology"}]
    assert series(metrics, "batkol_reply_failures_total") == [{"part": "answerer", "reason": "unavailable"}]
    assert value(metrics, "batkol_reply_speculation_refused_total") == 0
    metrics.replies.attempt("failed", speculative=False)
    assert len(series(metrics, "batkol_reply_attempts_total")) == 6, "the same series"
