"""traefik on the node, in pods of its own namespace: an Ingress controller, and a Gateway.

The program comes from `.tools/bin` by a folder of the node: it needs nothing else of an image.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from support.node.authority import Issued
from support.node.images import SERVICE, TAG
from support.node.places import RUN
from support.node.shell import apply, get, kubectl
from support.process.programs import schema, tool

NAMESPACE: Final = "edge"
NAME: Final = "traefik"
HOST: Final = "voice.example.test"
OTHER: Final = "other.example.test"
CERTIFICATE: Final = "voice-tls"
"""The Secret, in the agent's namespace and in that of the Gateway."""
LONGEST_S: Final = 900
"""Seconds that a pod of traefik which ends waits for its connections; by default it waits 10."""

_LABELS: Final = {"app.kubernetes.io/name": NAME}
_READ: Final = ["get", "list", "watch"]


async def deploy() -> None:
    """Start two pods of it, or leave them as they are; returns once both are ready."""
    await kubectl("apply", "--server-side", f"--filename={schema('gateway-api')}")
    await kubectl("wait", "crd/httproutes.gateway.networking.k8s.io", "--for=condition=Established", "--timeout=60s")
    await apply(*_objects())
    await kubectl(f"--namespace={NAMESPACE}", "rollout", "status", f"deployment/{NAME}", "--timeout=180s")


async def address() -> str:
    """The address of its Service."""
    return str((await get(f"--namespace={NAMESPACE}", "service", NAME))["spec"]["clusterIP"])


async def certify(issued: Issued, *namespaces: str) -> None:
    """Put a certificate into the Secret, in each of the namespaces."""
    await apply(*(_secret(issued, namespace) for namespace in namespaces))


@contextmanager
def resolved(address: str) -> Iterator[None]:
    """Let the hosts' names lead there, for programs beside the pods; the file is the node's own."""
    hosts = RUN / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{address} {HOST} {OTHER}\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "/etc/hosts"], check=True)


def gateway() -> tuple[Any, ...]:
    """Return a Gateway with the certificate, for routes of all namespaces."""
    listener = {
        "name": "https",
        "protocol": "HTTPS",
        "port": 8443,  # traefik takes a listener for its entry point of the same port
        "hostname": HOST,
        "tls": {"certificateRefs": [{"name": CERTIFICATE}]},
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    kind = {"apiVersion": "gateway.networking.k8s.io/v1"}
    return (
        {**kind, "kind": "GatewayClass", "metadata": {"name": NAME}, "spec": {"controllerName": CONTROLLER}},
        {
            **kind,
            "kind": "Gateway",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {"gatewayClassName": NAME, "listeners": [listener]},
        },
    )


CONTROLLER: Final = "traefik.io/gateway-controller"


def _secret(issued: Issued, namespace: str) -> Any:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": CERTIFICATE, "namespace": namespace},
        "stringData": {"tls.crt": issued.certificate, "tls.key": issued.key},
    }


def _objects() -> list[Any]:
    rules = [
        _rule("", ["services", "secrets", "nodes", "namespaces", "configmaps", "pods", "endpoints"], _READ),
        _rule("discovery.k8s.io", ["endpointslices"], _READ),
        _rule("networking.k8s.io", ["ingresses", "ingressclasses"], _READ),
        _rule("networking.k8s.io", ["ingresses/status"], ["update"]),
        _rule("gateway.networking.k8s.io", ["*"], [*_READ, "update", "patch"]),
    ]
    rbac, metadata = "rbac.authorization.k8s.io", {"name": NAME, "namespace": NAMESPACE}
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": NAME}
    port = {"name": "https", "port": 443, "targetPort": "https"}
    bound = {"metadata": {"name": NAME}, "roleRef": role, "subjects": [subject]}
    entry = {"controller": "traefik.io/ingress-controller"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": NAME}, "rules": rules},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", **bound},
        {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": NAME}, "spec": entry},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": _LABELS, "ports": [port]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": _deployment()},
    ]


def _rule(group: str, resources: list[str], verbs: list[str]) -> Any:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _deployment() -> Any:
    pod = {
        "serviceAccountName": NAME,
        # The connections of a pod that ends live on in it: it is given their time.
        "terminationGracePeriodSeconds": LONGEST_S + 30,
        "securityContext": {"runAsUser": 10001, "runAsNonRoot": True},
        "volumes": [
            {"name": "programs", "hostPath": {"path": str(tool("traefik").resolve().parent), "type": "Directory"}}
        ],
        "containers": [_container()],
    }
    return {
        "replicas": 2,
        "selector": {"matchLabels": _LABELS},
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {"labels": _LABELS}, "spec": pod},
    }


def _container() -> Any:
    arguments = [
        "--entrypoints.https.address=:8443",
        "--entrypoints.https.http.tls=true",
        f"--entrypoints.https.transport.lifecycle.gracetimeout={LONGEST_S}s",
        "--entrypoints.https.transport.lifecycle.requestacceptgracetimeout=5s",
        "--providers.kubernetesingress",
        f"--providers.kubernetesingress.ingressclass={NAME}",
        "--providers.kubernetesgateway",
        "--ping",
        "--ping.terminatingstatuscode=503",
        "--global.checknewversion=false",
        "--log.level=INFO",
    ]
    return {
        "name": NAME,
        "image": f"{SERVICE}:{TAG}",
        "imagePullPolicy": "Never",
        "command": ["/programs/traefik"],
        "args": arguments,
        "ports": [{"name": "https", "containerPort": 8443}, {"name": "ping", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ping", "port": "ping"}, "periodSeconds": 1, "failureThreshold": 2},
        "volumeMounts": [{"name": "programs", "mountPath": "/programs", "readOnly": True}],
    }
