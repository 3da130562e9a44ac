"""`make bench-operator AGENTS=1000`: one operator and many VoiceAgents, on a real API server.

Needs the tools of `make tools`. Printed: how long until every agent has its children, what that took of CPU, memory and
requests, what a tuning change of every tenth agent takes, and what the operator costs while nothing happens. There
are no nodes, so no pod runs and no pod is asked; the controllers of deployments and replica sets do their part.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from lightkube import AsyncClient
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace
from lightkube.types import PatchType

from accounting import usage
from support.chart.installed import OperatorProcess, install
from support.kube.control_plane import ControlPlane
from support.network.ports import free_ports
from support.operators.installation import agent

VoiceAgents = create_namespaced_resource("batkol.dev", "v1alpha1", "VoiceAgent", "voiceagents")
NAMESPACE = "many"
OURS: dict[str, Any] = {"app.kubernetes.io/managed-by": "batkol-operator"}


class Operator:
    """The process under test: its CPU, memory and requests."""

    def __init__(self, pid: int, metrics_port: int) -> None:
        self._pid = pid
        self._url = f"http://127.0.0.1:{metrics_port}/metrics"

    @property
    def cpu_s(self) -> float:
        return usage(self._pid).cpu_s

    @property
    def rss_mb(self) -> float:
        return usage(self._pid).rss_bytes / 2**20

    async def requests(self) -> float:
        """Requests to the API server so far."""
        async with httpx.AsyncClient(trust_env=False) as http:
            text = (await http.get(self._url)).text
        lines = [line for line in text.splitlines() if line.startswith("batkol_operator_api_requests_total{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


async def count(client: AsyncClient, kind: Any) -> int:
    return len([1 async for _ in client.list(kind, namespace=NAMESPACE, labels=OURS)])


async def create(client: AsyncClient, agents: int) -> None:
    """Create the agents, eight at a time."""
    at_once = asyncio.Semaphore(8)

    async def one(number: int) -> None:
        async with at_once:
            body = agent(f"agent-{number}", scaling={"replicas": 0})
            metadata = ObjectMeta(name=body["metadata"]["name"], namespace=NAMESPACE)
            await client.create(VoiceAgents(metadata=metadata, spec=body["spec"]))

    await asyncio.gather(*(one(number) for number in range(agents)))


async def until_all(client: AsyncClient, agents: int, within_s: float) -> None:
    """Wait until every agent has its Deployment, the last but two that is applied."""
    async with asyncio.timeout(within_s):
        while await count(client, Deployment) < agents:
            await asyncio.sleep(1)


async def retune(client: AsyncClient, agents: int, within_s: float) -> int:
    """Change the tuning of every tenth agent, and wait until all of their ConfigMaps say so."""
    chosen = range(0, agents, 10)
    for number in chosen:
        patch = {"spec": {"recognition": {"batchMilliseconds": 210}}}
        await client.patch(VoiceAgents, f"agent-{number}", patch, namespace=NAMESPACE, patch_type=PatchType.MERGE)
    async with asyncio.timeout(within_s):
        while True:
            found = [each async for each in client.list(ConfigMap, namespace=NAMESPACE, labels=OURS)]
            tuned = [json.loads((each.data or {})["tuning.json"]) for each in found]
            if sum(each["recognition"]["batchMilliseconds"] == 210 for each in tuned) == len(chosen):
                return len(chosen)
            await asyncio.sleep(0.2)


async def measure(agents: int, idle_s: float, folder: Path) -> None:
    """Run the operator, and print what it takes."""
    async with ControlPlane(folder / "cluster") as control_plane:
        client = control_plane.client(namespace=NAMESPACE)
        await client.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
        objects = await install(control_plane, NAMESPACE)
        (account,) = (each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount")
        (port,) = free_ports(1)
        process = OperatorProcess(control_plane, NAMESPACE, folder)
        await process.start(account, METRICS_PORT=str(port))
        assert process.process is not None
        operator = Operator(process.process.pid, port)
        try:
            await asyncio.sleep(8)
            await report(client, operator, agents, idle_s)
        finally:
            await process.stop()
            await client.close()


async def report(client: AsyncClient, operator: Operator, agents: int, idle_s: float) -> None:
    """Measure three phases, a line each."""
    print(f"operator alone: {operator.rss_mb:.0f} MB")
    began, cpu, asked = time.monotonic(), operator.cpu_s, await operator.requests()
    await create(client, agents)
    created = time.monotonic() - began
    await until_all(client, agents, 120 + agents)
    took, cpu_after, asked_after = time.monotonic() - began, operator.cpu_s, await operator.requests()
    print(
        f"{agents} agents: created in {created:.1f} s, all have their children after {took:.1f} s; "
        f"{1000 * (cpu_after - cpu) / agents:.0f} ms CPU and {(asked_after - asked) / agents:.1f} requests an agent, "
        f"{(asked_after - asked) / took:.0f} requests/s; {operator.rss_mb:.0f} MB"
    )
    await asyncio.sleep(5)
    began, cpu = time.monotonic(), operator.cpu_s
    changed = await retune(client, agents, 120)
    took = time.monotonic() - began
    print(
        f"{changed} tunings changed one after another: all applied after {took:.1f} s, {operator.cpu_s - cpu:.1f} s CPU"
    )
    await asyncio.sleep(5)
    began, cpu, asked = time.monotonic(), operator.cpu_s, await operator.requests()
    await asyncio.sleep(idle_s)
    wall = time.monotonic() - began
    print(
        f"nothing happens for {wall:.0f} s: {100 * (operator.cpu_s - cpu) / wall:.1f} % of a core, "
        f"{(await operator.requests() - asked) / wall:.1f} requests/s; {operator.rss_mb:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--idle", type=float, default=90.0, help="seconds of doing nothing, longer than a resync")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="batkol-agents-") as folder:
        (Path(folder) / "cluster").mkdir()
        asyncio.run(measure(given.agents, given.idle, Path(folder)))


if __name__ == "__main__":
    main()
