"""The handlers that kopf calls. They only wake: kopf swallows an error in one of them and does not retry; the loops do.

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
from batkol_operator.kube.access import connection
from batkol_operator.kube.client import OwnedKinds
from batkol_operator.kube.names import AGENT, GROUP, PLURAL, VERSION
from batkol_operator.reconcile.liveness import LoopWatchdog
from batkol_operator.reconcile.loop import AgentLoop, where
from batkol_operator.reconcile.reconciler import Means
from batkol_operator.watch.cache import ObjectCache

log = structlog.get_logger()

PODS: Final = ("v1", "Pod", "pods")

AGAIN_S: Final = 1.0
"""Seconds after which a loop that died is started again: it backs off by itself when passes fail."""

LEAVE_S: Final = 5.0
"""How long a loop may take to end. It is cancelled, so it takes milliseconds."""


def registry(
    access: Callable[[], SingleConfig], means: Means, progress: LoopWatchdog, watched: OwnedKinds
) -> kopf.OperatorRegistry:
    """Return all handlers of one operator. `watched`: the kinds of children to be told about, pods beside them."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers, id="login")
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await asyncio.to_thread(lambda: connection(access()))

    @kopf.on.probe(registry=handlers, id="progress")
    async def probe(**_: Any) -> None:
        why = progress.why_stuck(asyncio.get_running_loop().time())
        if why is not None:
            raise kopf.PermanentError(
                f"The operator is stuck: {why}."
            )  # any other error is retried, and the probe hangs

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers, id="agent-changed")
    async def agent_changed(event: kopf.RawEvent, **_: Any) -> None:
        means.seen.observe_agent(event["object"], deleted=event["type"] == "DELETED")

    @kopf.daemon(GROUP, VERSION, PLURAL, registry=handlers, id="agent", cancellation_timeout=LEAVE_S)
    async def tend(body: kopf.Body, namespace: str | None, name: str, stopped: kopf.DaemonStopped, **_: Any) -> None:
        loop = AgentLoop((str(namespace), name), lambda: body, means, progress)
        try:
            await _until(stopped, loop)
        except Exception as error:  # noqa: BLE001 -- the rim: whatever it was, it is told of and tried again
            # kopf starts a daemon again that raises, and leaves one alone that returns: one agent would be forgotten.
            means.metrics.errors.labels("loop").inc()
            log.error(
                "[OPERATOR] agent loop died; the operator restarts it",
                namespace=namespace,
                agent=name,
                why=where(error),
            )
            raise kopf.TemporaryError("the loop of this agent died", delay=AGAIN_S) from None

    for version, kind, plural in (PODS, *watched):
        _watch(handlers, means.seen, version, kind, plural)
    return handlers


async def _until(stopped: kopf.DaemonStopped, loop: AgentLoop) -> None:
    running = asyncio.create_task(loop.run(), name="agent")
    told = asyncio.create_task(_wait_for_stop(stopped), name="agent told to stop")
    try:
        await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
        ended = running.done()
    finally:
        told.cancel()
        running.cancel()
        await asyncio.wait({running, told})
    if not ended:
        return
    if running.cancelled():
        raise LoopDiedError("it was cancelled, and nobody had told it to stop")
    running.result()  # it never returns: this raises what it died of


async def _wait_for_stop(stopped: kopf.DaemonStopped) -> None:
    await stopped.wait()


def _watch(handlers: kopf.OperatorRegistry, seen: ObjectCache, version: str, kind: str, plural: str) -> None:
    group, _, of = version.rpartition("/")

    @kopf.on.event(group, of, plural, registry=handlers, id=f"{plural}-changed")
    async def changed(event: kopf.RawEvent, **_: Any) -> None:
        # The items of a listing do not say what they are.
        body = {**event["object"], "apiVersion": version, "kind": kind}
        seen.observe(body, deleted=event["type"] == "DELETED")


def select_ours(settings: kopf.OperatorSettings, watched: OwnedKinds) -> None:
    """Have the API server send only what carries our label. A handler's own `labels=` would filter here, after the
    fact.
    """
    for version, _, plural in (PODS, *watched):
        group, _, of = version.rpartition("/")
        settings.watching.label_selectors[group, of, plural] = AGENT


def kopf_settings(watched: OwnedKinds, *, peering: str | None, mandatory: bool, priority: int) -> kopf.OperatorSettings:
    """Return kopf's settings. Among peers the highest priority works; the others wait, and it is never a tie."""
    settings = kopf.OperatorSettings()
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.watching.server_timeout, settings.watching.client_timeout = 300, 310
    settings.networking.request_timeout, settings.networking.connect_timeout = 30, 10
    settings.execution.default_backoff = 5
    settings.background.instant_exit_timeout = (
        1.0  # our daemons end as soon as they are told; then the finalizer goes at once
    )
    settings.posting.enabled = False  # Events are ours to write
    settings.peering.standalone = peering is None
    settings.peering.mandatory = mandatory
    settings.peering.name = peering or "none"
    settings.peering.priority = priority
    settings.peering.lifetime = 20
    settings.peering.stealth = True
    select_ours(settings, watched)
    return settings


def watched_kinds(owned: OwnedKinds, unreadable: Collection[tuple[str, str]], absent: Collection[str]) -> OwnedKinds:
    """Return those of our kinds that there is something to be told about. `absent`: as "group/Kind"."""
    return tuple(
        (version, kind, plural)
        for version, kind, plural in owned
        if (version, kind) not in unreadable and f"{version.rpartition('/')[0]}/{kind}" not in absent
    )
