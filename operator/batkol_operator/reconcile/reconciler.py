"""One pass over one agent: read, plan, apply, prune, ask the pods, write what was found.

A pass is complete in itself and may be cut off anywhere: the next one, of this process or another, begins from what is
wanted and what is there. What is kept between passes only spares requests, and dates conditions.
"""

from __future__ import annotations

import asyncio
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
from batkol_operator.pods.api_token import api_token
from batkol_operator.pods.client import PodQuestions, Report, Silence
from batkol_operator.pods.poll_schedule import Asking
from batkol_operator.reconcile.owned_objects import Children, Wanted
from batkol_operator.reconcile.pod_annotations import Marking
from batkol_operator.resources.flags import summary
from batkol_operator.resources.plan import Plan, Surroundings
from batkol_operator.status.judge import AgentProblem, Facts, Revisions, counted_pods, pods_in_sync
from batkol_operator.status.writer import Reporting
from batkol_operator.tracing import PassTrace
from batkol_operator.watch.cache import AgentKey, ObjectCache
from batkol_operator.watch.object_state import Body, PodState, digest

PATIENCE: Final = 5
"""Passes in a row that the server may fail with a 5xx before the agent says so: by then it is no hiccup."""

LOOK_EVERY: Final = 10
"""In resyncs: how often everything is listed and applied anew, should a watch have missed something. Less up to a
tenth by lot.
"""


@dataclass(frozen=True, slots=True)
class Means:
    """What all reconcilers of a process share."""

    cluster: Cluster
    seen: ObjectCache
    questions: PodQuestions
    plan: Callable[[VoiceAgent, Surroundings], Plan]
    owned: OwnedKinds
    kinds: OptionalKinds
    metrics: OperatorMetrics
    tracer: Tracer
    key: bytes
    image: str
    operator_namespace: str
    reporter: str  # this pod, in Events
    resync_s: float
    wall: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """How a pass ended."""

    result: str  # `applied`, `unchanged`, `paused` or `stalled`
    next_in: float  # seconds to the next pass, if nothing happens before
    again: bool = False  # it did not get all it wanted: come back by the rules of backing off


@dataclass(frozen=True, slots=True)
class _Desired:
    """The plan for one state of the agent, and of the cluster."""

    of: str
    uid: str
    token: str
    wanted: Wanted
    revisions: Revisions
    warnings: tuple[str, ...]
    streaming: str


