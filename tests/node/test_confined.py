"""What confines the pods: the level `restricted`, a root that cannot be written, and the user of another's choice."""

from __future__ import annotations

from typing import Any

from support.node.agent import NAMESPACE, Agent, is_ready
from support.node.images import OPERATOR, SERVICE, TAG
from support.node.shell import OPERATOR_PODS, SYSTEM, apply, get, kubectl
from support.time.waiting import eventually

RANGE = 1_000_650_000
"""The first user of a namespace's range, as OpenShift gives them."""
WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1], 'x').write_text('x')"
SERVE = {
    "TWILIO_VALIDATE_SIGNATURES": "false",
    "STT_CHECK_AT_START": "false",
    "STORE": "none",
    "GCP_STT_ENDPOINT": "127.0.0.1:9",
    "GCP_STT_INSECURE": "true",
}


def pod(name: str, image: str, *arguments: str, **environment: str) -> Any:
    container = {
        "name": name,
        "image": f"{image}:{TAG}",
        "imagePullPolicy": "Never",
        "args": list(arguments),
        "env": [{"name": each, "value": value} for each, value in environment.items()],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": RANGE,
        "runAsGroup": 0,
        "fsGroup": RANGE,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "containers": [container],
            "securityContext": security,
            "restartPolicy": "Never",
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


async def test_the_pods_run_under_the_level_restricted_and_cannot_write_their_root(agent: Agent) -> None:
    for namespace in (NAMESPACE, SYSTEM):
        labels = (await get("namespace", namespace))["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    media = (await agent.pods())[0]
    (operator,) = (await get(f"--namespace={SYSTEM}", "pods", f"--selector={OPERATOR_PODS}"))["items"]
    for each in (media, operator):
        where = (f"--namespace={each['metadata']['namespace']}", "exec", each["metadata"]["name"], "--")
        for folder in ("/", "/opt/app", "/opt/venv", "/etc"):
            said = await kubectl(*where, "python", "-c", WRITE, folder, check=False)
            assert "Read-only file system" in said.wrong or "Permission denied" in said.wrong, (folder, said)
        await kubectl(*where, "python", "-c", WRITE, "/tmp")
        user = await kubectl(*where, "python", "-c", "import os; print(os.getuid())")
        assert user.out.strip() == "10001"


async def test_both_images_run_as_a_user_of_a_namespaces_range(agent: Agent) -> None:
    await apply(pod("any-user", SERVICE, "serve", **SERVE), pod("any-operator", OPERATOR, "crd"))

    async def runs() -> bool:
        return is_ready(await get(f"--namespace={NAMESPACE}", "pod", "any-user"))

    await eventually(runs, 120)
    ask = "import os, urllib.request as u; print(os.getuid(), u.urlopen('http://127.0.0.1:8081/healthz').status)"

    async def healthy() -> bool:
        where = (f"--namespace={NAMESPACE}", "exec", "any-user", "--")
        return (await kubectl(*where, "python", "-c", ask, check=False)).out.split() == [str(RANGE), "200"]

    await eventually(healthy, 120)

    async def printed() -> bool:
        return bool((await get(f"--namespace={NAMESPACE}", "pod", "any-operator"))["status"]["phase"] == "Succeeded")

    await eventually(printed, 120)
    assert "kind: CustomResourceDefinition" in await agent.kubectl("logs", "any-operator")
