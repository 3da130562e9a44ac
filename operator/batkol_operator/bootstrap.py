"""Puts an operator together out of its settings, and runs it until it is told to stop."""

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
from batkol_operator.pods.client import PodQuestions
from batkol_operator.reconcile.liveness import LoopWatchdog
from batkol_operator.reconcile.owned_objects import UNREADABLE
from batkol_operator.reconcile.reconciler import Means
from batkol_operator.resources.plan import OPTIONAL_KINDS, OWNED_KINDS, Plan, Surroundings, plan
from batkol_operator.settings import OperatorSettings
from batkol_operator.tracing import tracer_provider
from batkol_operator.watch.cache import POD, ObjectCache
from batkol_otel.environment import mend

log = structlog.get_logger()

PEERING: Final = "kopf.dev/v1"


@dataclass(frozen=True, slots=True)
class Choices:
    """What a test may choose otherwise."""

    access: Callable[[], SingleConfig] = read_access
    plan: Callable[[VoiceAgent, Surroundings], Plan] = plan
    owned: OwnedKinds = OWNED_KINDS
    metrics: OperatorMetrics = field(default_factory=OperatorMetrics)
    progress: LoopWatchdog = field(default_factory=LoopWatchdog)
    ready: asyncio.Event | None = None  # set when the handlers are about to be served
    otel_ignored: Mapping[str, str] = field(default_factory=dict)  # what `mend` said before the imports


async def operate(settings: OperatorSettings, choices: Choices, stop: asyncio.Event | None = None) -> None:
    """Run an operator until `stop`, or a signal where this is the main thread. Raises `OperatorError` if it cannot
    start.
    """
    async with AsyncExitStack() as stack:
        means, watched = await _means(settings, choices, stack)
        if settings.metrics_port:
            choices.metrics.serve(settings.metrics_port)
        tuned = kopf_settings(
            watched,
            peering=settings.peering,
            mandatory=await _peering_stands(means.cluster, settings),
            priority=time.time_ns() // 1000,  # the newest wins: a rollout hands over at once
        )
        tuned.scanning.disabled = bool(settings.watch_namespaces)
        log.info("[OPERATOR] operator started", namespaces=settings.watch_namespaces or "all", pod=settings.pod_name)
        await kopf.operator(
            registry=registry(choices.access, means, choices.progress, watched),
            settings=tuned,
            clusterwide=not settings.watch_namespaces,
            namespaces=settings.watch_namespaces,
            liveness_endpoint=f"http://0.0.0.0:{settings.liveness_port}/livez" if settings.liveness_port else None,
            stop_flag=stop,
            ready_flag=choices.ready,
        )


async def _means(settings: OperatorSettings, choices: Choices, stack: AsyncExitStack) -> tuple[Means, OwnedKinds]:
    """Make what every reconciler works with, and say which kinds of children there are to watch; `stack` ends it."""
    key, metrics = settings.key(), choices.metrics
    provider = tracer_provider(settings.pod_name, {**choices.otel_ignored, **mend()})
    stack.callback(provider.shutdown)
    made = Cluster(
        choices.access(),
        choices.owned,
        at_once=settings.api_concurrency,
        count=lambda verb: metrics.requests.labels(verb).inc(),
    )
    cluster = await stack.enter_async_context(made)
    kinds = OptionalKinds(cluster, OPTIONAL_KINDS)
    watched = watched_kinds(choices.owned, UNREADABLE, await kinds.absent())
    means = Means(
        cluster=cluster,
        seen=ObjectCache([POD, *((version, kind) for version, kind, _ in watched)]),
        questions=await stack.enter_async_context(PodQuestions(settings.pod_port)),
        plan=choices.plan,
        owned=choices.owned,
        kinds=kinds,
        metrics=metrics,
        tracer=provider.get_tracer("batkol_operator"),
        key=key,
        image=settings.service_image,
        operator_namespace=settings.pod_namespace,
        reporter=settings.pod_name,
        resync_s=settings.resync_s,
        wall=lambda: datetime.now(UTC),
    )
    return means, watched


async def _peering_stands(cluster: Cluster, settings: OperatorSettings) -> bool:
    """Whether the chart's peering objects are there. Only then may they be mandatory: kopf would wait for them for
    ever.
    """
    if settings.peering is None:
        return False
    if settings.watch_namespaces:
        found = [
            await cluster.has(PEERING, "kopfpeerings", settings.peering, namespace)
            for namespace in settings.watch_namespaces
        ]
    else:
        found = [await cluster.has(PEERING, "clusterkopfpeerings", settings.peering)]
    if not all(found):
        log.warning(
            "[OPERATOR] peering is off",
            name=settings.peering,
            consequence="run one replica only; the chart makes the peering",
        )
    return all(found)
