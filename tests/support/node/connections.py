"""Pods that open connections, to see what a NetworkPolicy lets through."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from support.node.images import SERVICE, TAG
from support.node.shell import apply, kubectl

_LISTEN: Final = """
import socket, threading, time
listening = socket.create_server(("", 4317))
while True:
    listening.accept()[0].close()
"""
_TRY: Final = """
import json, socket, sys
made = []
for host, port in json.loads(sys.argv[1]):
    try:
        socket.create_connection((host, port), 4).close()
        made.append(True)
    except OSError:
        made.append(False)
print(json.dumps(made))
"""

Target = tuple[str, int]


async def asking_pod(namespace: str) -> None:
    """Make a pod called `asks`, which listens at 4317, in a namespace that is made if it is not there."""
    container = {
        "name": "asks",
        "image": f"{SERVICE}:{TAG}",
        "imagePullPolicy": "Never",
        "command": ["python", "-c", _LISTEN],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    metadata = {"name": "asks", "namespace": namespace}
    await kubectl("create", "namespace", namespace, check=False)  # it may be there, with labels of its own
    await kubectl(f"--namespace={namespace}", "create", "serviceaccount", "default", check=False)
    await apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})
    await kubectl(f"--namespace={namespace}", "wait", "pod/asks", "--for=condition=Ready", "--timeout=120s")


async def connections(namespace: str, pod: str, targets: Sequence[Target]) -> list[bool]:
    """Open a connection to each from a pod; return which were made. Raises `RuntimeError` if the pod is not there."""
    said = await kubectl(f"--namespace={namespace}", "exec", pod, "--", "python", "-c", _TRY, json.dumps(targets))
    made: Any = json.loads(said.out)
    return list(made)
