"""The lifetime of a pod: probes, and the time that its calls have to end."""

from __future__ import annotations

from typing import Final

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.workload import CallsSpec

PRE_STOP_S: Final = 5
"""Seconds before SIGTERM, while load balancers remove the endpoint: requests still come, and the pod answers them."""

ENDING_S: Final = 15
"""Seconds of the service after its drain timed out: 5 s for a caller to finish, 10 s for the last finals."""

HANDOVER_S: Final = 15
"""Seconds after the last call that was moved: the pod that has it now asks this one what was said in it."""

MARGIN_S: Final = 25
"""Seconds to write the last records (10 s at most), hand the last events on to sinks (5 s), send traces (5 s) and
metrics (3 s), and close connections."""


def grace_period(calls: CallsSpec) -> int:
    """Return the seconds from the pod's deletion until the kubelet kills it; `preStop` is included."""
    return PRE_STOP_S + calls.drain_timeout_seconds + ENDING_S + HANDOVER_S + MARGIN_S


def progress_deadline(calls: CallsSpec) -> int:
    """Return the seconds that a rollout may make no progress; it may have to wait for the room of a draining pod."""
    return grace_period(calls) + 600


def lifetime() -> Manifest:
    """Return probes and `preStop` of the container. A restart cuts a hundred calls: the liveness probe is slow to fail.

    The probes use the internal port: an attack on the public one must not get the pod killed. `/readyz` checks that
    the public port accepts connections.
    """
    return {
        "startupProbe": _probe("/healthz", period_s=2, failures=60),
        "readinessProbe": _probe("/readyz", period_s=5, failures=2),
        "livenessProbe": _probe("/healthz", period_s=10, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_S}}},
    }


def _probe(path: str, *, period_s: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": names.INTERNAL, "scheme": "HTTP"},
        "periodSeconds": period_s,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
        "successThreshold": 1,
    }
