"""The command lines of a node's programs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from support.kube.control_plane import ISSUER
from support.node import aggregation
from support.node.places import ADDRESS, FOLDER, KUBECONFIG, NODE, PODS, RUN, SERVICES
from support.process.programs import tool

CERTIFICATE: Final = RUN / "certificates" / "apiserver.crt"
ETCD: Final = "http://127.0.0.1:2379"
_PEERS: Final = "http://127.0.0.1:2380"

Command = list[str | Path]


def etcd() -> Command:
    return [
        tool("etcd"),
        f"--data-dir={RUN / 'etcd'}",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        f"--listen-peer-urls={_PEERS}",
        f"--initial-advertise-peer-urls={_PEERS}",
        f"--initial-cluster=default={_PEERS}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server() -> Command:
    return [
        tool("kube-apiserver"),
        f"--etcd-servers={ETCD}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={ADDRESS}",
        "--secure-port=6443",
        f"--cert-dir={CERTIFICATE.parent}",
        f"--token-auth-file={RUN / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",  # the node's name is in no DNS
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={RUN / 'sa.pub'}",
        f"--service-account-signing-key-file={RUN / 'sa.key'}",
        f"--service-cluster-ip-range={SERVICES}",
        *aggregation.flags(),
    ]


def controllers() -> Command:
    return [
        tool("kube-controller-manager"),
        f"--kubeconfig={KUBECONFIG}",
        f"--service-account-private-key-file={RUN / 'sa.key'}",
        f"--root-ca-file={CERTIFICATE}",
        "--use-service-account-credentials",
        "--leader-elect=false",
    ]


def scheduler() -> Command:
    return [tool("kube-scheduler"), f"--kubeconfig={KUBECONFIG}", "--leader-elect=false"]


def proxy() -> Command:
    return [
        tool("kube-proxy"),
        f"--kubeconfig={KUBECONFIG}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={PODS}",
        f"--hostname-override={NODE}",
        "--conntrack-max-per-core=0",
    ]


def policies() -> Command:
    return [tool("kube-router"), KUBECONFIG, NODE, SERVICES]


def containerd() -> Command:
    return ["containerd", "--config", RUN / "containerd.toml"]


def names() -> Command:
    return [tool("coredns"), "-conf", RUN / "Corefile"]


def kubelet() -> Command:
    return [
        tool("kubelet"),
        f"--config={RUN / 'kubelet.yaml'}",
        f"--kubeconfig={KUBECONFIG}",
        f"--hostname-override={NODE}",
        f"--node-ip={ADDRESS}",
        f"--root-dir={FOLDER / 'kubelet'}",
        f"--cert-dir={RUN / 'kubelet-certificates'}",
    ]
