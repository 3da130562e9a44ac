"""The state of a pod, as the operator sees it, for tests that change one thing of it."""

from __future__ import annotations

from batkol_operator.watch.object_state import PodState


def ready_pod(name: str, uid: str, ip: str) -> PodState:
    return PodState(
        name,
        uid,
        ip,
        ready=True,
        terminating=False,
        start_failure="",
        creating_since=None,
        deletion_cost="",
        live_revision="",
    )
