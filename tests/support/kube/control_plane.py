"""A real Kubernetes control plane on loopback: etcd, the API server and the controllers, without root.

What is real: storage, watches and resource versions, schemas and CEL rules, server-side apply, admission (PodSecurity
among it), RBAC, ServiceAccount tokens, owner-reference garbage collection, and the controllers of deployments,
replica sets, namespaces, service accounts, endpoint slices, disruption budgets. What is not there: nodes, so no
kubelet and no scheduler (`support.kube.kubelet` stands for both), no network between pods, and no autoscaling.

Nothing here needs an event loop, so that one control plane can serve a session of tests, each with its own loop.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from lightkube import AsyncClient, KubeConfig
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ServiceAccountToken as TokenRequest

from support.network.ports import free_ports
from support.process.programs import Program, tool

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
CONTROLLERS: Final = (
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
)
"""No pod garbage collector and no node lifecycle: they would take the stand-in's nodes for dead ones."""

_FIRST_WORK: Final = "/api/v1/namespaces/default/serviceaccounts/default"
"""What a controller makes first of all. Their `/healthz` is well before they are built, and building them, they end if
the API server goes; from here on they only wait for it."""


class ControlPlane:
    """Three processes in one folder. Both `with` and `async with`; leaving it ends them."""

    def __init__(self, folder: Path) -> None:
        """Raises `FileNotFoundError` when the tools are not built."""
        self.folder = folder
        self.admin_token = secrets.token_hex(16)
        self._etcd_port, self._peer_port, self.port, self._controllers_port = free_ports(4)
        self.certificate = folder / "apiserver.crt"  # made by the API server at its first start, kept over restarts
        write_service_account_keys(folder)
        (folder / "tokens.csv").write_text(f'{self.admin_token},admin,admin,"system:masters"\n')
        self.etcd = Program(self._etcd_command(), folder / "etcd.log")
        self.api = Program(self._api_command(), folder / "kube-apiserver.log")
        self.controllers = Program(self._controllers_command(), folder / "kube-controller-manager.log")

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start all three and wait for `/readyz`; raises `RuntimeError` with the log of the one that fails."""
        try:
            self.etcd.start()
            self.etcd.wait(lambda: answers(f"http://127.0.0.1:{self._etcd_port}/health"))
            self.start_api()
            self.kubeconfig("admin")
            self.controllers.start()
            self.controllers.wait(lambda: answers(f"{self.url}{_FIRST_WORK}", self.admin_token))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all three, the clients of each before it."""
        for program in (self.controllers, self.api, self.etcd):
            program.stop()

    def start_api(self) -> None:
        """Start the API server on its own port and wait until it is ready; it finds everything in etcd again."""
        self.api.start()
        self.api.wait(lambda: answers(f"{self.url}/readyz", self.admin_token))

    def stop_api(self) -> None:
        """Take the API server away; etcd and the controllers stay, and the latter retry."""
        self.api.stop(within=10)

    async def restart_api(self) -> None:
        """SIGTERM, then start on the same port, without blocking the loop. Cancelled, it finishes all the same."""
        await asyncio.to_thread(self.stop_api)
        await asyncio.to_thread(self.start_api)

    def client(self, token: str | None = None, namespace: str = "default") -> AsyncClient:
        """A client with a token of a ServiceAccount, or the administrator's; the caller closes it."""
        config = KubeConfig.from_dict(self._config(token or self.admin_token, namespace))
        return AsyncClient(config, namespace=namespace, trust_env=False)

    async def service_account_token(self, name: str, namespace: str) -> str:
        """A token of that ServiceAccount, by TokenRequest as a kubelet asks for one; good for an hour."""
        admin = self.client()
        try:
            metadata = ObjectMeta(name=name, namespace=namespace)
            asked = TokenRequest(metadata=metadata, spec=TokenRequestSpec(audiences=[ISSUER]))
            made = await admin.create(asked, name, namespace=namespace)
        finally:
            await admin.close()
        assert made.status is not None
        return str(made.status.token)

    def kubeconfig(self, name: str, token: str | None = None, namespace: str = "default") -> Path:
        """Write a kubeconfig for kubectl, Helm and the operator, and return where it is."""
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(self._config(token or self.admin_token, namespace)))  # which is YAML too
        return path

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def _config(self, token: str, namespace: str) -> dict[str, object]:
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "loopback", "cluster": {"server": self.url, "certificate-authority-data": authority}}
            ],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [
                {"name": "loopback", "context": {"cluster": "loopback", "user": "user", "namespace": namespace}}
            ],
            "current-context": "loopback",
        }

    def _etcd_command(self) -> list[str | Path]:
        clients, peers = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        return [
            tool("etcd"),
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _api_command(self) -> list[str | Path]:
        return [
            tool("kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",  # the name in the certificate it makes for itself
            "--endpoint-reconciler-type=none",  # an endpoint on loopback is not allowed, and nobody asks for it
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",  # as every installer has it: what forbids it in a namespace is PodSecurity
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={self.folder / 'sa.pub'}",
            f"--service-account-signing-key-file={self.folder / 'sa.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
        ]

    def _controllers_command(self) -> list[str | Path]:
        kubeconfig = self.folder / "admin.kubeconfig"
        return [
            tool("kube-controller-manager"),
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._controllers_port}",
            f"--cert-dir={self.folder / 'controllers'}",
            f"--root-ca-file={self.certificate}",
            f"--controllers={','.join(CONTROLLERS)}",
            "--use-service-account-credentials",  # so that each has its own RBAC, as in a cluster
            "--leader-elect=false",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ]


def write_service_account_keys(folder: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "sa.key").write_bytes(private)
    (folder / "sa.pub").write_bytes(public)


def answers(url: str, token: str = "") -> bool:
    """Whether it answers 200. The certificate is not looked at: it may not have been made yet."""
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # loopback
    try:
        with urllib.request.urlopen(asked, timeout=5, context=ssl._create_unverified_context()) as answer:  # loopback
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
