"""A cluster in virtual time: an API server, operators' handlers at it, and what makes pods of the Deployments."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from batkol.live.strict_document import content_revision
from batkol_operator.kube.names import GROUP, PLURAL
from support.kube.front import ApiFront
from support.kube.memory_api import MemoryApi
from support.kube.schema_admission import admitted
from support.kube.store import Change, Key, Manifest, RefusalError, merge
from support.operators.desk import NAMESPACE, Clock, context_of, voice_agent
from support.operators.handling import Handling
from support.operators.pods import AnsweringPod, MemoryPods


@dataclass
class World:
    """All of it. Agents are written as their owners do: what the schema, its CEL rules apart, refuses is refused."""

    memory: MemoryApi
    pods: MemoryPods
    clock: Clock
    latency: Callable[[], float]
    operators: list[Handling] = field(default_factory=list)
    started: dict[str, str] = field(default_factory=dict)  # the address of each agent's pod

    @property
    def front(self) -> ApiFront:
        """The API server."""
        return self.memory.front

    def create(self, name: str, **spec: Any) -> Key:
        """Create an agent."""
        key = Key(GROUP, PLURAL, NAMESPACE, name)
        self.front.store.create(key, _admitted(voice_agent(name, **spec)))
        return key

    def edit(self, key: Key, **what: Any) -> Manifest:
        """Merge something into an agent, as `kubectl patch` does."""
        return self.front.store.change(key, "", lambda old: _admitted(merge(old, what)))

    def status(self, key: Key) -> Manifest:
        """An agent's status."""
        status: Manifest = self.front.store.get(key).get("status", {})
        return status

    def condition(self, key: Key, type_: str) -> Manifest:
        """One of its conditions; an empty one, as long as it has none."""
        return next((each for each in self.status(key).get("conditions", ()) if each["type"] == type_), {})

    def live(self, name: str) -> Key:
        """The ConfigMap of an agent's live configuration."""
        return Key("", "configmaps", NAMESPACE, f"{name}-live")

    def deployment(self, name: str) -> Key:
        """Its Deployment."""
        return Key("apps", "deployments", NAMESPACE, name)

    async def operate(self, stack: AsyncExitStack, *, leads: bool = True, resync_s: float = 60.0) -> Handling:
        """Start an operator; `stack` ends it."""
        context = await stack.enter_async_context(context_of(self.memory, self.pods, self.clock, resync_s=resync_s))
        made = Handling(self.front, context, self.latency)
        if leads:
            made.lead()
        running = asyncio.create_task(made.run(), name="operator")
        stack.push_async_callback(_end, running)
        self.operators.append(made)
        return made

    def play_controllers(self, change: Change) -> None:
        """Start a pod for each Deployment, which runs at once what its ConfigMap says."""
        key = change.key
        loop = asyncio.get_running_loop()
        if (key.group, key.plural, change.type) == ("apps", "deployments", "ADDED"):
            self.started[key.name] = ip = f"10.0.0.{len(self.pods.pods) + 1}"
            self.pods.pods[ip] = AnsweringPod(ip)
            loop.call_later(1.0, self._start, key.name)
        elif key.plural == "configmaps" and change.type != "DELETED":
            loop.call_later(self.latency() * 10, self._read, key.name.removesuffix("-live"))

    def _start(self, name: str) -> None:
        deployment = self.front.store.objects.get(self.deployment(name))
        pod = Key("", "pods", NAMESPACE, f"{name}-0")
        if deployment is None or pod in self.front.store.objects:  # it was deleted, and made again, within the second
            return
        meta = deployment["metadata"]
        owners = [{"kind": "Deployment", "name": name, "uid": meta["uid"]}]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        body = {"metadata": {"name": pod.name, "namespace": NAMESPACE, "labels": labels, "ownerReferences": owners}}
        self.front.store.create(pod, body)
        ip = self.started[name]
        secret = self.front.store.get(Key("", "secrets", NAMESPACE, f"{name}-api"))
        self.pods.pods[ip].token = base64.b64decode(secret["data"]["token"]).decode()
        running = {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]}
        self.front.store.change(pod, "status", lambda old: merge(old, {"status": running}))
        rolled_out = {
            "observedGeneration": meta["generation"],
            **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), 1),
            "conditions": [{"type": "Available", "status": "True"}],
        }
        self.front.store.change(self.deployment(name), "status", lambda old: merge(old, {"status": rolled_out}))
        self._read(name)

    def _read(self, name: str) -> None:
        config = self.front.store.objects.get(self.live(name))
        if config is not None and name in self.started:
            pod = self.pods.pods[self.started[name]]
            pod.tuning = json.loads(config["data"]["tuning.json"]).get("revision", "")
            pod.flags = content_revision(config["data"]["flags.json"].encode())
            if "reply.json" in config["data"]:
                pod.reply = json.loads(config["data"]["reply.json"]).get("revision", "")


def _admitted(document: Manifest) -> Manifest:
    try:
        return {**document, "spec": admitted({k: v for k, v in document.items() if k != "status"}, rules=False)["spec"]}
    except AssertionError as error:
        raise RefusalError(422, "Invalid", str(error)) from error


async def _end(running: asyncio.Task[None]) -> None:
    if running.done():
        running.result()
    running.cancel()
    await asyncio.wait({running})


@asynccontextmanager
async def world(latency: Callable[[], float] = lambda: 0.005) -> AsyncIterator[tuple[World, AsyncExitStack]]:
    """Set one up, without an operator."""
    pods = MemoryPods(latency=latency)
    made = World(MemoryApi(ApiFront(), latency), pods, Clock(), latency)
    made.front.followers.append(made.play_controllers)
    async with AsyncExitStack() as stack:
        yield made, stack
    assert not made.front.forbidden, "the operator asked for what its role does not allow"
