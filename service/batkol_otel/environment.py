"""OTEL_* variables that a platform injects, made such that no library of OpenTelemetry raises for them.

`mend` must run before anything of OpenTelemetry is imported: some variables are read by imports, FastAPI's among them.
So this package imports nothing of it.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final, Literal

from batkol_otel import readings as read

Signal = Literal["traces", "metrics"]

SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics")

CERTIFICATES: Final = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")

_OTLP: Final = "OTEL_EXPORTER_OTLP_"
_ANY_SIGNAL: Final = ("", "TRACES_", "METRICS_", "LOGS_")
_SAMPLERS: Final = tuple(
    f"{prefix}{name}" for prefix in ("", "parentbased_") for name in ("always_on", "always_off", "traceidratio")
)
_LIMITS: Final = (
    *("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"),
    *("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
    *("OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT"),
)
_MILLISECONDS: Final = (
    *("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"),
    *("OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT"),
)
_SPANS: Final = ("OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
_BATCH: Final = 512  # the default of both
_CAPTURES: Final = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_"
_PATTERNS: Final = (
    *("OTEL_PYTHON_EXCLUDED_URLS", "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS"),
    *(f"{_CAPTURES}{which}" for which in ("SERVER_REQUEST", "SERVER_RESPONSE", "SANITIZE_FIELDS")),
)
_NO_FILE: Final = read.unsupported("is not read; set the OTEL_* variables themselves")
_OURS: Final = read.unsupported("is not used: Batkol makes its own")
_OUR_CLIENT: Final = read.unsupported(
    "is not used: Batkol makes the HTTP client itself; put a login into OTEL_EXPORTER_OTLP_HEADERS"
)
_COMPRESSIONS: Final = {"grpc": ("none", "gzip"), "http/protobuf": ("none", "gzip", "deflate")}

_boolean: Final = read.one_of("true", "false", default="false")


def _otlp(suffix: str, reader: read.ReadVariable) -> dict[str, read.ReadVariable]:
    return {f"{_OTLP}{signal}{suffix}": reader for signal in _ANY_SIGNAL}


_READERS: Final[dict[str, read.ReadVariable]] = {
    **_otlp("TIMEOUT", read.timeout),
    **_otlp("PROTOCOL", read.protocol),
    **_otlp("HEADERS", read.headers),
    **_otlp("INSECURE", _boolean),
    **dict.fromkeys(_LIMITS, read.limit),
    **dict.fromkeys(_MILLISECONDS, read.number(1, read.DAY_MS)),
    **dict.fromkeys(_SPANS, read.number(1, 1_000_000)),
    **dict.fromkeys(_PATTERNS, read.patterns),
    "OTEL_SDK_DISABLED": _boolean,
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": _boolean,
    "OTEL_TRACES_SAMPLER": read.one_of(*_SAMPLERS, default="parentbased_always_on"),
    "OTEL_METRICS_EXEMPLAR_FILTER": read.one_of("trace_based", "always_on", "always_off", default="trace_based"),
    f"{_OTLP}METRICS_TEMPORALITY_PREFERENCE": read.one_of("cumulative", "delta", "lowmemory", default="cumulative"),
    f"{_OTLP}METRICS_DEFAULT_HISTOGRAM_AGGREGATION": read.one_of(
        "explicit_bucket_histogram", "base2_exponential_bucket_histogram", default="explicit_bucket_histogram"
    ),
    "OTEL_RESOURCE_ATTRIBUTES": read.attributes,
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": read.installed("opentelemetry_resource_detector"),
    **{f"OTEL_PYTHON_EXPORTER_OTLP_HTTP_{signal}CREDENTIAL_PROVIDER": _OUR_CLIENT for signal in _ANY_SIGNAL},
    "OTEL_CONFIG_FILE": _NO_FILE,
    "OTEL_EXPERIMENTAL_CONFIG_FILE": _NO_FILE,
    "OTEL_PYTHON_CONTEXT": _OURS,
    "OTEL_PYTHON_TRACER_PROVIDER": _OURS,  # each request would raise for one that is not there
    "OTEL_PYTHON_METER_PROVIDER": _OURS,
    "OTEL_PYTHON_LOGGER_PROVIDER": _OURS,
}


def mend(environ: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """Change the environment such that OpenTelemetry can read it; return why each variable is not taken as it is given.

    What was mended once has nothing to mend any more.
    """
    complaints: dict[str, str] = {}
    for name in [name for name in environ if name.startswith("OTEL_")]:
        reading = _read(name, environ[name].strip())
        _set(environ, name, reading.value)
        if reading.complaint:
            complaints[name] = reading.complaint
    _mend_sampler(environ, complaints)
    _mend_compression(environ, complaints)
    _mend_batch(environ)
    _drop_certificates(environ)
    # Nothing here takes a context from a header or sends one. An unknown name ends an import, and `none` each request.
    environ.pop("OTEL_PROPAGATORS", None)
    return complaints


def setting(signal: Signal, suffix: str, environ: MutableMapping[str, str] = os.environ) -> tuple[str, str]:
    """Return name and value of the signal's own OTEL_EXPORTER_OTLP_* variable, or of the one for all signals."""
    own, general = f"{_OTLP}{signal.upper()}_{suffix}", f"{_OTLP}{suffix}"
    name = own if environ.get(own, "").strip() else general
    return name, environ.get(name, "").strip()


