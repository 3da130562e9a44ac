"""The files that the programs of a node read, made anew by each start."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import Any, Final

from support.kube.control_plane import write_service_account_keys
from support.node import aggregation
from support.node.places import ADDRESS, API, CNI_PLUGINS, CONTAINERD, KUBECONFIG, PODS, RUN, SOCKET

PAUSE: Final = "localhost/pause:node"
"""The image of the container that holds a pod's network: the stand-in for the base image, asleep."""

_CONTAINERD: Final = f"""\
version = 2
root = "{CONTAINERD}"
state = "{RUN / "containerd"}"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Where root has no CAP_SYS_RESOURCE, a lower score than its own is refused, and no sandbox would start.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{RUN / "cni"}"
"""
_NETWORK: Final[Any] = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
        {"type": "firewall"},
    ],
}
_KUBELET: Final[Any] = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "cgroupDriver": "cgroupfs",
    "failCgroupV1": False,  # there are machines that mount version 1 only
    "failSwapOn": False,
    "containerRuntimeEndpoint": f"unix://{SOCKET}",
    "clusterDomain": "cluster.local",
    "clusterDNS": [ADDRESS],
    # Nothing here comes from a registry, so no image may be collected, however full the machine's disk is.
    "imageGCHighThresholdPercent": 100,
    "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%"},
}
_NAMES: Final = f"""\
.:53 {{
  bind {ADDRESS}
  errors
  kubernetes cluster.local {{
    endpoint {API}
    kubeconfig {KUBECONFIG} node
    pods insecure
  }}
}}
"""


def write() -> str:
    """Write everything but the kubeconfig; return the administrator's token."""
    (RUN / "cni").mkdir(parents=True)
    write_service_account_keys(RUN)
    aggregation.write()
    token = secrets.token_hex(16)
    (RUN / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    (RUN / "containerd.toml").write_text(_CONTAINERD)
    (RUN / "cni" / "10-pods.conflist").write_text(json.dumps(_NETWORK))
    (RUN / "kubelet.yaml").write_text(json.dumps(_KUBELET))  # which is YAML too
    (RUN / "Corefile").write_text(_NAMES)
    return token


def write_kubeconfig(token: str, certificate: Path) -> None:
    """Write the administrator's kubeconfig. The API server has made its certificate by then."""
    authority = base64.b64encode(certificate.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "node", "cluster": {"server": API, "certificate-authority-data": authority}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "node", "context": {"cluster": "node", "user": "admin"}}],
        "current-context": "node",
    }
    KUBECONFIG.write_text(json.dumps(config))
