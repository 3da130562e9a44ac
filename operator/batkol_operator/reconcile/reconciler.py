"""One pass over one agent: read, plan, apply, prune, poll the pods, write the status.

A pass is complete in itself and may be cancelled anywhere: the next one, of this process or another, begins from the
spec and the cluster's state. State kept between passes only saves requests, and dates conditions.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from opentelemetry.trace import Tracer

from batkol_operator.errors import RefusedError, UnreachableError
from batkol_operator.kube import names
from batkol_operator.kube.client import Cluster, OwnedKinds
from batkol_operator.kube.discovery import OptionalKinds
from batkol_operator.metrics import OperatorMetrics
from batkol_operator.model.agent import SpecError, VoiceAgent
from batkol_operator.pods.client import NoReport, PodReports, Report
from batkol_operator.pods.poll_schedule import PollSchedule
from batkol_operator.reconcile.flag_sources import LOOK_AGAIN_S, read_sources, source_names
from batkol_operator.reconcile.owned_objects import OwnedObjects, WantedObjects
from batkol_operator.reconcile.pod_annotations import PodAnnotations
from batkol_operator.resources.flag_sources import FEATURE_FLAGS, MergedFlags
from batkol_operator.resources.flags import replies, summary
from batkol_operator.resources.plan import ClusterFacts, Plan
from batkol_operator.resources.secret import api_token
from batkol_operator.status.facts import AgentProblem, Facts, Revisions, counted_pods, pods_in_sync
from batkol_operator.status.writer import StatusWriter
from batkol_operator.tracing import PassTrace
from batkol_operator.watch.autoscaler_state import AUTOSCALERS
from batkol_operator.watch.cache import AgentKey, ObjectCache
from batkol_operator.watch.feature_flags import FeatureFlagCache
from batkol_operator.watch.object_state import Body, PodState, digest

SERVER_ERRORS_TOLERATED: Final = 5
"""Passes in a row that may fail with a 5xx before the agent's status reports it."""

RESYNCS_PER_LISTING: Final = 10
"""Resyncs from one listing and apply of all objects to the next, in case a watch missed something; minus up to 10 %
random jitter.
"""


@dataclass(frozen=True, slots=True)
class Context:
    """The parts and settings that all reconcilers of a process share."""

    cluster: Cluster
    cache: ObjectCache
    feature_flags: FeatureFlagCache
    pod_client: PodReports
    plan: Callable[[VoiceAgent, ClusterFacts], Plan]
    owned_kinds: OwnedKinds
    optional_kinds: OptionalKinds
    metrics: OperatorMetrics
    tracer: Tracer
    key: bytes
    image: str
    operator_namespace: str
    pod_name: str  # this pod, in Events
    resync_s: float
    utc_now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """The result of a pass."""

    result: str  # `applied`, `unchanged`, `paused` or `stalled`
    next_in: float  # seconds to the next pass if no event comes before
    retry: bool = False  # something was refused: the next pass comes after a backoff


@dataclass(frozen=True, slots=True)
class _Desired:
    """The plan for one state of the agent and of the cluster."""

    digest: str  # of that state
    uid: str
    token: str
    wanted: WantedObjects
    revisions: Revisions
    warnings: tuple[str, ...]
    sinks: tuple[str, ...]
    merged: MergedFlags
    sources: tuple[str, ...]
    autoscaled: bool
    streaming: str
    replies: str


