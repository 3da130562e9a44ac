"""The state of sending traces and metrics, for `/v1/status` and the one line at the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import structlog

from batkol.status import SignalStatus

log = structlog.get_logger()


class SignalPhase(StrEnum):
    OFF = "off"  # nothing was asked for
    ON = "on"
    FAILED = "failed"  # it was asked for and cannot work


@dataclass(frozen=True, slots=True)
class SignalState:
    """One signal: the exporters that send it, and why others do not."""

    exporters: Sequence[str] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    delivering: bool = True

    @property
    def state(self) -> SignalPhase:
        """`failed` only if nothing is sent: a fault beside an exporter that works is in `failed` of the status."""
        if self.exporters:
            return SignalPhase.ON
        return SignalPhase.FAILED if self.failed else SignalPhase.OFF

    def status(self) -> SignalStatus:
        """Take a snapshot for `GET /v1/status`."""
        return SignalStatus(
            state=self.state,
            exporters=tuple(self.exporters),
            failed=self.failed,
            delivering=bool(self.exporters) and self.delivering,
        )


def log_faults(*, traces: SignalState, metrics: SignalState, ignored: Mapping[str, str]) -> None:
    """Log one error line if anything is not as OTEL_* ask for; no line if all is well."""
    findings: dict[str, Any] = {}
    if traces.failed:
        findings["traces"] = dict(traces.failed)
    if metrics.failed:
        findings["metrics"] = dict(metrics.failed)
    if ignored:
        findings["ignored"] = dict(ignored)
    if findings:
        log.error(
            "[OTEL] telemetry does not work as the OTEL_* variables ask; the calls go on",
            **findings,
            remedy="correct these variables and restart; docs/observability.md has what each may be",
        )
