"""What stands for the Job controller and a kubelet where there are none: it runs the Jobs of Helm's hooks.

A Job's script runs as a process, with the rights of the Job's own account, and then the Job is complete. Not done:
images, volumes, limits, failures, retries.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol


class Tools(Protocol):
    """kubectl, as the administrator and as an account."""

    def run(self, *command: str, given: str | None = None, check: bool = True, kubeconfig: str = "") -> str:
        """Run a tool and return what it said."""

    def kubeconfig_of(self, account: str, namespace: str) -> str:
        """Return a kubeconfig of an account."""


@contextmanager
def jobs_run(tools: Tools) -> Iterator[list[str]]:
    """Run the Jobs that appear; yields what their scripts have said."""
    said: list[str] = []
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.1):
            said.extend(_carry_out(tools, job) for job in _waiting(tools))

    thread = threading.Thread(target=work, name="jobs")
    thread.start()
    try:
        yield said
    finally:
        over.set()
        thread.join()


def _waiting(tools: Tools) -> list[Any]:
    found = tools.run("kubectl", "get", "jobs", "--all-namespaces", "--output=json", check=False)
    jobs: list[Any] = json.loads(found)["items"] if found else []
    return [job for job in jobs if not job.get("status", {}).get("conditions")]


def _carry_out(tools: Tools, job: Any) -> str:
    pod, namespace = job["spec"]["template"]["spec"], job["metadata"]["namespace"]
    (container,) = pod["containers"]
    command: list[str] = [*container["command"], *container["args"]]
    assert command[0] == "python"
    kubeconfig = tools.kubeconfig_of(pod["serviceAccountName"], namespace)
    said = tools.run(sys.executable, *command[1:], kubeconfig=kubeconfig, check=False)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": now, "lastProbeTime": now}
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    status = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}
    where = ("--namespace", namespace, "--subresource=status", "--type=merge")
    done = json.dumps({"status": status})
    tools.run("kubectl", "patch", "job", job["metadata"]["name"], *where, "--patch", done)
    return said
