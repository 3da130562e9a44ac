"""Where a node keeps its things, and the addresses in its own network."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
FOLDER: Final = (ROOT / ".tools").resolve() / "cluster"
"""Kept from one node to the next: the images, and what containerd has unpacked of them."""
RUN: Final = FOLDER / "run"
"""Of the node that runs now: configuration, logs, etcd's data. Made anew by each start."""
IMAGES: Final = FOLDER / "images"
CONTAINERD: Final = FOLDER / "containerd"

SOCKET: Final = RUN / "containerd.sock"
KUBECONFIG: Final = RUN / "admin.kubeconfig"
PID: Final = RUN / "pid"
"""The number of the first process of the node's namespaces, as the machine counts."""

NODE: Final = "node-1"
ADDRESS: Final = "10.77.0.1"
PODS: Final = "10.88.0.0/16"
SERVICES: Final = "10.96.0.0/16"
API: Final = f"https://{ADDRESS}:6443"

CNI_PLUGINS: Final = Path("/usr/lib/cni")
