"""Annotations on pods, never on their template: the cost of deleting the pod, and the wanted live revision.

`pod-deletion-cost` makes a scale-down remove idle pods first. Kubernetes warns against writing it often ("Pod deletion
cost", ReplicaSet page), so it is written when the figure changes by a quarter, not at every call. `live-revision` makes
the kubelet refresh the mounted files of a pod that does not run the wanted revision (configure-pod-configmap: "by
updating one of the pod's annotations").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from batkol_operator.kube.client import Cluster
from batkol_operator.kube.names import DELETION_COST, LIVE_REVISION
from batkol_operator.pods.client import PodReport, Report
from batkol_operator.status.facts import Revisions, counted_pods
from batkol_operator.tracing import PassTrace
from batkol_operator.watch.object_state import PodState

COST_INTERVAL_S: Final = 15.0
LEAST_COST_CHANGE: Final = 0.25
"""Least change of the cost, as a share of the larger figure: a smaller one hardly changes the order of the pods."""


class PodAnnotations:
    """The annotations of one agent's pods."""

    def __init__(self, namespace: str, cluster: Cluster) -> None:
        self._namespace = namespace
        self._cluster = cluster
        self._written: dict[str, dict[str, str]] = {}  # by the pod's uid: the watch may not show it yet
        self._costs_due = 0.0

    async def update(
        self, pods: Iterable[PodState], reports: Mapping[str, Report], wanted: Revisions, trace: PassTrace, now: float
    ) -> None:
        """Write the annotations that changed, with one request for each such pod."""
        pods = tuple(pods)
        uids = {pod.uid for pod in pods}
        self._written = {uid: written for uid, written in self._written.items() if uid in uids}
        counted = {pod.uid for pod in counted_pods(pods)}
        costs_due = now >= self._costs_due
        for pod in pods:
            report = reports.get(pod.name)
            if not isinstance(report, PodReport):
                continue
            changes = self._cost(pod, report) if costs_due else {}
            if changes:
                self._costs_due = now + COST_INTERVAL_S
            if pod.uid in counted:
                changes |= self._touch(pod, report, wanted)
            if changes:
                with trace.step("annotate", name=pod.name):
                    await self._cluster.annotate_pod(self._namespace, pod.name, changes)
                self._written.setdefault(pod.uid, {}).update(changes)

    def _cost(self, pod: PodState, report: PodReport) -> dict[str, str]:
        if is_worth_writing(self._current(pod, DELETION_COST, pod.deletion_cost), report.active_calls):
            return {DELETION_COST: str(report.active_calls)}
        return {}

    def _touch(self, pod: PodState, report: PodReport, wanted: Revisions) -> dict[str, str]:
        if not wanted.run(report) and self._current(pod, LIVE_REVISION, pod.live_revision) != annotation_value(wanted):
            return {LIVE_REVISION: annotation_value(wanted)}
        return {}

    def _current(self, pod: PodState, annotation: str, watched: str) -> str:
        return self._written.get(pod.uid, {}).get(annotation, watched)


def is_worth_writing(written: str, calls: int) -> bool:
    """Whether the number of calls differs enough from the written one to change the order of the pods."""
    before = int(written) if written.isdigit() else 0
    return before != calls and abs(before - calls) >= LEAST_COST_CHANGE * max(before, calls)


def annotation_value(wanted: Revisions) -> str:
    """Write the revisions as an annotation's value."""
    return "-".join(filter(None, (wanted.tuning, wanted.flags, wanted.reply)))
