"""The facts about an agent that its status is made of, and the revisions that its pods should run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from batkol_operator.pods.client import PodReport, Report
from batkol_operator.resources.flag_sources import MergedFlags
from batkol_operator.watch.autoscaler_state import AutoscalerState
from batkol_operator.watch.object_state import PodState, Rollout


@dataclass(frozen=True, slots=True)
class Revisions:
    """The live configuration that every pod should run."""

    tuning: str = ""
    flags: str = ""
    reply: str = ""  # "" for an agent without `spec.reply`

    def __str__(self) -> str:
        return "/".join(filter(None, (self.tuning, self.flags, self.reply)))

    def tuning_runs(self, report: Report | None) -> bool:
        """Whether a pod runs the tuning and the flags."""
        return (
            isinstance(report, PodReport)
            and (report.tuning_revision, report.flags_revision) == (self.tuning, self.flags)
            and not report.refusals
        )

    def reply_runs(self, report: Report | None) -> bool:
        """Whether a pod runs the reply settings; any pod does where none are wanted."""
        if not self.reply:
            return True
        return isinstance(report, PodReport) and report.reply_revision == self.reply and not report.reply_refusals

    def run(self, report: Report | None) -> bool:
        """Whether a pod runs all of it."""
        return self.tuning_runs(report) and self.reply_runs(report)


@dataclass(frozen=True, slots=True)
class AgentProblem:
    """A reason why the operator cannot make the agent match its spec."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Contest:
    """An object that other clients have changed although the operator owns what they changed."""

    name: str  # kind and name
    managers: tuple[str, ...]  # field managers; none is known of a client that removes
    fields: tuple[str, ...]
    deleted: bool  # the whole object
    times: int
    stands: bool  # whether the others' change is in force, or may be again in a moment
    wait_s: float  # seconds between two times that the operator sets it back; 0: it does so at once


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of an agent in the cluster, and its wanted revisions."""

    generation: int
    wanted: Revisions
    rollout: Rollout | None
    pods: tuple[PodState, ...]
    reports: Mapping[str, Report]  # by pod name; a pod that has not been polled yet is missing
    problem: AgentProblem | None = None
    warnings: tuple[str, ...] = ()
    streaming: str = ""
    replies: str = ""
    sinks: tuple[str, ...] = ()  # names
    sources: tuple[str, ...] = ()  # names of the FeatureFlags in `spec.flagsFrom`
    merged: MergedFlags = field(default_factory=MergedFlags)  # what these add
    autoscaled: bool = False  # the plan has an autoscaler
    autoscalers: tuple[AutoscalerState, ...] = ()
    selector: str = ""
    contests: tuple[Contest, ...] = ()


def counted_pods(pods: Iterable[PodState]) -> list[PodState]:
    """Return the pods that have to run the wanted configuration: all except those that only finish their calls."""
    return [pod for pod in pods if pod.ready or not pod.terminating]


def pods_in_sync(facts: Facts) -> list[PodState]:
    """Return the counted pods that run the wanted configuration."""
    return [pod for pod in counted_pods(facts.pods) if facts.wanted.run(facts.reports.get(pod.name))]


def active_calls(reports: Mapping[str, Report]) -> int:
    """Add up the calls of all pods that answered, the draining ones too."""
    return sum(report.active_calls for report in reports.values() if isinstance(report, PodReport))


def reply_calls(facts: Facts) -> int:
    """Add up the calls that use the wanted reply settings."""
    reports = (report for report in facts.reports.values() if isinstance(report, PodReport))
    return sum(report.reply_calls for report in reports if report.reply_revision == facts.wanted.reply != "")