def is_secure(signal: Signal, environ: MutableMapping[str, str] = os.environ) -> bool:
    """Whether the signal goes over TLS: gRPC's exporter takes an endpoint without a scheme for one that has it."""
    scheme, found, _ = setting(signal, "ENDPOINT", environ)[1].lower().partition("://")
    plain = found and scheme == "http"
    return not plain and (scheme == "https" or setting(signal, "INSECURE", environ)[1] != "true")


def _read(name: str, given: str) -> read.VariableReading:
    if not given:
        return read.VariableReading("")  # the specification's: empty is unset
    if not given.isprintable() or not _is_text(given):
        return read.VariableReading("", "has characters that cannot be printed, such as a line break; it is not used")
    reader = _READERS.get(name)
    return reader(given) if reader is not None else read.VariableReading(given)


def _is_text(given: str) -> bool:
    try:
        given.encode()
    except UnicodeEncodeError:  # bytes that were no UTF-8
        return False
    return True


def _set(environ: MutableMapping[str, str], name: str, value: str) -> None:
    if value:
        environ[name] = value
    else:
        environ.pop(name, None)


def _mend_sampler(environ: MutableMapping[str, str], complaints: dict[str, str]) -> None:
    """The argument means a share only to the samplers that sample one."""
    name = "OTEL_TRACES_SAMPLER_ARG"
    if "traceidratio" in environ.get("OTEL_TRACES_SAMPLER", "") and name in environ:
        reading = read.ratio(environ[name])
        _set(environ, name, reading.value)
        if reading.complaint:
            complaints[name] = reading.complaint


def _mend_compression(environ: MutableMapping[str, str], complaints: dict[str, str]) -> None:
    """Give each signal what its protocol can do: gRPC's exporter refuses `deflate`, and even `none`."""
    chosen: dict[Signal, str] = {}
    for signal in SIGNALS:
        name, given = setting(signal, "COMPRESSION", environ)
        known = _COMPRESSIONS.get(setting(signal, "PROTOCOL", environ)[1] or "grpc", ())
        if not given or not known:
            continue
        reading = read.one_of(*known, default="none")(given)
        chosen[signal] = reading.value.replace("none", "")
        if reading.complaint:
            complaints[name] = reading.complaint
    environ.pop(f"{_OTLP}COMPRESSION", None)
    for signal in SIGNALS:
        _set(environ, f"{_OTLP}{signal.upper()}_COMPRESSION", chosen.get(signal, ""))


def _drop_certificates(environ: MutableMapping[str, str]) -> None:
    """Drop what a plain connection needs none of: `requests` raises for a client's certificate that is not there."""
    secure = [signal for signal in SIGNALS if is_secure(signal, environ)]
    for suffix in CERTIFICATES:
        for signal in SIGNALS:
            if signal not in secure:
                environ.pop(f"{_OTLP}{signal.upper()}_{suffix}", None)
        if not secure:
            environ.pop(f"{_OTLP}{suffix}", None)


def _mend_batch(environ: MutableMapping[str, str]) -> None:
    """A batch cannot hold more than the queue; the SDK raises for that."""
    queue, batch = (environ.get(name, "") for name in _SPANS)
    if queue and int(queue) < int(batch or _BATCH):
        environ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] = queue
