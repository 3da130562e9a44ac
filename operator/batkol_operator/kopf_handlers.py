"""The handlers that kopf calls. They only wake the loops: kopf swallows a handler's error without a retry; loops retry.

All return None (a result would be written into the status and pruned by its schema) and have an `id` (kopf would take
the qualified name of a nested function, which is no name).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final

import kopf
import structlog
from lightkube.config.kubeconfig import SingleConfig

from batkol_operator.errors import LoopDiedError
from batkol_operator.kube.access import kopf_connection
from batkol_operator.kube.client import OwnedKinds
from batkol_operator.kube.kopf_session import KopfSessions
from batkol_operator.kube.names import AGENT, GROUP, PLURAL, VERSION
from batkol_operator.reconcile.liveness import LoopWatchdog
from batkol_operator.reconcile.loop import AgentLoop, error_location
from batkol_operator.reconcile.reconciler import Context
from batkol_operator.resources.flag_sources import FEATURE_FLAG, FEATURE_FLAGS
from batkol_operator.watch.cache import ObjectCache

log = structlog.get_logger()

PODS: Final = ("v1", "Pod", "pods")

LOOP_RESTART_DELAY_S: Final = 1.0
"""Seconds until a loop that died is started again. Passes that fail back off inside the loop."""

CANCELLATION_TIMEOUT_S: Final = 5.0
"""Seconds that a loop may take to end. It is cancelled, so it takes milliseconds."""


def registry(
    access: Callable[[], SingleConfig], context: Context, watchdog: LoopWatchdog, watched: OwnedKinds
) -> kopf.OperatorRegistry:
    """Return all handlers of one operator. `watched`: the owned kinds to watch, besides pods."""
    handlers = kopf.OperatorRegistry()
    sessions = KopfSessions()

    @kopf.on.login(registry=handlers, id="login")
    async def login(**_: Any) -> kopf.AiohttpSession:
        return sessions.session(await asyncio.to_thread(lambda: kopf_connection(access())))

    @kopf.on.probe(registry=handlers, id="progress")
    async def probe(**_: Any) -> None:
        why = watchdog.why_stuck(asyncio.get_running_loop().time())
        if why is not None:
            raise kopf.PermanentError(
                f"The operator makes no progress: {why}."
            )  # any other error is retried, and the probe hangs

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers, id="agent-changed")
    async def agent_changed(event: kopf.RawEvent, **_: Any) -> None:
        context.cache.observe_agent(event["object"], deleted=event["type"] == "DELETED")

    @kopf.daemon(GROUP, VERSION, PLURAL, registry=handlers, id="agent", cancellation_timeout=CANCELLATION_TIMEOUT_S)
    async def run_agent(
        body: kopf.Body, namespace: str | None, name: str, stopped: kopf.DaemonStopped, **_: Any
    ) -> None:
        loop = AgentLoop((str(namespace), name), lambda: body, context, watchdog)
        try:
            await _run_until_stopped(stopped, loop)
        except Exception as error:  # noqa: BLE001 -- the rim: every error is logged, and the loop is restarted
            # kopf restarts a daemon that raises, and never one that returns: the agent would stay without a loop.
            context.metrics.errors.labels("loop").inc()
            log.error(
                "[OPERATOR] agent loop died; the operator restarts it",
                namespace=namespace,
                agent=name,
                why=error_location(error),
            )
            raise kopf.TemporaryError(
                "the loop of this agent died; the operator restarts it", delay=LOOP_RESTART_DELAY_S
            ) from None

    _watch_objects(handlers, context, watched)
    return handlers


def _watch_objects(handlers: kopf.OperatorRegistry, context: Context, watched: OwnedKinds) -> None:
    for version, kind, plural in (PODS, *watched):
        _watch(handlers, context.cache, version, kind, plural)
    _watch_flags(handlers, context)


def _watch_flags(handlers: kopf.OperatorRegistry, context: Context) -> None:
    """Watch a kind that the cluster may lack. kopf begins when it comes, where it may watch the definitions."""
    version, _, plural = FEATURE_FLAG
    group, _, of = version.rpartition("/")

    @kopf.on.event(group, of, plural, registry=handlers, id=f"{plural}-changed")
    async def changed(event: kopf.RawEvent, **_: Any) -> None:
        body = event["object"]
        context.optional_kinds.expect(FEATURE_FLAGS)
        if context.feature_flags.observe(body, deleted=event["type"] == "DELETED"):
            context.cache.wake_namespace(str(body["metadata"].get("namespace", "")))


async def _run_until_stopped(stopped: kopf.DaemonStopped, loop: AgentLoop) -> None:
    running = asyncio.create_task(loop.run(), name="agent")
    stopping = asyncio.create_task(_wait_for_stop(stopped), name="agent stop")
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        ended = running.done()
    finally:
        stopping.cancel()
        running.cancel()
        await asyncio.wait({running, stopping})
    if not ended:
        return
    if running.cancelled():
        raise LoopDiedError("the loop's task was cancelled, although kopf did not stop the agent's daemon")
    running.result()  # the loop never returns: this raises the error that ended it


async def _wait_for_stop(stopped: kopf.DaemonStopped) -> None:
    await stopped.wait()


def _watch(handlers: kopf.OperatorRegistry, cache: ObjectCache, version: str, kind: str, plural: str) -> None:
    group, _, of = version.rpartition("/")

    @kopf.on.event(group, of, plural, registry=handlers, id=f"{plural}-changed")
    async def changed(event: kopf.RawEvent, **_: Any) -> None:
        # The items of a listing lack `apiVersion` and `kind`.
        body = {**event["object"], "apiVersion": version, "kind": kind}
        cache.observe(body, deleted=event["type"] == "DELETED")


def select_labelled(settings: kopf.OperatorSettings, watched: OwnedKinds) -> None:
    """Have the API server send only objects with our label: a handler's own `labels=` filters after they arrive."""
    for version, _, plural in (PODS, *watched):
        group, _, of = version.rpartition("/")
        settings.watching.label_selectors[group, of, plural] = AGENT


def kopf_settings(watched: OwnedKinds, *, peering: str | None, mandatory: bool, priority: int) -> kopf.OperatorSettings:
    """Return kopf's settings. Among peers the one with the highest priority works; the others wait."""
    settings = kopf.OperatorSettings()
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.watching.server_timeout, settings.watching.client_timeout = 300, 310
    settings.networking.request_timeout, settings.networking.connect_timeout = 30, 10
    settings.execution.default_backoff = 5
    settings.background.instant_exit_timeout = (
        1.0  # our daemons end at once when stopped; then kopf removes the finalizer at once
    )
    settings.posting.enabled = False  # the operator writes Events itself
    settings.peering.standalone = peering is None
    settings.peering.mandatory = mandatory
    settings.peering.name = peering or "none"
    settings.peering.priority = priority
    settings.peering.lifetime = 20
    settings.peering.stealth = True
    select_labelled(settings, watched)
    return settings


def watched_kinds(owned: OwnedKinds, unreadable: Collection[tuple[str, str]], absent: Collection[str]) -> OwnedKinds:
    """Return the owned kinds that can be watched. `absent`: kinds that the cluster lacks, as "group/Kind"."""
    return tuple(
        (version, kind, plural)
        for version, kind, plural in owned
        if (version, kind) not in unreadable and f"{version.rpartition('/')[0]}/{kind}" not in absent
    )
