"""The OpenTelemetry resource of this process: the same for traces and metrics."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

import structlog
from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from batkol import __version__
from batkol.telemetry import names

log = structlog.get_logger()

_INSTANCE: Final = str(uuid.uuid4())
"""For a process without a pod name."""


def resource(pod: str) -> Resource:
    """Name the sender; OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME win."""
    defaults: dict[str, Any] = {
        names.SERVICE_NAME: "batkol",
        names.SERVICE_VERSION: __version__,
        names.SERVICE_INSTANCE: pod or _INSTANCE,
    }
    if pod:
        defaults[names.POD_NAME] = pod
    try:
        given: Mapping[str, Any] = OTELResourceDetector().detect().attributes
        return Resource.create({**defaults, **given})
    except Exception as error:  # noqa: BLE001  the rim: a detector may be foreign code
        log.error(
            "[OTEL] OTEL_RESOURCE_ATTRIBUTES and detectors are left out: the SDK failed", err=type(error).__name__
        )
        return Resource(defaults)
