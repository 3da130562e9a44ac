"""What a node needs of the machine, and what to do where it is not there: one sentence."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Final

from support.node.places import CNI_PLUGINS
from support.process.programs import installed

BUILT: Final = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet",
    "kube-router", "coredns", "kubectl", "helm",
)  # fmt: skip
"""By `tools/build`."""

PACKAGES: Final = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ipset": "ipset",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
"""Programs, and the packages of Debian 12 that have them."""


def lacking() -> str:
    """Say what the machine lacks and what to do about it; an empty text where it lacks nothing."""
    if not sys.platform.startswith("linux"):
        return "A Kubernetes node runs on Linux only: run `make cluster` on a Linux machine or in a virtual one."
    if os.geteuid() != 0:
        return "A Kubernetes node makes namespaces and containers, which needs root: run `make cluster` as root."
    packages = {package for program, package in PACKAGES.items() if shutil.which(program) is None}
    if not (CNI_PLUGINS / "bridge").exists():
        packages.add("containernetworking-plugins")
    if packages:
        needed = " ".join(sorted(packages))
        return f"The node needs programs of this machine: run `apt-get install --no-install-recommends {needed}`."
    return ""


def unbuilt() -> str:
    """Say which programs are not built and what to do about it; an empty text where all are."""
    if names := [name for name in BUILT if installed(name) is None]:
        return f"The node's programs are not built: run `make tools TOOLS='{' '.join(names)}'`, which needs Go 1.26."
    return ""