class Reconciler:
    """The passes over one agent, one after the other."""

    def __init__(self, agent: AgentKey, means: Means) -> None:
        self.agent = agent
        self._means = means
        self._children = Children(agent, means.cluster, means.seen, means.owned, means.resync_s)
        self._marking = Marking(agent[0], means.cluster)
        self._reporting = Reporting(agent, means.cluster, means.metrics, means.reporter, means.wall)
        self._asking = Asking()
        self._reports: dict[str, Report] = {}
        self._desired: _Desired | None = None
        # The watches have only just listed everything.
        self._look_at = self._next_look(asyncio.get_running_loop().time())
        self._pods_looked_at = 0.0
        self._unable = 0

    async def reconcile(self, body: Body) -> PassOutcome:
        """Make one pass over the agent as it stands. Raises `UnreachableError`. Cancelling it loses nothing that
        counts.
        """
        trace = PassTrace(self._means.tracer, {"k8s.namespace.name": self.agent[0], "batkol.agent": self.agent[1]})
        result = "failed"
        try:
            outcome = await self._pass(body, trace, asyncio.get_running_loop().time())
            result = outcome.result
            return outcome
        finally:
            trace.write(result)

    async def _pass(self, body: Body, trace: PassTrace, now: float) -> PassOutcome:
        if (body["metadata"].get("annotations") or {}).get(names.PAUSED) == "true":
            await self._reporting.report_paused(body, trace)
            return PassOutcome("paused", self._means.resync_s)
        generation = int(body["metadata"].get("generation", 0))
        try:
            desired = await self._plan(body)
        except SpecError as error:
            unusable = AgentProblem(
                "InvalidSpec", f"The spec cannot be used: {error} Nothing changes until it is put right."
            )
            await self._reporting.report(body, self._facts(generation, None, unusable), trace, now)
            return PassOutcome("stalled", self._means.resync_s)
        self._reporting.begin(body, generation, desired.revisions, now)
        problem = await self._bring(desired, trace, now)
        await self._ask(desired, trace, now)
        facts = self._facts(generation, desired, problem)
        await self._marking.mark(facts.pods, self._reports, desired.revisions, trace, now)
        await self._reporting.report(body, facts, trace, now)
        if problem is not None:
            return PassOutcome("stalled", self._means.resync_s, again=True)
        due = min(self._asking.deadline, self._reporting.deadline or self._asking.deadline)
        next_in = min(self._means.resync_s, max(0.0, due - now))
        return PassOutcome("unchanged" if trace.idle else "applied", next_in)

    async def _plan(self, body: Body) -> _Desired:
        metadata, kinds = body["metadata"], await self._means.kinds.present()
        marks = [dict(metadata.get(part) or {}) for part in ("labels", "annotations")]
        of = digest([metadata["uid"], metadata.get("generation"), *marks, sorted(kinds)])
        if self._desired is None or self._desired.of != of:
            agent = VoiceAgent.read(body)
            namespace, name = self.agent
            token = api_token(self._means.key, namespace=namespace, name=name, uid=agent.metadata.uid)
            around = Surroundings(self._means.image, token, kinds, self._means.operator_namespace)
            plan = self._means.plan(agent, around)
            self._desired = _Desired(
                of=of,
                uid=agent.metadata.uid,
                token=token,
                wanted=Wanted.of(plan.objects),
                revisions=Revisions(plan.tuning_revision, plan.flags_revision),
                warnings=plan.warnings,
                streaming=summary(agent.spec),
            )
        return self._desired

    async def _bring(self, desired: _Desired, trace: PassTrace, now: float) -> AgentProblem | None:
        try:
            if now >= self._look_at:
                await self._children.look(await self._means.kinds.absent(), trace)
                self._look_at = self._next_look(now)
            problem = await self._children.apply(desired.wanted, trace, now)
            await self._children.prune(desired.wanted, desired.uid, trace)
        except RefusedError as error:
            return AgentProblem(error.reason, str(error))
        except UnreachableError as error:
            self._unable += error.kind == "server"
            if error.kind != "server" or self._unable < PATIENCE:
                raise
            return AgentProblem("ServerError", str(error))
        self._unable = 0
        return problem

    def _next_look(self, now: float) -> float:
        return now + self._means.resync_s * LOOK_EVERY * (1 - 0.1 * random.random())  # noqa: S311 -- spreads load

    async def _ask(self, desired: _Desired, trace: PassTrace, now: float) -> None:
        pods = self._pods()
        counted = counted_pods(pods)
        self._asking.want((desired.revisions, frozenset((pod.uid, pod.ip, pod.ready) for pod in counted)), now)
        if not self._asking.due(now):
            return
        self._reports = await self._means.questions.ask(pods, desired.token)
        if any(isinstance(self._reports.get(pod.name), Silence) for pod in counted) and now >= self._pods_looked_at:
            # A watch that was down does not tell which pods went meanwhile; they would be asked for ever.
            self._pods_looked_at = now + self._means.resync_s
            await self._children.look_at_pods(trace)
        facts = self._facts(0, desired, None)
        # One without an address cannot answer yet; getting one is an event.
        answering = sum(bool(pod.ip) for pod in counted_pods(facts.pods))
        self._asking.asked(all_in_sync=len(pods_in_sync(facts)) >= answering, now=now)

    def _pods(self) -> tuple[PodState, ...]:
        return tuple(self._means.seen.of(self.agent).pods.values())

    def _facts(self, generation: int, desired: _Desired | None, problem: AgentProblem | None) -> Facts:
        return Facts(
            generation=generation,
            wanted=desired.revisions if desired else Revisions(),
            rollout=self._means.seen.of(self.agent).rollout,
            pods=self._pods(),
            reports=self._reports,
            problem=problem,
            warnings=desired.warnings if desired else (),
            streaming=desired.streaming if desired else "",
            selector=names.selector_text(self.agent[1]),
        )
