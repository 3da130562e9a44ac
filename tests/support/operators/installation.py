"""What the operator's tests share: an installation in a namespace of its own, and agents in it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from support.chart.installed import Kubectl, OperatorProcess, install
from support.kube.control_plane import ControlPlane
from support.time.waiting import eventually

TOKEN: Final = "a-made-up-auth-token"
PUBLIC: Final = "https://voice.example.test/prefix"


@dataclass
class Installation:
    """The chart in one namespace, its operators, and kubectl."""

    control_plane: ControlPlane
    namespace: str
    folder: Path
    kubectl: Kubectl
    account: str
    operators: list[OperatorProcess] = field(default_factory=list)

    async def operate(self, name: str = "operator-1", peering: str = "none", **environment: str) -> OperatorProcess:
        """Start one more operator."""
        made = OperatorProcess(self.control_plane, self.namespace, self.folder, name)
        self.operators.append(await made.start(self.account, peering, **environment))
        return made

    async def create(self, name: str, **spec: Any) -> None:
        """Apply an agent, as an SRE does."""
        await self.kubectl.apply(agent(name, **spec))

    async def get(self, kind: str, name: str) -> Any:
        """An object, or None."""
        said = await self.kubectl("get", kind, name, "--output=json", "--ignore-not-found")
        return json.loads(said) if said.strip() else None

    async def live(self, name: str) -> dict[str, Any]:
        """The contents of the agent's ConfigMap, parsed; empty where there is none."""
        found = await self.get("configmap", f"{name}-live")
        return {key: json.loads(text) for key, text in found["data"].items()} if found else {}

    async def template(self, name: str) -> str:
        """The hash of the Deployment's pod template."""
        found = await self.get("deployment", name)
        return hashlib.sha256(json.dumps(found["spec"]["template"], sort_keys=True).encode()).hexdigest()

    async def has_children(self, name: str) -> bool:
        """Whether the last object that the operator makes for an agent is there."""
        return all([await self.get(kind, name) for kind in ("deployment", "service", "pdb", "networkpolicy")])

    async def condition(self, name: str, type_: str) -> Any:
        """A condition of an agent; an empty one where there is none yet."""
        found = (await self.get("vagent", name) or {}).get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == type_), {})

    async def until(self, name: str, type_: str, status: str = "True") -> None:
        """Wait for a condition with `kubectl wait`, which looks at the generation too."""
        await self.kubectl("wait", f"--for=condition={type_}={status}", "--timeout=120s", f"vagent/{name}")


def agent(name: str, **spec: Any) -> dict[str, Any]:
    """An agent with the least that it needs, and `spec` on top."""
    least = {"twilio": {"publicBaseUrl": PUBLIC, "authTokenSecretRef": {"name": "twilio", "key": "token"}}}
    return {
        "apiVersion": "batkol.dev/v1alpha1",
        "kind": "VoiceAgent",
        "metadata": {"name": name},
        "spec": {**least, **spec},
    }


@asynccontextmanager
async def installed(
    control_plane: ControlPlane, namespace: str, folder: Path, *settings: str
) -> AsyncIterator[Installation]:
    """Install the chart, and the Secret that the agents name. Operators are ended by their own process ids."""
    objects = await install(control_plane, namespace, *settings)
    (account,) = (each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount")
    kubectl = Kubectl(control_plane, namespace)
    await kubectl("create", "secret", "generic", "twilio", f"--from-literal=token={TOKEN}")
    made = Installation(control_plane, namespace, folder, kubectl, account)
    try:
        yield made
    finally:
        await kubectl("delete", "vagent", "--all", "--wait=false")
        for each in objects:  # a namespace takes none of the cluster's own objects with it
            if each["kind"].startswith("ValidatingAdmissionPolicy"):
                await kubectl("delete", each["kind"].lower(), each["metadata"]["name"], "--wait=false")
        await asyncio.gather(*(each.stop() for each in made.operators if each.process is not None))


async def children_of(installation: Installation, name: str) -> None:
    """Wait until they are there."""
    await eventually(lambda: installation.has_children(name))
