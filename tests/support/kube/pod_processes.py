"""What a kubelet does with a pod of ours, done with a process: the container's own environment, tokens and volumes.

The image is this checkout; everything else comes from the pod as the operator made it: values, secrets and fields of
the environment, the ConfigMap that is mounted, and a token of the pod's ServiceAccount, so that its Role is what lets
it watch. `0.0.0.0` becomes the pod's own address on loopback, or the pods would fight for one port.
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from lightkube import AsyncClient
from lightkube.resources.core_v1 import ConfigMap, Pod, Secret

from support.kube.control_plane import ControlPlane

_SERVE: Final = "from batkol.main import app; app(['serve', '--env-file', '/dev/null'])"
_START_S: Final = 60.0


class PodProcesses:
    """The processes of one namespace's pods: `started` and `stopped` are for `support.kube.kubelet.Kubelets`."""

    def __init__(self, control_plane: ControlPlane, admin: AsyncClient, folder: Path, **environment: str) -> None:
        """`environment` wins over the pod's own, for what no pod would say."""
        self._control_plane, self._admin, self._folder = control_plane, admin, folder
        self._environment = environment
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self.addresses: dict[str, str] = {}

    async def started(self, pod: Pod, address: str) -> None:
        """Start the container, and return when its readiness probe would pass."""
        seen: Any = pod
        if [container.name for container in seen.spec.containers] != ["media"]:
            return  # the operator's own, which the tests start by themselves
        name = seen.metadata.name
        folder = self._folder / name
        folder.mkdir()
        environment = await self._environment_of(seen, folder, address)
        with (folder / "log").open("wb") as log:
            self._running[name] = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _SERVE, stderr=log, stdout=log, env=environment
            )
        self.addresses[name] = address
        await self._ready(name, f"http://{address}:8081/readyz")

    async def stopped(self, pod: Pod) -> None:
        """SIGTERM, and wait until it has drained."""
        name = str(pod.metadata.name if pod.metadata else "")
        self.addresses.pop(name, None)
        if (process := self._running.pop(name, None)) is not None:
            process.send_signal(signal.SIGTERM)
            await process.wait()

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """SIGSTOP: the pod is there, and neither reads nor answers."""
        process = self._running[name]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def log(self, name: str) -> str:
        """What a pod has logged so far."""
        return (self._folder / name / "log").read_text()

    async def aclose(self) -> None:
        """End what still runs."""
        for process in self._running.values():
            process.kill()
            await process.wait()
        self._running.clear()

    async def _ready(self, name: str, url: str) -> None:
        async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(_START_S):
            while True:
                assert self._running[name].returncode is None, self.log(name)
                try:
                    if (await http.get(url)).status_code == 200:
                        return
                except httpx.TransportError:
                    pass  # it does not listen yet
                await asyncio.sleep(0.1)

    async def _environment_of(self, pod: Any, folder: Path, address: str) -> dict[str, str]:
        namespace, (container,) = pod.metadata.namespace, pod.spec.containers
        found = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        for variable in container.env:
            found[variable.name] = await self._value(variable, pod, address)
        for name in ("HOST", "INTERNAL_HOST"):
            found[name] = address
        found["LIVE_START_FROM"] = str(await self._mount(pod, folder))
        account = pod.spec.serviceAccountName
        token = await self._control_plane.service_account_token(account, namespace)
        found["KUBECONFIG"] = str(self._control_plane.kubeconfig(f"{namespace}-{account}", token, namespace))
        return {**found, "LOG_FORMAT": "json", **self._environment}

    async def _value(self, variable: Any, pod: Any, address: str) -> str:
        source = variable.valueFrom
        if source is None:
            return variable.value or ""
        if source.secretKeyRef is not None:
            secret: Any = await self._admin.get(Secret, source.secretKeyRef.name, namespace=pod.metadata.namespace)
            return base64.b64decode(secret.data[source.secretKeyRef.key]).decode()
        fields = {
            "metadata.name": pod.metadata.name,
            "metadata.namespace": pod.metadata.namespace,
            "spec.nodeName": "loopback",
            "status.podIP": address,
        }
        return str(fields[source.fieldRef.fieldPath])

    async def _mount(self, pod: Any, folder: Path) -> Path:
        """Write the ConfigMap's files where a kubelet would have mounted them at the start."""
        mounted = folder / "live"
        mounted.mkdir()
        (name,) = (volume.configMap.name for volume in pod.spec.volumes if volume.configMap is not None)
        live: Any = await self._admin.get(ConfigMap, name, namespace=pod.metadata.namespace)
        for file, content in live.data.items():
            (mounted / file).write_text(content)
        return mounted
