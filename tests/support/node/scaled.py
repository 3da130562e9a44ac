"""The number of pods of an agent while an autoscaler sets it: what it was, and who set it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from support.node.agent import Agent

_EVERY_S: Final = 0.3


@dataclass
class Sizes:
    """The numbers of pods that the Deployment was to have, one after another, and how often its spec was written."""

    numbers: list[int] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)
    """Of the agent's condition Stalled, while it held."""
    _generations: list[int] = field(default_factory=list)

    def note(self, deployment: Any) -> None:
        replicas = int(deployment["spec"]["replicas"])
        if self.numbers[-1:] != [replicas]:
            self.numbers.append(replicas)
        self._generations.append(int(deployment["metadata"]["generation"]))

    @property
    def writes(self) -> int:
        """How often the spec was changed. Two who fight change it more often than its number is seen to change."""
        return self._generations[-1] - self._generations[0]


@asynccontextmanager
async def observed(agent: Agent) -> AsyncIterator[Sizes]:
    """Look at the Deployment and the agent again and again in the background."""
    sizes = Sizes()

    async def look() -> None:
        deployment = await agent.get("deployment", agent.name)
        if deployment:
            sizes.note(deployment)
        stalled = await agent.condition("Stalled")
        if stalled.get("status") == "True":
            sizes.reasons.add(stalled["reason"])

    async def watch() -> None:
        while True:
            with suppress(RuntimeError):  # kubectl could not ask
                await look()
            await asyncio.sleep(_EVERY_S)

    await look()
    watching = asyncio.create_task(watch(), name="sizes")
    try:
        yield sizes
        await look()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def managers(deployment: Any) -> set[str]:
    """Return who has set the number of pods, by the API server's record."""
    return {
        entry["manager"]
        for entry in deployment["metadata"]["managedFields"]
        if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
    }
