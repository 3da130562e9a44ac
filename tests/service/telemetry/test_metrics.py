from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from batkol.telemetry.metrics import Metrics

GOOGLE = "google-v1/default"


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics()
    yield metrics
    metrics.close()


def samples(metrics: Metrics) -> list[Sample]:
    families = text_string_to_metric_families(metrics.render().decode())
    return [sample for family in families for sample in family.samples]


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = [
        sample.value
        for sample in samples(metrics)
        if sample.name == name and labels.items() <= {k: str(v) for k, v in sample.labels.items()}.items()
    ]
    assert len(found) == 1, f"{name}{labels}: {found}"
    return found[0]


def test_counters_come_out_as_prometheus_reads_them(metrics: Metrics) -> None:
    metrics.finals.add(2, {"source": "final"})
    metrics.finals.add(1, {"source": "single"})
    metrics.fallbacks.add(1, {"step": "streaming", "reason": "quota"})
    metrics.count(flag="streaming-stt", variant="on", reason="STATIC")

    assert value(metrics, "batkol_finals_total", source="final") == 2
    assert value(metrics, "batkol_finals_total", source="single") == 1
    assert value(metrics, "batkol_fallbacks_total", step="streaming", reason="quota") == 1
    assert value(metrics, "batkol_flag_evaluations_total", flag="streaming-stt", variant="on", reason="STATIC") == 1


def test_the_promised_second_is_a_bucket_of_its_own(metrics: Metrics) -> None:
    """1.2 s from silence to the first reply: the histogram must tell 1.15 from 1.25."""
    for seconds in (0.1, 1.19, 1.21):
        metrics.final.record(seconds, None, (GOOGLE,))

    assert value(metrics, "batkol_final_latency_seconds_bucket", le="1.2") == 2
    assert value(metrics, "batkol_final_latency_seconds_bucket", le="1.25") == 3
    assert value(metrics, "batkol_final_latency_seconds_count") == 3


def test_written_audio_is_measured_in_milliseconds(metrics: Metrics) -> None:
    metrics.audio_written(0.004, GOOGLE)
    metrics.audio_written(0.005, GOOGLE)
    metrics.audio_written(7.0, GOOGLE)

    assert value(metrics, "batkol_audio_written_seconds_bucket", le="0.002") == 0
    assert value(metrics, "batkol_audio_written_seconds_bucket", le="0.005") == 2  # a bound belongs to its bucket
    assert value(metrics, "batkol_audio_written_seconds_bucket", le="1.0") == 2
    assert value(metrics, "batkol_audio_written_seconds_bucket", le="+Inf") == 3
    assert value(metrics, "batkol_audio_written_seconds_count") == 3
    assert value(metrics, "batkol_audio_written_seconds_sum") == pytest.approx(7.009)


def test_each_recognizer_has_its_series_before_it_has_heard_a_word(metrics: Metrics) -> None:
    """A series that appears at 1 was never seen to grow."""
    for name in ("google-v1/default", "soniox/stt-rt-v5"):
        metrics.begin_with(name)
    metrics.audio_written(0.004, "soniox/stt-rt-v5")

    assert value(metrics, "batkol_audio_written_seconds_count", recognizer="soniox/stt-rt-v5") == 1
    assert value(metrics, "batkol_audio_written_seconds_count", recognizer="google-v1/default") == 0
    for name in ("batkol_final_latency_seconds_count", "batkol_first_partial_latency_seconds_count"):
        assert value(metrics, name, recognizer="soniox/stt-rt-v5") == 0
    assert value(metrics, "batkol_finals_revised_total", recognizer="google-v1/default") == 0


def test_a_gauge_is_read_when_it_is_asked_for(metrics: Metrics) -> None:
    calls = [1]
    metrics.gauge("batkol.calls.active", "Live calls.", lambda: calls[0])

    assert value(metrics, "batkol_calls_active") == 1
    calls[0] = 7
    assert value(metrics, "batkol_calls_active") == 7


def test_two_services_in_a_process_count_apart(metrics: Metrics) -> None:
    other = Metrics()
    metrics.partials.add(3, {"recognizer": GOOGLE})
    other.partials.add(1, {"recognizer": GOOGLE})

    assert value(metrics, "batkol_partials_total") == 3
    assert value(other, "batkol_partials_total") == 1
    other.close()


def test_partials_come_in_steps_of_50_ms(metrics: Metrics) -> None:
    metrics.partial_interval.record(0.19, None, (GOOGLE,))
    metrics.partial_interval.record(12.0, None, (GOOGLE,))

    assert value(metrics, "batkol_partial_interval_seconds_bucket", le="0.2") == 1
    assert value(metrics, "batkol_partial_interval_seconds_bucket", le="10.0") == 1
    assert value(metrics, "batkol_partial_interval_seconds_count") == 2
