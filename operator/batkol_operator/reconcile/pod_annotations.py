"""Annotations on pods, never on their template: the cost of deleting the pod, and that there is news.

`pod-deletion-cost` lets a scale-down take idle pods first. Kubernetes warns against writing it often ("Pod deletion
cost", ReplicaSet page), so it is written when the figure has become another one, not at every call. `live-revision`
makes the kubelet refresh the mounted files of a pod that does not run what is wanted (configure-pod-configmap: "by
updating one of the pod's annotations").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from batkol_operator.kube.client import Cluster
from batkol_operator.kube.names import DELETION_COST, LIVE_REVISION
from batkol_operator.pods.client import PodReport, Report
from batkol_operator.status.judge import Revisions, counted_pods
from batkol_operator.tracing import PassTrace
from batkol_operator.watch.object_state import PodState

EVERY_S: Final = 15.0
WORTH: Final = 0.25
"""A figure that differs by less than this share of the larger one sorts the pods no better."""


class Marking:
    """The annotations of one agent's pods."""

    def __init__(self, namespace: str, cluster: Cluster) -> None:
        self._namespace = namespace
        self._cluster = cluster
        self._written: dict[str, dict[str, str]] = {}  # by the pod's uid: the watch may not show it yet
        self._costs_due = 0.0

    async def mark(
        self, pods: Iterable[PodState], reports: Mapping[str, Report], wanted: Revisions, trace: PassTrace, now: float
    ) -> None:
        """Write what has changed; one request for each pod that it has changed for."""
        pods = tuple(pods)
        uids = {pod.uid for pod in pods}
        self._written = {uid: written for uid, written in self._written.items() if uid in uids}
        counted = {pod.uid for pod in counted_pods(pods)}
        costs_due = now >= self._costs_due
        for pod in pods:
            report = reports.get(pod.name)
            if not isinstance(report, PodReport):
                continue
            news = self._cost(pod, report) if costs_due else {}
            if news:
                self._costs_due = now + EVERY_S
            if pod.uid in counted:
                news |= self._touch(pod, report, wanted)
            if news:
                with trace.step("annotate", name=pod.name):
                    await self._cluster.annotate_pod(self._namespace, pod.name, news)
                self._written.setdefault(pod.uid, {}).update(news)

    def _cost(self, pod: PodState, report: PodReport) -> dict[str, str]:
        if worth_writing(self._stands(pod, DELETION_COST, pod.cost), report.active_calls):
            return {DELETION_COST: str(report.active_calls)}
        return {}

    def _touch(self, pod: PodState, report: PodReport, wanted: Revisions) -> dict[str, str]:
        behind = (report.tuning_revision, report.flags_revision) != (wanted.tuning, wanted.flags)
        if behind and self._stands(pod, LIVE_REVISION, pod.revision) != text(wanted):
            return {LIVE_REVISION: text(wanted)}
        return {}

    def _stands(self, pod: PodState, annotation: str, seen: str) -> str:
        return self._written.get(pod.uid, {}).get(annotation, seen)


def worth_writing(written: str, calls: int) -> bool:
    """Whether this many calls are so different from what is written that the order of the pods may change."""
    before = int(written) if written.isdigit() else 0
    return before != calls and abs(before - calls) >= WORTH * max(before, calls)


def text(wanted: Revisions) -> str:
    """Write the revisions as an annotation's value."""
    return f"{wanted.tuning}-{wanted.flags}"
