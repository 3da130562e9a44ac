"""An agent in a quick API server, and all that one reconciler needs to look after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from opentelemetry.sdk.trace import TracerProvider

from batkol_operator.kopf_handlers import watched_kinds
from batkol_operator.kube.client import Cluster
from batkol_operator.kube.discovery import OptionalKinds
from batkol_operator.kube.names import API_VERSION, FIELD_MANAGER, GROUP, KIND, PLURAL
from batkol_operator.metrics import OperatorMetrics
from batkol_operator.pods.client import PodReports
from batkol_operator.reconcile.owned_objects import UNREADABLE
from batkol_operator.reconcile.reconciler import Context, PassOutcome, Reconciler
from batkol_operator.resources.flag_sources import FEATURE_FLAG, FEATURE_FLAGS
from batkol_operator.resources.plan import OPTIONAL_KINDS, OWNED_KINDS, plan
from batkol_operator.watch.cache import POD, ObjectCache
from batkol_operator.watch.feature_flags import FeatureFlagCache
from support.kube.api import KubeApi
from support.kube.front import ApiFront
from support.kube.memory_api import MemoryApi
from support.kube.store import Change, Key, Manifest, merge
from support.operators.pods import MemoryPods

NAMESPACE: Final = "voices"
NAME: Final = "clinic"
AGENT: Final = Key(GROUP, PLURAL, NAMESPACE, NAME)
DEPLOYMENT: Final = Key("apps", "deployments", NAMESPACE, NAME)
LIVE: Final = Key("", "configmaps", NAMESPACE, f"{NAME}-live")


def voice_agent(name: str = NAME, **spec: Any) -> Manifest:
    """Write an agent with the least of a spec, and `spec` on top."""
    least: Manifest = {
        "twilio": {
            "publicBaseUrl": "https://calls.example.com",
            "authTokenSecretRef": {"name": "twilio", "key": "token"},
        }
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": merge(least, spec),
    }


@dataclass
class Desk:
    """One agent, one reconciler, one API server. The watches are the store's own."""

    api: ApiFront
    context: Context
    reconciler: Reconciler
    clock: Clock

    def create(self, **spec: Any) -> Manifest:
        """Create the agent."""
        return self.api.store.create(AGENT, voice_agent(**spec))

    def patch(self, key: Key = AGENT, /, subresource: str = "", **what: Any) -> Manifest:
        """Merge something into an object, as `kubectl patch` does."""
        return self.api.store.change(key, subresource, lambda old: merge(old, what))

    async def reconcile(self) -> PassOutcome:
        """Make one pass, a second after the one before."""
        self.clock.at += timedelta(seconds=1)
        await asyncio.sleep(0)  # what the watches have brought is taken in first
        self.api.seen.clear()
        return await self.reconciler.reconcile(self.api.store.get(AGENT))

    @property
    def status(self) -> Manifest:
        """The agent's status."""
        status: Manifest = self.api.store.get(AGENT).get("status", {})
        return status

    def condition(self, type_: str) -> Manifest:
        """One of its conditions."""
        found: Manifest = next(each for each in self.status["conditions"] if each["type"] == type_)
        return found

    @property
    def events(self) -> list[str]:
        """The reasons of all Events so far."""
        return [event["reason"] for event in self.api.store.find("", "events")]

    def roll_out(self, ready: int = 1) -> None:
        """Play the Deployment's controller: so many pods are there and ready."""
        generation = self.api.store.get(DEPLOYMENT)["metadata"]["generation"]
        status = {
            "observedGeneration": generation,
            "replicas": ready,
            "updatedReplicas": ready,
            "readyReplicas": ready,
            "conditions": [{"type": "Available", "status": "True" if ready else "False"}],
        }
        self.patch(DEPLOYMENT, subresource="status", status=status)

    def pod(self, name: str, ip: str = "", **status: Any) -> Key:
        """Play the ReplicaSet's controller and the kubelet: a pod is there, and has this status."""
        key = Key("", "pods", NAMESPACE, name)
        template = self.api.store.get(DEPLOYMENT)["spec"]["template"]["metadata"]["labels"]
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": template},
        }
        self.api.store.create(key, body)
        ready = {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]}
        self.patch(key, subresource="status", status={**ready, **status})
        return key


@asynccontextmanager
async def desk(
    api: KubeApi | MemoryApi, *, pods: PodReports | None = None, resync_s: float = 60.0, key: bytes = b"k" * 32
) -> AsyncIterator[Desk]:
    """Set up a reconciler. Its wall clock stands still but for a second with each pass. `pods`: none by default."""
    clock = Clock()
    async with context_of(api, pods or MemoryPods(), clock, resync_s=resync_s, key=key) as context:
        watched = watched_kinds(OWNED_KINDS, UNREADABLE, await context.optional_kinds.absent())
        plurals = {plural: (version, kind) for version, kind, plural in (("v1", "Pod", "pods"), *watched)}

        def bring(change: Change) -> None:
            version, kind = plurals[change.key.plural]
            body = {**change.object, "apiVersion": version, "kind": kind}
            context.cache.observe(body, deleted=change.type == "DELETED")

        loop = asyncio.get_running_loop()
        call = loop.call_soon if isinstance(api, MemoryApi) else loop.call_soon_threadsafe

        def follow(change: Change) -> None:
            if change.key.plural in plurals:
                call(bring, change)
            elif change.key.plural == "featureflags" and context.feature_flags.watched:
                call(lambda: context.feature_flags.observe(change.object, deleted=change.type == "DELETED"))

        made = Desk(api.front, context, Reconciler((NAMESPACE, NAME), context), clock)
        api.front.followers.append(follow)
        try:
            yield made
        finally:
            api.front.followers.remove(follow)


@dataclass
class Clock:
    """A wall clock that a test moves."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def context_of(
    api: KubeApi | MemoryApi, pods: PodReports, clock: Clock, *, resync_s: float = 60.0, key: bytes = b"k" * 32
) -> AsyncIterator[Context]:
    """Set up what the reconcilers of one operator share, as `bootstrap` does."""
    metrics = OperatorMetrics()
    made = Cluster(
        api.access,
        (*OWNED_KINDS, FEATURE_FLAG),
        on_request=lambda verb: metrics.requests.labels(verb).inc(),
        transport=api if isinstance(api, MemoryApi) else None,
    )
    async with made as cluster:
        kinds = OptionalKinds(cluster, OPTIONAL_KINDS | {FEATURE_FLAGS})
        watched = watched_kinds(OWNED_KINDS, UNREADABLE, await kinds.absent())
        yield Context(
            cluster=cluster,
            cache=ObjectCache([POD, *((version, kind) for version, kind, _ in watched)]),
            feature_flags=FeatureFlagCache(watched=FEATURE_FLAGS in await kinds.present()),
            pod_client=pods,
            plan=plan,
            owned_kinds=OWNED_KINDS,
            optional_kinds=kinds,
            metrics=metrics,
            tracer=TracerProvider(shutdown_on_exit=False).get_tracer("test"),
            key=key,
            image="registry.example.com/batkol:1",
            operator_namespace="batkol",
            pod_name=FIELD_MANAGER,
            resync_s=resync_s,
            utc_now=lambda: clock.at,
        )
