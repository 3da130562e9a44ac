"""The lifetime of a pod: probes, and the time that its calls are given."""

from __future__ import annotations

from typing import Final

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.workload import CallsSpec

PRE_STOP_S: Final = 5
"""Before SIGTERM, while the endpoint is taken out everywhere: requests still come, and are still answered."""

ENDING_S: Final = 15
"""What the service takes after its drain is out of time: 5 s for a caller to finish, 10 s for the last words."""

MARGIN_S: Final = 20
"""To hand on the last records (10 s at most), traces (5 s) and metrics (3 s), and to close connections."""


def grace_period(calls: CallsSpec) -> int:
    """Return the seconds from the order to stop until the kubelet kills; `preStop` counts, too."""
    return PRE_STOP_S + calls.drain_timeout_seconds + ENDING_S + MARGIN_S


def progress_deadline(calls: CallsSpec) -> int:
    """Return how long a rollout may stand still; it may have to wait for room that a draining pod holds."""
    return grace_period(calls) + 600


def lifetime() -> Manifest:
    """Return probes and `preStop` of the container. A restart cuts a hundred calls: liveness is slow to say so.

    The internal port is asked: what strangers do to the public one must not get the pod killed. Whether the public one
    takes connections is a part of what `/readyz` answers there.
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
