"""Which exporters OpenTelemetry's variables name, for traces and for metrics.

OTEL_{TRACES,METRICS}_EXPORTER names them; unset, an OTLP endpoint means `otlp`, and no endpoint means none.
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import Any, Final, Literal

from batkol.errors import ConfigurationError
from batkol.telemetry.encoding import SpanExporter

Signal = Literal["traces", "metrics"]

_PROTOCOLS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_NOBODY: Final = frozenset({"", "none", "prometheus"})
"""`prometheus` is there without being named: /metrics."""


def disabled() -> bool:
    """Whether OTEL_SDK_DISABLED turns everything off."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def exporters(signal: Signal) -> list[Any]:
    """Make the exporters that the environment names.

    Raises `ConfigurationError` for one that does not exist or is not installed.
    """
    return [] if disabled() else [_exporter(signal, name) for name in _wanted(signal)]


def _wanted(signal: Signal) -> list[str]:
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    endpoint = os.environ.get(own) or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    named = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or ("otlp" if endpoint else "none")
    return [name for name in (part.strip() for part in named.split(",")) if name not in _NOBODY]


def _exporter(signal: Signal, name: str) -> Any:
    entry = name
    if name == "otlp":
        own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
        protocol = os.environ.get(own) or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        entry = _PROTOCOLS.get((protocol or "grpc").strip(), "")
    found = next(iter(entry_points(group=f"opentelemetry_{signal}_exporter", name=entry)), None)
    if found is None:
        raise ConfigurationError(
            f"the exporter {entry or name!r} for {signal} is not installed; for OTLP set "
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or install opentelemetry-exporter-otlp-proto-http for http/protobuf; "
            f"OTEL_{signal.upper()}_EXPORTER=none goes without"
        )
    if (signal, entry) == ("traces", _PROTOCOLS["grpc"]):
        return SpanExporter()
    return found.load()()
