"""What somebody with the operator's token would send to the API server: plain requests, none of them the operator's.

The chart is installed for all namespaces here, as `helm install` does it by itself.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import yaml  # type: ignore[import-untyped]  # has no types

from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.plan import OWNED_KINDS, ClusterFacts, plan
from support.chart.installed import IMAGE, Kubectl, rendered
from support.kube.control_plane import ControlPlane
from support.operators.installation import agent
from support.time.waiting import eventually

MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"
EMPTY: Final[dict[str, Any]] = {MERGE: {}, STRATEGIC: {}, JSON_PATCH: []}
"""Every patch that changes nothing, and is answered with the object."""


_EVERYWHERE: Final = "watchNamespaces=null"
ACCOUNT: Final = "batkol-operator"
_OF_THE_CLUSTER: Final = ("ClusterRole", "ClusterRoleBinding", "ClusterKopfPeering")
PATHS: Final = {
    kind: (f"/apis/{version}" if "/" in version else f"/api/{version}", plural)
    for version, kind, plural in OWNED_KINDS
    if not version.startswith(("keda.sh", "monitoring.coreos.com", "gateway.networking"))
}
"""Where the kinds are; those of others are in no plain API server."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answers."""

    code: int
    text: str

    @property
    def by_policy(self) -> bool:
        """Whether the admission policy refused, and not RBAC before it."""
        return self.code == 403 and "denied request: The Batkol operator " in self.text

    @property
    def by_rbac(self) -> bool:
        return self.code == 403 and " cannot " in self.text and "denied request" not in self.text


class StolenToken:
    """Sends requests with one account's token."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def ask(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", be: str = ""
    ) -> Answer:
        """Send one request. `kind`: its content type; `be`: a user to impersonate."""
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind, **({"Impersonate-User": be} if be else {})}
        answer = await self._http.request(method, path, content=content, headers=headers)
        return Answer(answer.status_code, answer.text)

    async def patch(self, path: str, body: Any, kind: str = MERGE) -> Answer:
        return await self.ask("PATCH", path, body, kind=kind)

    async def apply(self, path: str, body: Any) -> Answer:
        """Apply by force, as the operator does."""
        return await self.patch(f"{path}?fieldManager=batkol-operator&force=true", body, APPLY)


@asynccontextmanager
async def stolen_token(control_plane: ControlPlane, account: str, namespace: str) -> AsyncIterator[StolenToken]:
    """Take the token of an account."""
    token = await control_plane.service_account_token(account, namespace)
    trusted = ssl.create_default_context(cafile=str(control_plane.certificate))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=control_plane.url, verify=trusted, headers=headers, trust_env=False, timeout=30
    ) as http:
        yield StolenToken(http)


class Stolen:
    """The operator's token, and a namespace with an agent and with what belongs to others."""

    def __init__(self, token: StolenToken, kubectl: Kubectl, namespace: str) -> None:
        self.token, self.kubectl, self.namespace = token, kubectl, namespace

    def path(self, kind: str, name: str = "", namespace: str = "") -> str:
        root, plural = PATHS[kind] if kind in PATHS else ("/api/v1", f"{kind.lower()}s")
        return f"{root}/namespaces/{namespace or self.namespace}/{plural}{'/' + name if name else ''}"

    async def stands(self, kind: str, name: str, namespace: str) -> Any:
        """What somebody has asked for, without what controllers write: status, versions, annotations."""
        found = await self.kubectl.json("get", kind.lower(), name, f"--namespace={namespace}")
        metadata = {
            key: found["metadata"].get(key) for key in ("uid", "labels", "ownerReferences", "deletionTimestamp")
        }
        return {**found, "metadata": metadata, "status": None}


@asynccontextmanager
async def everywhere(control_plane: ControlPlane, namespace: str, *settings: str) -> AsyncIterator[Kubectl]:
    """Install the chart for all namespaces, and take what is the cluster's away again."""
    kubectl = Kubectl(control_plane, namespace)
    objects = rendered(namespace, _EVERYWHERE, f"fullnameOverride={ACCOUNT}", *settings)
    crds = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    await kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=yaml.safe_dump_all(crds))
    await kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/voiceagents.batkol.dev")
    await kubectl.apply(*(each for each in objects if each["kind"] not in ("CustomResourceDefinition", "Deployment")))
    try:
        yield kubectl
    finally:
        for each in objects:
            if each["kind"].startswith("ValidatingAdmissionPolicy") or each["kind"] in _OF_THE_CLUSTER:
                await kubectl("delete", each["kind"].lower(), each["metadata"]["name"], "--wait=false")


async def enforced(stolen: Stolen) -> None:
    """Wait until RBAC lets the account in and the policy keeps it out: both are caches, a moment behind."""

    async def refused() -> bool:
        answer = await stolen.token.ask("POST", stolen.path("ConfigMap") + "?dryRun=All", {"metadata": {"name": "x"}})
        return answer.by_policy

    await eventually(refused)


async def voice_agent(stolen: Stolen, name: str = "clinic") -> list[dict[str, Any]]:
    """Create an agent; return what the operator makes for it, not applied yet."""
    await stolen.kubectl.apply(agent(name))
    body = await stolen.kubectl.json("get", "voiceagent", name)
    return list(plan(VoiceAgent.read(body), ClusterFacts(IMAGE, "0f" * 32, frozenset(), stolen.namespace)).objects)
