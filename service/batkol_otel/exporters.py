"""Exporters of traces and metrics, as OpenTelemetry's variables name them.

OTEL_{TRACES,METRICS}_EXPORTER names them; unset, an OTLP endpoint means `otlp`, and no endpoint means none. An exporter
that cannot work is reported and left out, and the others work.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from batkol_otel.environment import CERTIFICATES, Signal, is_secure, setting

GRPC: Final = "otlp_proto_grpc"
HTTP: Final = "otlp_proto_http"

_QUIET: Final = {
    "opentelemetry.exporter": logging.CRITICAL,
    "opentelemetry.util.re": logging.CRITICAL,
    "urllib3": logging.CRITICAL,
}
"""Loggers that repeat a line at every failure and quote headers, URLs, logins. Each program logs a failure itself."""

_PROTOCOLS: Final = {"grpc": GRPC, "http/protobuf": HTTP}
_NO_EXPORTER: Final = frozenset({"", "none", "prometheus"})
"""`/metrics` always exists, so `prometheus` needs no exporter."""


class _UnusableError(Exception):
    """The variables ask for something that cannot work. The text names variable and remedy, and quotes no value."""


@dataclass(frozen=True, slots=True)
class Exporters:
    """The exporters that were made, by name, and why the others were not."""

    made: Mapping[str, Any] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def disabled() -> bool:
    """Whether OTEL_SDK_DISABLED turns everything off."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def exporters(signal: Signal, own: Mapping[str, Callable[..., Any]] | None = None) -> Exporters:
    """Make the exporters that the environment names, `ours` in place of the entry points of those names. Never raises.

    `environment.mend` has been here before.
    """
    for logger, level in _QUIET.items():
        logging.getLogger(logger).setLevel(level)
    made: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for name in () if disabled() else _wanted(signal):
        try:
            made[name] = _exporter(signal, name, own or {})
        except _UnusableError as error:
            failed[name] = str(error)
        except Exception as error:  # noqa: BLE001  the rim: whatever a library makes of the variables
            failed[name] = f"its exporter cannot be made ({type(error).__name__}); check the OTEL_EXPORTER_* variables"
    return Exporters(made, failed)


def _wanted(signal: Signal) -> Sequence[str]:
    endpoint = setting(signal, "ENDPOINT")[1]
    named = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or ("otlp" if endpoint else "none")
    names = dict.fromkeys(part.strip().lower() for part in named.split(","))
    return [name for name in names if name not in _NO_EXPORTER]


def _exporter(signal: Signal, name: str, own: Mapping[str, Callable[..., Any]]) -> Any:
    entry = _otlp(signal) if name == "otlp" else name
    if entry in _PROTOCOLS.values():
        _check(signal, "grpc" if entry == GRPC else "http/protobuf")
    make = own[entry] if entry in own else _installed(signal, entry)
    if entry != HTTP:
        return make()
    from batkol_otel.http_session import BoundedSession  # noqa: PLC0415  50 ms of imports that gRPC does without

    return make(session=BoundedSession())


def _installed(signal: Signal, entry: str) -> Any:
    found = next(iter(entry_points(group=f"opentelemetry_{signal}_exporter", name=entry)), None)
    if found is None:
        variable = f"OTEL_{signal.upper()}_EXPORTER"
        raise _UnusableError(f"{variable} names an exporter that is not installed; set it to otlp, console or none")
    return found.load()


def _otlp(signal: Signal) -> str:
    name, protocol = setting(signal, "PROTOCOL")
    entry = _PROTOCOLS.get(protocol or "grpc")
    if entry is None:
        raise _UnusableError(f"{name} is not a protocol of OTLP; set it to grpc or http/protobuf")
    return entry


def _check(signal: Signal, protocol: str) -> None:
    """Raises `_UnusableError` for an endpoint or a certificate with which every export would fail."""
    name, endpoint = setting(signal, "ENDPOINT")
    try:
        parts = urlsplit(endpoint)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an address in them, a port above 65535
        raise _UnusableError(f"{name} is not a URL; set it to http://host:port or https://host:port") from None
    if any(letter.isspace() for letter in endpoint):
        raise _UnusableError(f"{name} has white space in it; set it to http://host:port or https://host:port")
    needs_url = protocol != "grpc" or parts.scheme in {"http", "https"}
    if endpoint and needs_url and not (whole and parts.scheme in {"http", "https"}):
        raise _UnusableError(
            f"{name} is not an http:// or https:// URL; set it to http://host:port or https://host:port"
        )
    if endpoint and is_secure(signal):
        for variable, path in _certificates(signal):
            _check_file(variable, path)


def _certificates(signal: Signal) -> Iterator[tuple[str, str]]:
    for suffix in CERTIFICATES:
        name, path = setting(signal, suffix)
        if path:
            yield name, path


def _check_file(variable: str, path: str) -> None:
    try:
        with Path(path).open("rb") as file:
            empty = not file.read(1)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
        raise _UnusableError(f"{variable} names a file that cannot be read ({why}); mount it, then restart") from None
    if empty:
        raise _UnusableError(f"{variable} names an empty file; put a certificate into it, then restart")
