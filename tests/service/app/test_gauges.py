"""Gauges that are read at a scrape, as a page has them."""

from __future__ import annotations

import math

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from batkol.app.gauges import expose, tuning_values
from batkol.calls.drain import Drain
from batkol.calls.registry import CallRegistry
from batkol.events.bus import Bus
from batkol.live.config import Live
from batkol.live.tuning import Tuning
from batkol.live.turn_tuning import TurnTuning
from batkol.speech.turn_thresholds import TurnThresholds
from batkol.telemetry.metrics import Metrics
from batkol.tracing.tracing import Tracing


def test_every_number_of_the_tuning_is_shown_and_none_of_its_words() -> None:
    tuning = Tuning(batch_ms=100, revision="seven", turns=TurnTuning(thresholds=TurnThresholds(filler_ms=1400)))
    values = tuning_values(tuning)

    assert (values["batch_ms"], values["turns_filler_ms"], values["turns_interrupt_words"]) == (100, 1400, 2)
    assert all(math.isfinite(value) for value in values.values())
    others = len(msgspec.structs.fields(Tuning)) - 3  # revision, turns, recognizers
    assert len(values) == others + len(msgspec.structs.fields(TurnThresholds))


async def test_a_page_has_the_tuning_in_force_and_replies_that_have_not_happened() -> None:
    metrics = Metrics()
    calls = CallRegistry(limit=3)
    drain = Drain(calls, timeout_s=1.0)
    live = Live(None, defaults=Tuning())
    expose(metrics, calls=calls, drain=drain, bus=Bus(), live=live, tracing=Tracing())
    families = text_string_to_metric_families(metrics.render().decode())
    samples = {
        (sample.name, *(value for label, value in sample.labels.items() if not label.startswith("otel_"))): sample.value
        for family in families
        for sample in family.samples
    }
    metrics.close()

    assert samples["batkol_tuning_value", "turns_filler_ms"] == 1500
    assert len([name for name, *_ in samples if name == "batkol_tuning_value"]) == len(tuning_values(Tuning()))
    assert samples["batkol_replies_total", "apology"] == samples["batkol_replies_total", "answer"] == 0
    assert samples["batkol_reply_failures_total", "voice", "unavailable"] == 0
    assert samples["batkol_calls_ended_total", "hung_up"] == 0
    assert samples["batkol_reply_settings_applied_total",] == samples["batkol_reply_settings_calls",] == 0
    assert samples["batkol_live_refusals_total", "reply.json"] == 0