class Reconciler:
    """The passes over one agent, one after another."""

    def __init__(self, agent: AgentKey, context: Context) -> None:
        self.agent = agent
        self._context = context
        self._objects = OwnedObjects(
            agent,
            context.cluster,
            context.cache,
            context.owned_kinds,
            context.resync_s,
            on_contest=lambda kind: context.metrics.contests.labels(kind).inc(),
        )
        self._pod_annotations = PodAnnotations(agent[0], context.cluster)
        self._status = StatusWriter(agent, context.cluster, context.metrics, context.pod_name, context.utc_now)
        self._polls = PollSchedule()
        self._reports: dict[str, Report] = {}
        self._desired: _Desired | None = None
        # The watches listed all objects just now.
        self._list_at = self._next_listing(asyncio.get_running_loop().time())
        self._list_pods_at = 0.0
        self._server_errors = 0

    async def reconcile(self, body: Body) -> PassOutcome:
        """Make one pass over the agent's newest state. Raises `UnreachableError`, `RefusedError`. Cancelling is safe:
        the next pass repeats what is missing.
        """
        trace = PassTrace(self._context.tracer, {"k8s.namespace.name": self.agent[0], "batkol.agent": self.agent[1]})
        result = "failed"
        try:
            outcome = await self._pass(body, trace, asyncio.get_running_loop().time())
            result = outcome.result
            return outcome
        finally:
            trace.write(result)

    async def _pass(self, body: Body, trace: PassTrace, now: float) -> PassOutcome:
        if (body["metadata"].get("annotations") or {}).get(names.PAUSED) == "true":
            self._objects.pause()
            await self._status.write_paused(body, trace)
            return PassOutcome("paused", self._context.resync_s)
        generation = int(body["metadata"].get("generation", 0))
        try:
            desired = await self._plan(body, now)
        except SpecError as error:
            unusable = AgentProblem(
                "InvalidSpec", f"The operator cannot use the spec: {error} Nothing changes until the spec is corrected."
            )
            await self._status.write(body, self._facts(generation, None, unusable), trace, now)
            return PassOutcome("stalled", self._context.resync_s)
        self._status.begin_pass(body, generation, desired.revisions, now)
        problem = await self._apply(desired, trace, now)
        await self._poll_pods(desired, trace, now)
        facts = self._facts(generation, desired, problem)
        await self._pod_annotations.update(facts.pods, self._reports, desired.revisions, trace, now)
        await self._status.write(body, facts, trace, now)
        if problem is not None:
            return PassOutcome("stalled", self._context.resync_s, retry=True)
        times = (self._polls.deadline, self._status.deadline, self._objects.contests.deadline(now))
        due = min(time for time in times if time is not None)
        next_in = min(self._context.resync_s, max(0.0, due - now), self._look_again_s(desired))
        return PassOutcome("unchanged" if trace.idle else "applied", next_in)

    async def _plan(self, body: Body, now: float) -> _Desired:
        metadata, kinds = body["metadata"], await self._context.optional_kinds.present()
        flags = await self._feature_flags(body, kinds, now)
        marks = [dict(metadata.get(part) or {}) for part in ("labels", "annotations")]
        texts = {name: document.decode() for name, document in flags.items()}
        rollout = self._context.cache.view(self.agent).rollout
        pods = rollout.wanted if rollout else 0
        state = digest([metadata["uid"], metadata.get("generation"), *marks, sorted(kinds), texts, pods])
        if self._desired is None or self._desired.digest != state:
            agent = VoiceAgent.read(body)
            namespace, name = self.agent
            token = api_token(self._context.key, namespace=namespace, name=name, uid=agent.metadata.uid)
            documents = {name: json.loads(document) for name, document in flags.items()}
            cluster = ClusterFacts(self._context.image, token, kinds, self._context.operator_namespace, documents, pods)
            plan = self._context.plan(agent, cluster)
            self._desired = _Desired(
                digest=state,
                uid=agent.metadata.uid,
                token=token,
                wanted=WantedObjects.of(plan.objects),
                revisions=Revisions(plan.tuning_revision, plan.flags_revision, plan.reply_revision),
                warnings=plan.warnings,
                sinks=tuple(sink.name for sink in agent.spec.sinks),
                merged=plan.merged,
                sources=tuple(source.name for source in agent.spec.flags_from),
                autoscaled=plan.autoscaled,
                streaming=summary(agent.spec, plan.merged),
                replies=replies(agent.spec, plan.merged),
            )
        return self._desired

    async def _feature_flags(self, body: Body, kinds: frozenset[str], now: float) -> dict[str, bytes]:
        names_, cache = source_names(body), self._context.feature_flags
        if now >= self._list_at:
            cache.forget(self.agent[0], names_)
        return await read_sources(self.agent[0], names_, kinds, self._context.cluster, cache)

    def _look_again_s(self, desired: _Desired) -> float:
        """Return the seconds until FeatureFlags are looked for again if no event shows them."""
        if not desired.sources or self._context.feature_flags.watched:
            return math.inf
        self._context.optional_kinds.expect(FEATURE_FLAGS, LOOK_AGAIN_S)
        return LOOK_AGAIN_S

    async def _apply(self, desired: _Desired, trace: PassTrace, now: float) -> AgentProblem | None:
        try:
            if now >= self._list_at:
                await self._objects.list_all(await self._context.optional_kinds.absent(), trace)
                self._list_at = self._next_listing(now)
            # Two autoscalers of one Deployment block each other, and KEDA refuses to be the second one.
            await self._objects.prune(desired.wanted, desired.uid, trace, AUTOSCALERS)
            problem = await self._objects.apply(desired.wanted, trace, now)
            await self._objects.prune(desired.wanted, desired.uid, trace)
        except RefusedError as error:
            return AgentProblem(error.reason, str(error))
        except UnreachableError as error:
            self._server_errors += error.kind == "server"
            if error.kind != "server" or self._server_errors < SERVER_ERRORS_TOLERATED:
                raise
            return AgentProblem("ServerError", str(error))
        self._server_errors = 0
        return problem

    def _next_listing(self, now: float) -> float:
        return now + self._context.resync_s * RESYNCS_PER_LISTING * (1 - 0.1 * random.random())  # noqa: S311 -- jitter

    async def _poll_pods(self, desired: _Desired, trace: PassTrace, now: float) -> None:
        pods = self._pods()
        counted = counted_pods(pods)
        self._polls.expect((desired.revisions, frozenset((pod.uid, pod.ip, pod.ready) for pod in counted)), now)
        if not self._polls.due(now):
            return
        self._reports = await self._context.pod_client.fetch_reports(pods, desired.token)
        if any(isinstance(self._reports.get(pod.name), NoReport) for pod in counted) and now >= self._list_pods_at:
            # A watch that was down misses deleted pods; they would be polled for ever.
            self._list_pods_at = now + self._context.resync_s
            await self._objects.list_pods(trace)
        facts = self._facts(0, desired, None)
        # A pod without an address cannot answer yet; an event comes when it gets one.
        answering = sum(bool(pod.ip) for pod in counted_pods(facts.pods))
        self._polls.record(all_in_sync=len(pods_in_sync(facts)) >= answering, now=now)

    def _pods(self) -> tuple[PodState, ...]:
        return tuple(self._context.cache.view(self.agent).pods.values())

    def _facts(self, generation: int, desired: _Desired | None, problem: AgentProblem | None) -> Facts:
        return Facts(
            generation=generation,
            wanted=desired.revisions if desired else Revisions(),
            rollout=self._context.cache.view(self.agent).rollout,
            pods=self._pods(),
            reports=self._reports,
            problem=problem,
            warnings=desired.warnings if desired else (),
            sinks=desired.sinks if desired else (),
            merged=desired.merged if desired else MergedFlags(),
            sources=desired.sources if desired else (),
            autoscaled=desired.autoscaled if desired else False,
            autoscalers=tuple(self._context.cache.view(self.agent).autoscalers.values()),
            streaming=desired.streaming if desired else "",
            replies=desired.replies if desired else "",
            selector=names.selector_text(self.agent[1]),
            contests=self._objects.contests.going_on(asyncio.get_running_loop().time()),
        )
