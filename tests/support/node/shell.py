"""kubectl and Helm on the node, as an SRE has them."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import CHART
from support.node.images import OPERATOR, SERVICE, TAG
from support.node.namespaces import environment

SYSTEM = "batkol-system"
"""The namespace of the chart."""
RELEASE = "batkol"
OPERATOR_PODS = "app.kubernetes.io/name=batkol-operator"
"""A selector."""


class Said(NamedTuple):
    """What a program has said, and how it ended."""

    code: int
    out: str
    wrong: str


async def run(*command: str, given: str | None = None, check: bool = True) -> Said:
    """Run a program. Raises `RuntimeError` with what it says if it fails, unless `check` is off."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    out, wrong = await process.communicate((given or "").encode())
    said = Said(process.returncode or 0, out.decode(), wrong.decode())
    if said.code and check:
        raise RuntimeError(f"{' '.join(command)} ended with {said.code}: {said.out}{said.wrong}")
    return said


async def kubectl(*arguments: str, given: str | None = None, check: bool = True) -> Said:
    return await run("kubectl", *arguments, given=given, check=check)


async def apply(*objects: Any) -> None:
    """`kubectl apply --server-side`, as somebody who is not the operator."""
    await kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=yaml.safe_dump_all(objects))


async def get(*what: str) -> Any:
    """An object, or a list; None where there is none."""
    said = await kubectl("get", *what, "--output=json", "--ignore-not-found")
    return json.loads(said.out) if said.out.strip() else None


async def helm(verb: str, *arguments: str, check: bool = True) -> Said:
    """Run Helm on the release."""
    return await run("helm", verb, RELEASE, *arguments, f"--namespace={SYSTEM}", check=check)


def chart(*settings: str, tag: str = TAG) -> list[str]:
    """Return Helm's arguments for the chart with the node's images and the double of Google; `settings` as `--set`."""
    images = {
        "image.repository": OPERATOR,
        "image.tag": tag,
        "serviceImage.repository": SERVICE,
        "serviceImage.tag": tag,
        "image.pullPolicy": "Never",
    }
    given = [f"--set={name}={value}" for name, value in images.items()] + [f"--set={each}" for each in settings]
    return [str(CHART), f"--values={CHART / 'ci/dev-values.yaml'}", *given]


async def restart_operator() -> None:
    """Have it look at once which kinds the cluster has, as it does at its start and every ten minutes."""
    where = (f"--namespace={SYSTEM}", "--selector=app.kubernetes.io/name=batkol-operator")
    await kubectl("rollout", "restart", "deployment", *where)
    await kubectl("rollout", "status", "deployment", *where, "--timeout=180s")


async def make_namespace(name: str) -> None:
    """Make a namespace that takes no pod beyond the level `restricted`."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


async def uninstalled() -> None:
    """Take the release away, and the definition that it leaves, with every agent."""
    await helm("uninstall", "--ignore-not-found", "--wait", "--timeout=3m")
    await kubectl("delete", "crd", "voiceagents.batkol.dev", "--ignore-not-found", "--timeout=120s")
    await kubectl(f"--namespace={SYSTEM}", "delete", "pods", "--all", "--grace-period=0", "--force", "--wait")
