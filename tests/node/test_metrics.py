"""metrics-server on the node: what `kubectl top` says of an agent's pods."""

from __future__ import annotations

from support.node import addons
from support.node.agent import NAMESPACE, Agent
from support.node.shell import kubectl
from support.time.waiting import eventually


async def test_kubectl_top_has_cpu_and_memory_of_each_pod(agent: Agent) -> None:
    await addons.install(addons.METRICS_SERVER)
    pods = {pod["metadata"]["name"] for pod in await agent.pods()}

    async def table() -> dict[str, list[str]]:
        said = await kubectl(f"--namespace={NAMESPACE}", "top", "pod", "--no-headers", check=False)
        return {name: figures for name, *figures in (line.split() for line in said.out.splitlines())}

    async def all_there() -> bool:
        return pods <= (await table()).keys()

    await eventually(all_there, 120)
    figures = await table()
    for pod in pods:
        cpu, memory = figures[pod]
        assert cpu.endswith("m"), figures
        assert 30 < int(memory.removesuffix("Mi")) < 1024, figures
    assert "node-1" in (await kubectl("top", "node")).out
