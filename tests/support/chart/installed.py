"""The chart in a real control plane, and the operator run as its own pod would be: by its account's rights."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import CHART
from support.kube.control_plane import ControlPlane
from support.process.programs import tool

_RUN: Final = "from batkol_operator.main import app; app(['run'])"
IMAGE: Final = "registry.example.com/batkol:1"


class Kubectl:
    """The real kubectl, as the administrator, in one namespace."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._kubeconfig = control_plane.kubeconfig(f"kubectl-{namespace}", namespace=namespace)

    async def __call__(self, *arguments: str, given: str | None = None, check: bool = True) -> str:
        """Run it; raises `RuntimeError` with what it says, or with `check=False` returns that."""
        process = await asyncio.create_subprocess_exec(
            str(tool("kubectl")),
            f"--kubeconfig={self._kubeconfig}",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, wrong = await process.communicate(given.encode() if given is not None else None)
        if process.returncode and check:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {wrong.decode()}")
        return out.decode() + (wrong.decode() if process.returncode else "")

    async def json(self, *arguments: str) -> Any:
        return json.loads(await self(*arguments, "--output=json"))

    async def apply(self, *objects: Any) -> str:
        """`kubectl apply --server-side`, as somebody who is not the operator."""
        return await self("apply", "--server-side", "--filename=-", given=yaml.safe_dump_all(objects))

    async def patch(self, name: str, **spec: Any) -> None:
        """`kubectl patch` an agent's spec."""
        await self("patch", "vagent", name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")


def rendered(namespace: str, *settings: str) -> list[Any]:
    """Return what the chart makes of an operator; it looks after its own namespace only, unless `settings` say else."""
    arguments = ["template", "batkol", str(CHART), f"--namespace={namespace}", "--include-crds"]
    arguments += ["--kube-version=1.34.0"]
    arguments += [f"--set={each}" for each in (f"watchNamespaces={{{namespace}}}", *settings)]
    done = subprocess.run([str(tool("helm")), *arguments], check=True, capture_output=True, text=True, timeout=120)
    return [each for each in yaml.safe_load_all(done.stdout) if each and "helm.sh/hook" not in str(each["metadata"])]


async def install(control_plane: ControlPlane, namespace: str, *settings: str) -> list[Any]:
    """Apply the chart; its Deployment too, which no kubelet runs."""
    kubectl = Kubectl(control_plane, namespace)
    objects = rendered(namespace, *settings)
    crds = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    await kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=yaml.safe_dump_all(crds))
    names = [f"crd/{each['metadata']['name']}" for each in crds]
    await kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
    await kubectl.apply(*(each for each in objects if each["kind"] != "CustomResourceDefinition"))
    return objects


class OperatorProcess:
    """`batkol-operator run` with the rights of the chart's ServiceAccount and nothing more."""

    def __init__(self, control_plane: ControlPlane, namespace: str, folder: Path, name: str = "operator-1") -> None:
        self._control_plane, self._namespace, self._folder, self.name = control_plane, namespace, folder, name
        self.log = folder / f"{name}.log"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, account: str, peering: str = "none", **environment: str) -> Self:
        """Start it; it is at work once it reconciles."""
        token = await self._control_plane.service_account_token(account, self._namespace)
        kubeconfig = self._control_plane.kubeconfig(f"{self._namespace}-{self.name}", token, self._namespace)
        key = self._folder / "operator.key"
        key.write_bytes(b"0123456789abcdef" * 2)
        found = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        found |= {
            "KUBECONFIG": str(kubeconfig),
            "SERVICE_IMAGE": IMAGE,
            "OPERATOR_KEY_FILE": str(key),
            "WATCH_NAMESPACES": self._namespace,
            "POD_NAME": self.name,
            "POD_NAMESPACE": self._namespace,
            "PEERING_NAME": peering,
            "METRICS_PORT": "0",
            "LIVENESS_PORT": "0",
            "LOG_FORMAT": "json",
        }
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _RUN, stdout=log, stderr=log, env={**found, **environment}
            )
        return self

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, wait for its end, and return its exit status."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(how)
        return await self.process.wait()

    def said(self) -> str:
        return self.log.read_text()
