"""The operator's composition root: builds every part from the settings, and runs kopf until it stops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import kopf
import structlog
from lightkube.config.kubeconfig import SingleConfig

from batkol_operator.kopf_handlers import kopf_settings, registry, watched_kinds
from batkol_operator.kube.access import read_access
from batkol_operator.kube.client import Cluster, OwnedKinds
from batkol_operator.kube.discovery import OptionalKinds
from batkol_operator.metrics import OperatorMetrics
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.pods.client import PodClient
from batkol_operator.reconcile.liveness import LoopWatchdog
from batkol_operator.reconcile.owned_objects import UNREADABLE
from batkol_operator.reconcile.reconciler import Context
from batkol_operator.resources.flag_sources import FEATURE_FLAG, FEATURE_FLAGS
from batkol_operator.resources.plan import OPTIONAL_KINDS, OWNED_KINDS, ClusterFacts, Plan, plan
from batkol_operator.settings import OperatorSettings
from batkol_operator.tracing import tracer_provider
from batkol_operator.watch.cache import POD, ObjectCache
from batkol_operator.watch.feature_flags import FeatureFlagCache
from batkol_otel.environment import mend

log = structlog.get_logger()

PEERING: Final = "kopf.dev/v1"


@dataclass(frozen=True, slots=True)
class Overrides:
    """Parts that a test replaces; the defaults are the operator's own."""

    access: Callable[[], SingleConfig] = read_access
    plan: Callable[[VoiceAgent, ClusterFacts], Plan] = plan
    owned_kinds: OwnedKinds = OWNED_KINDS
    metrics: OperatorMetrics = field(default_factory=OperatorMetrics)
    watchdog: LoopWatchdog = field(default_factory=LoopWatchdog)
    ready: asyncio.Event | None = None  # set when the handlers are about to be served
    otel_ignored: Mapping[str, str] = field(
        default_factory=dict
    )  # variables that `mend` removed before the imports, with the reason


async def run_operator(settings: OperatorSettings, overrides: Overrides, stop: asyncio.Event | None = None) -> None:
    """Run an operator until `stop`, or a signal where this is the main thread. Raises `OperatorError` if it cannot
    start.
    """
    async with AsyncExitStack() as stack:
        context, watched = await _build_context(settings, overrides, stack)
        if settings.metrics_port:
            overrides.metrics.serve(settings.metrics_port)
        kopf_options = kopf_settings(
            watched,
            peering=settings.peering,
            mandatory=await _has_peering_objects(context.cluster, settings),
            priority=time.time_ns()
            // 1000,  # the newest operator gets the highest priority: a rollout hands over at once
        )
        kopf_options.scanning.disabled = bool(settings.watch_namespaces)
        log.info("[OPERATOR] operator started", namespaces=settings.watch_namespaces or "all", pod=settings.pod_name)
        await kopf.operator(
            registry=registry(overrides.access, context, overrides.watchdog, watched),
            settings=kopf_options,
            clusterwide=not settings.watch_namespaces,
            namespaces=settings.watch_namespaces,
            liveness_endpoint=f"http://0.0.0.0:{settings.liveness_port}/livez" if settings.liveness_port else None,
            stop_flag=stop,
            ready_flag=overrides.ready,
        )


async def _build_context(
    settings: OperatorSettings, overrides: Overrides, stack: AsyncExitStack
) -> tuple[Context, OwnedKinds]:
    """Build what all reconcilers share; return it with the kinds to watch. `stack` closes it."""
    key, metrics = settings.key(), overrides.metrics
    provider = tracer_provider(settings.pod_name, {**overrides.otel_ignored, **mend()})
    stack.callback(provider.shutdown)
    made = Cluster(
        overrides.access(),
        (*overrides.owned_kinds, FEATURE_FLAG),
        concurrency=settings.api_concurrency,
        on_request=lambda verb: metrics.requests.labels(verb).inc(),
    )
    cluster = await stack.enter_async_context(made)
    kinds = OptionalKinds(cluster, OPTIONAL_KINDS | {FEATURE_FLAGS})
    watched = watched_kinds(overrides.owned_kinds, UNREADABLE, await kinds.absent())
    context = Context(
        cluster=cluster,
        cache=ObjectCache([POD, *((version, kind) for version, kind, _ in watched)]),
        feature_flags=FeatureFlagCache(watched=FEATURE_FLAGS in await kinds.present()),
        pod_client=await stack.enter_async_context(PodClient(settings.pod_port)),
        plan=overrides.plan,
        owned_kinds=overrides.owned_kinds,
        optional_kinds=kinds,
        metrics=metrics,
        tracer=provider.get_tracer("batkol_operator"),
        key=key,
        image=settings.service_image,
        operator_namespace=settings.pod_namespace,
        pod_name=settings.pod_name,
        resync_s=settings.resync_s,
        utc_now=lambda: datetime.now(UTC),
    )
    return context, watched


async def _has_peering_objects(cluster: Cluster, settings: OperatorSettings) -> bool:
    """Whether the chart's peering objects exist. Only then may they be mandatory: kopf waits for missing ones for
    ever.
    """
    if settings.peering is None:
        return False
    if settings.watch_namespaces:
        found = [
            await cluster.exists(PEERING, "kopfpeerings", settings.peering, namespace)
            for namespace in settings.watch_namespaces
        ]
    else:
        found = [await cluster.exists(PEERING, "clusterkopfpeerings", settings.peering)]
    if not all(found):
        log.warning(
            "[OPERATOR] peering is off: the cluster has no peering object of this name",
            name=settings.peering,
            remedy="run one replica only, or install the chart's peering object",
        )
    return all(found)
