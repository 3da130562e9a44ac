"""The operator's handlers, called as kopf calls them but in virtual time: kopf itself needs sockets and threads.

From kopf, as its sources have it: each kind is listed, then watched; a watch that ends goes on from the last version,
and is listed again at a 410, where nothing says what was deleted meanwhile. An agent is held by a finalizer, then has a
daemon: it gets a live body, is stopped when the agent goes or another operator leads, and is tried again at an error.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import kopf
from kopf._core.intents.stoppers import DaemonStopper, DaemonStoppingReason

from batkol_operator.kopf_handlers import registry, watched_kinds
from batkol_operator.kube.names import FINALIZER, GROUP, PLURAL
from batkol_operator.reconcile.liveness import LoopWatchdog
from batkol_operator.reconcile.owned_objects import UNREADABLE
from batkol_operator.reconcile.reconciler import Context
from batkol_operator.resources.plan import OWNED_KINDS
from support.kube.front import ApiFront, ApiRequest
from support.kube.store import Change, Key, Manifest, RefusalError

RECONNECT_S: Final = 0.1


@dataclass
class _Daemon:
    body: kopf.Body
    stopper: DaemonStopper
    task: asyncio.Task[None]


@dataclass
class Handling:
    """One operator's handlers at work while `run` runs. `delay()`: seconds until an event of a watch arrives."""

    front: ApiFront
    context: Context
    delay: Callable[[], float] = lambda: 0.0
    watchdog: LoopWatchdog = field(default_factory=LoopWatchdog)
    daemons: dict[Key, _Daemon] = field(default_factory=dict)
    leads: asyncio.Event = field(default_factory=asyncio.Event)
    _leave: asyncio.Event = field(default_factory=asyncio.Event)
    _run_agent: Any = None

    def lead(self) -> None:
        """Have it work: no peer has a higher priority."""
        self._leave.clear()
        self.leads.set()

    def follow(self) -> None:
        """Have it let go: a peer with a higher priority has come."""
        self.leads.clear()
        self._leave.set()

    async def run(self) -> None:
        """Watch whenever it leads, until cancelled."""
        watched = watched_kinds(OWNED_KINDS, UNREADABLE, await self.context.optional_kinds.absent())
        handlers = registry(lambda: None, self.context, self.watchdog, watched)  # type: ignore[arg-type,return-value]
        by_id: dict[str, Any] = {str(each.id): each.fn for each in handlers._watching.get_all_handlers()}
        (self._run_agent,) = [each.fn for each in handlers._spawning.get_all_handlers()]
        kinds = [("v1", "Pod", "pods"), *watched]
        while True:
            await self.leads.wait()
            jobs = [(Key(GROUP, PLURAL, "", ""), "", by_id["agent-changed"], self._of_agent)] + [
                (Key(version.rpartition("/")[0], plural, "", ""), "batkol.dev/agent", by_id[f"{plural}-changed"], None)
                for version, _, plural in kinds
            ]
            if flags_changed := by_id.get("featureflags-changed"):
                jobs.append((Key("core.openfeature.dev", "featureflags", "", ""), "", flags_changed, None))
            watches = [asyncio.create_task(self._watch(*job)) for job in jobs]
            leaving = asyncio.create_task(self._leave.wait())
            try:
                await asyncio.wait([*watches, leaving], return_when=asyncio.FIRST_COMPLETED)
                broken = [task for task in watches if task.done()]
            finally:
                for task in (*watches, leaving):
                    task.cancel()
                await asyncio.wait([*watches, leaving])
                await asyncio.gather(
                    *(self._stop(key, DaemonStoppingReason.OPERATOR_PAUSING) for key in list(self.daemons))
                )
            for task in broken:
                task.result()

    async def _watch(self, key: Key, selector: str, handler: Any, then: Any) -> None:
        while True:
            try:
                listed = self.front.answer(ApiRequest("GET", key, params={"labelSelector": selector}))
            except RefusalError:
                await asyncio.sleep(1)
                continue
            for item in listed["items"]:
                await self._bring(None, key, item, handler, then)
            after = int(listed["metadata"]["resourceVersion"])
            with contextlib.suppress(RefusalError):  # 410: all is listed again
                while True:
                    after = await self._follow(key, selector, after, handler, then)
                    await asyncio.sleep(RECONNECT_S)

    async def _follow(self, key: Key, selector: str, after: int, handler: Any, then: Any) -> int:
        """Handle a watch's events until it ends; return the last version."""
        self.front.authorize(key, "watch")
        news, ended, at = asyncio.Event(), self.front.watches_ended, 0

        def told(_: Change) -> None:
            news.set()

        self.front.followers.append(told)
        try:
            while True:
                news.clear()
                changes, at = self.front.changes(key, selector, at, after)
                for change in changes:
                    await asyncio.sleep(self.delay())
                    if ended != self.front.watches_ended:
                        return after
                    await self._bring(change.type, key, change.object, handler, then)
                    after = change.version
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):  # a watch that has ended is seen to have
                        await news.wait()
                if ended != self.front.watches_ended:
                    return after
        finally:
            self.front.followers.remove(told)

    async def _bring(self, type_: str | None, kind: Key, body: Manifest, handler: Any, then: Any) -> None:
        await handler(event={"type": type_, "object": body})
        if then is not None:
            key = kind._replace(namespace=body["metadata"]["namespace"], name=body["metadata"]["name"])
            await then(type_, key, body)

    async def _of_agent(self, type_: str | None, key: Key, body: Manifest) -> None:
        daemon = self.daemons.get(key)
        if daemon is not None:
            daemon.body._replace_with(body)
        if type_ == "DELETED":
            await self._stop(key, DaemonStoppingReason.RESOURCE_DELETED)
        elif "deletionTimestamp" in body["metadata"]:
            await self._stop(key, DaemonStoppingReason.RESOURCE_DELETED)
            self._hold(key, [])
        elif FINALIZER not in body["metadata"].get("finalizers", ()):
            self._hold(key, [FINALIZER])
        elif daemon is None:
            live, stopper = kopf.Body(body), DaemonStopper()  # type: ignore[arg-type]
            self.daemons[key] = _Daemon(live, stopper, asyncio.create_task(self._keep(key, live, stopper)))

    def _hold(self, key: Key, finalizers: list[str]) -> None:
        patch = {"metadata": {"finalizers": finalizers}}
        with contextlib.suppress(RefusalError):  # it is gone; or the next event comes to it again
            self.front.answer(ApiRequest("PATCH", key, content_type="application/merge-patch+json", body=patch))

    async def _keep(self, key: Key, body: kopf.Body, stopper: Any) -> None:
        delay: float | None = 0.0
        while delay is not None and not stopper.is_set():
            await asyncio.sleep(delay)
            delay = await self._daemon(key, body, stopper)

    async def _daemon(self, key: Key, body: kopf.Body, stopper: Any) -> float | None:
        """Run it; return the seconds until it is tried again, None if it has ended."""
        try:
            await self._run_agent(body=body, namespace=key.namespace, name=key.name, stopped=stopper.async_waiter)
        except kopf.TemporaryError as error:
            return error.delay
        return None

    async def _stop(self, key: Key, reason: DaemonStoppingReason) -> None:
        daemon = self.daemons.pop(key, None)
        if daemon is not None:
            daemon.stopper.set(reason)
            await asyncio.wait({daemon.task})
            daemon.task.result()
