"""What becomes of OTEL_* variables that a platform injects, and that no library can be left with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import product

import pytest
from opentelemetry.sdk import environment_variables as known_to_the_sdk

from batkol.simulators.client.otlp_collector import Collector
from batkol.telemetry.metrics import Metrics
from batkol.tracing.tracing import Tracing, TracingSettings
from batkol_otel.environment import SIGNALS, Signal, mend
from batkol_otel.exporters import exporters
from support.telemetry.traces import environment

HTTP = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
SECRET = "Zq7"
KNOWN = sorted(
    {
        *(name for name in vars(known_to_the_sdk).values() if isinstance(name, str) and name.startswith("OTEL_")),
        *("OTEL_PROPAGATORS", "OTEL_CONFIG_FILE", "OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_LOGS_EXPORTER"),
        *("OTEL_PYTHON_CONTEXT", "OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER"),
        *("OTEL_PYTHON_EXCLUDED_URLS", "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS"),
        *(
            f"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_{which}"
            for which in ("SERVER_REQUEST", "SERVER_RESPONSE", "SANITIZE_FIELDS")
        ),
    }
    - {"OTEL_SDK_DISABLED"}
)
POISON = ("(zq7", "-1", "nan", "1e400", "a\nb", "ä=\udce4", "9" * 40)
_IMPORTS = """
import json, os
from batkol_otel.environment import SIGNALS, Signal, mend
from batkol_otel.exporters import exporters
complaints = mend()
{imports}
print(json.dumps(complaints))
"""
READERS = "import fastapi, opentelemetry.sdk.metrics, opentelemetry.sdk.trace"
"""What reads a variable when it is imported."""
PROGRAMS = """
from batkol import main
from batkol.app import build
from batkol.store import store
from batkol_operator import bootstrap
"""


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "10s"}, {}),
        ({"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "0"}, {}),
        ({"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "nan"}, {}),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, {}),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "deflate"}, {}),  # gRPC's exporter has none
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, HTTP),
        ({"OTEL_EXPORTER_OTLP_INSECURE": "yes"}, {}),
        ({"OTEL_SDK_DISABLED": "1"}, {}),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, {}),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10%"},
            {"OTEL_TRACES_SAMPLER": "traceidratio"},
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "5"},
            {"OTEL_TRACES_SAMPLER": "traceidratio"},
        ),
        ({"OTEL_METRICS_EXEMPLAR_FILTER": "sometimes"}, {}),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "60s"}, {}),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "0"}, {}),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "9" * 30}, {}),
        ({"OTEL_BSP_SCHEDULE_DELAY": "5s"}, {}),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, {}),
        ({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"}, {}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team=a,nonsense, =b"}, {"OTEL_RESOURCE_ATTRIBUTES": "team=a"}),
        ({"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "aws_eks,os"}, {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "os"}),
        ({"OTEL_CONFIG_FILE": "/etc/otel.yaml"}, {}),
        ({"OTEL_PYTHON_TRACER_PROVIDER": "sdk_tracer_provider"}, {}),
        ({"OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "/a,("}, {}),
        ({"OTEL_SERVICE_NAME": "caf\udce9"}, {}),
    ],
)
def test_what_cannot_be_read_is_as_if_it_were_unset_and_said_by_name(
    given: dict[str, str], taken: dict[str, str]
) -> None:
    environ = dict(given)
    complaints = mend(environ)

    assert environ == taken
    assert list(complaints) == list(given)[-1:]
    assert mend(environ) == {}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " http://c:4317 \n"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": ""}, {}),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "10000"}, {"OTEL_EXPORTER_OTLP_TIMEOUT": "10"}),  # ms, by the specification
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "10"}, {"OTEL_EXPORTER_OTLP_TIMEOUT": "10"}),  # s, by Python's SDK
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "none"}, {}),
        (
            {"OTEL_EXPORTER_OTLP_COMPRESSION": "GZIP"},
            {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": "gzip"},
        ),
        ({"OTEL_TRACES_SAMPLER": "Always_Off"}, {"OTEL_TRACES_SAMPLER": "always_off"}),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "100"},
            {"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100"},
        ),
        ({"OTEL_PROPAGATORS": "b3,jaeger,ottrace,xray"}, {}),
        ({"OTEL_LOGS_EXPORTER": "otlp"}, {"OTEL_LOGS_EXPORTER": "otlp"}),
        ({"OTEL_SERVICE_NAME": "בת קול"}, {"OTEL_SERVICE_NAME": "בת קול"}),
        ({"PATH": " as it was "}, {"PATH": " as it was "}),
    ],
)
def test_what_can_be_read_is_taken_without_a_word(given: dict[str, str], taken: dict[str, str]) -> None:
    environ = dict(given)

    assert mend(environ) == {}
    assert environ == taken


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (f"authorization=Bearer {SECRET}", f"authorization=Bearer {SECRET}"),
        (f"authorization=Bearer%20{SECRET}\n", f"authorization=Bearer%20{SECRET}"),
        (f"authorization: Bearer {SECRET}", ""),
        (f"a=1,authorization={SECRET}%0Ax,b=2", "a=1,b=2"),
        (f"a=1,no name={SECRET}", "a=1"),
        (f"a=1,x-bin={SECRET}", "a=1"),
        (f"a=1,b={SECRET}é", "a=1"),
        (f"a={SECRET}\nb=1", ""),
    ],
)
def test_a_header_that_no_request_can_carry_is_left_out_and_never_quoted(given: str, taken: str) -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": given}
    complaints = mend(environ)

    assert environ.get("OTEL_EXPORTER_OTLP_HEADERS", "") == taken
    assert bool(complaints) == (taken != given.strip())
    assert SECRET not in str(complaints)


def poisoned(poison: str) -> dict[str, str]:
    """All but those that say whether and where anything is sent."""
    where = ("ENDPOINT", "EXPORTER", "PROTOCOL", "CREDENTIAL_PROVIDER", "CODES")
    return {name: poison for name in KNOWN if not name.endswith(where)}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("poison", POISON)
async def test_with_every_variable_poisoned_spans_and_metrics_still_arrive(poison: str, protocol: str) -> None:
    async with Collector() as collector:
        endpoint = collector.endpoint if protocol == "grpc" else collector.http_endpoint
        variables = {
            **poisoned(poison),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        with environment(**variables):
            mend()
            tracing, metrics = Tracing.start(TracingSettings()), Metrics()
            tracing.tracer.start_span("one", attributes={"a": "b"}).end()
            metrics.finals.add(1, {"source": "final"})
            assert b"batkol_finals" in metrics.render()
            await tracing.close()
            await metrics.aclose()

    assert [span.name for span in collector.spans] == ["one"]
    assert "batkol.finals" in collector.metrics


@pytest.mark.parametrize(
    ("poison", "signal"),
    [
        *product(("(zq7",), SIGNALS),
        *product(("http://[::1", "http://127.0.0.1:99999", "c:4317", "http://a b:1", "https://c"), ("traces",)),
        *(
            pytest.param(poison, "metrics", marks=pytest.mark.nightly)
            for poison in ("http://[::1", "http://127.0.0.1:99999", "c:4317", "http://a b:1", "https://c")
        ),
    ],
)
def test_what_turns_a_signal_off_raises_nothing_either(poison: str, signal: Signal) -> None:
    for name in (name for name in KNOWN if name not in poisoned("")):
        with environment(**{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", name: poison}):
            mend()
            found = exporters(signal)
        for exporter in found.made.values():
            exporter.shutdown()
        assert "zq7" not in str(list(found.failed.values()))


@pytest.mark.parametrize("imports", [READERS, pytest.param(PROGRAMS, marks=pytest.mark.nightly)], ids=["few", "all"])
def test_no_import_raises_for_a_variable(imports: str) -> None:
    """FastAPI reads OTEL_PROPAGATORS when it is imported, and the SDK its limits: in a process of their own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS.format(imports=imports)],
        env={**environ, **dict.fromkeys(KNOWN, "(zq7")},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr.decode()
    complaints: Sequence[str] = list(json.loads(done.stdout))
    assert "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" in complaints
