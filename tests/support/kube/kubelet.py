"""What stands for the scheduler and the kubelets where there are no nodes: pods are bound, run, become ready, and end.

It watches the pods of a namespace. A pod without a node is bound to the one node there is; then `started` may begin
what stands for its container, and its status says Running and Ready with an address of its own, so that Deployments
become available. A pod that is to be deleted is really gone only once `stopped` has returned, as a container that
drains keeps its pod. Not done: images, probes, volumes, the grace period, restarts.

A podIP may be on loopback, so that an operator reaches 127.0.0.7:8081. The API server takes that for a pod, but not
in an EndpointSlice: give other addresses to pods that a Service is to find.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Self

import httpx2
import msgspec
import structlog
from lightkube import ApiError, AsyncClient
from lightkube.models.core_v1 import ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node, Pod, PodBinding

NODE: Final = "loopback"
_AGAIN_S: Final = 0.2

Started = Callable[[Pod, str], Awaitable[None]]
"""Called with the pod and its address before it becomes ready."""
Stopped = Callable[[Pod], Awaitable[None]]
"""Called when the pod is to be deleted; the pod stays until it returns."""

Seen = Any
"""A `Pod` from the API server: there all that lightkube declares optional is set."""

log = structlog.get_logger()


class Kubelets:
    """The pods of one namespace. An async context manager; leaving it leaves the pods as they are."""

    def __init__(
        self,
        client: AsyncClient,
        namespace: str,
        *,
        address: Callable[[Pod], str] | None = None,
        started: Started | None = None,
        stopped: Stopped | None = None,
    ) -> None:
        """`address` gives a pod its podIP; without it they are 127.0.0.2, 127.0.0.3 and so on."""
        self.addresses: dict[str, str] = {}  # podIP by pod name, of those that run
        self._client, self._namespace = client, namespace
        self._address = address or self._next_address
        self._started, self._stopped = started, stopped
        self._last = 1
        self._pods: dict[str, asyncio.Task[None]] = {}  # by uid: what is being done with it now
        self._ending: set[str] = set()  # uids

    async def __aenter__(self) -> Self:
        await self._insist(lambda: self._client.create(Node(metadata=ObjectMeta(name=NODE))))
        self._watching = asyncio.create_task(self._watch(), name="kubelets")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Raises what a `started` or `stopped` raised."""
        tasks = [self._watching, *self._pods.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def set_ready(self, name: str, *, ready: bool) -> None:
        """Let a pod's readiness probe pass or fail. Raises `KeyError` for a pod that does not run."""
        status = _running(self.addresses[name], [], ready=ready)
        await self._client.patch(Pod.Status, name, status, namespace=self._namespace)

    def _next_address(self, _: Pod) -> str:
        self._last += 1
        return f"127.0.0.{self._last}"

    async def _watch(self) -> None:
        """List and watch again after whatever ends it: API servers are restarted under us."""
        while True:
            try:
                async for _, pod in self._client.watch(Pod, namespace=self._namespace):
                    self._saw(pod)
            except (ApiError, httpx2.HTTPError) as error:
                log.debug("The pods' watch ended, and begins again.", error=type(error).__name__)
            await asyncio.sleep(_AGAIN_S)

    def _saw(self, pod: Seen) -> None:
        uid, ending = pod.metadata.uid, pod.metadata.deletionTimestamp is not None
        if ending and uid not in self._ending:
            self._ending.add(uid)
            before = self._pods.pop(uid, None)
            self._pods[uid] = asyncio.create_task(self._end(pod, before), name=f"ends {pod.metadata.name}")
        elif not ending and uid not in self._pods:
            self._pods[uid] = asyncio.create_task(self._run(pod), name=f"runs {pod.metadata.name}")

    async def _run(self, pod: Seen) -> None:
        name = pod.metadata.name
        if pod.status and pod.status.podIP:  # it ran before this stand-in came
            self.addresses[name] = pod.status.podIP
            return
        if not pod.spec.nodeName:
            await self._insist(lambda: self._bind(name))
        address = self._address(pod)
        if self._started:
            await self._started(pod, address)
        containers = [container.name for container in pod.spec.containers]
        status = _running(address, containers, ready=True)
        await self._insist(lambda: self._client.patch(Pod.Status, name, status, namespace=self._namespace))
        self.addresses[name] = address

    async def _bind(self, name: str) -> None:
        binding = PodBinding(metadata=ObjectMeta(name=name), target=ObjectReference(kind="Node", name=NODE))
        with suppress(msgspec.ValidationError):  # the answer is a Status, and lightkube 1.0 takes it for a Binding
            await self._client.create(binding, name, namespace=self._namespace)

    async def _end(self, pod: Seen, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)
        if self._stopped:
            await self._stopped(pod)
        name = pod.metadata.name
        self.addresses.pop(name, None)
        await self._insist(lambda: self._client.delete(Pod, name, namespace=self._namespace, grace_period=0))

    async def _insist(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Ask until the API server has answered; what it refuses for good is somebody else's doing."""
        while True:
            try:
                await ask()
            except ApiError as error:
                if error.status.code in {404, 409}:  # gone already, or there already
                    return
                log.warning("The API server refused what a kubelet does.", status=error.status.code)
            except httpx2.HTTPError as error:
                log.debug("The API server is away.", error=type(error).__name__)
            else:
                return
            await asyncio.sleep(_AGAIN_S)


def _running(address: str, containers: list[str], *, ready: bool) -> dict[str, Any]:
    """What a kubelet writes; without names of containers, only the readiness changes."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    readiness = ("Ready", "ContainersReady")
    conditions = [
        {"type": kind, "status": str(ready or kind not in readiness), "lastTransitionTime": now}
        for kind in ("PodScheduled", "Initialized", *readiness)
    ]
    running = {"ready": ready, "started": True, "restartCount": 0, "state": {"running": {"startedAt": now}}}
    status: dict[str, Any] = {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "hostIP": "127.0.0.1",
        "conditions": conditions,
    }
    if containers:
        status["startTime"] = now
        status["containerStatuses"] = [
            {"name": name, "image": "stand-in", "imageID": "", **running} for name in containers
        ]
    return {"status": status}
