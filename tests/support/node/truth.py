"""Whether the status of an agent tells the truth: it is polled, together with what a caller would meet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from support.node.agent import Agent

NOTICED_S: Final = 15.0
"""Seconds for which a status may be behind: a kubelet asks a pod every few seconds, and an operator comes after it."""
_EVERY_S: Final = 0.5


@dataclass
class Truth:
    """What was seen in the status, and where it was not so."""

    seen: set[tuple[str, str, str]] = field(default_factory=set)
    """Type, status and reason of each condition that was ever there."""
    lies: list[str] = field(default_factory=list)
    looks: int = 0
    _since: float | None = None

    def compare(self, agent: Any, *, takes_calls: bool) -> None:
        """Note a status; one that says Ready while no call is taken, for longer than it may be behind, is a lie."""
        self.looks += 1
        conditions = {each["type"]: each for each in agent.get("status", {}).get("conditions", [])}
        self.seen |= {(each["type"], each["status"], each["reason"]) for each in conditions.values()}
        ready = conditions.get("Ready", {})
        current = ready.get("observedGeneration") == agent["metadata"]["generation"]
        if not (ready.get("status") == "True" and current and not takes_calls):
            self._since = None
            return
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since > NOTICED_S:
            self.lies.append(f"Ready is true, and for {time.monotonic() - self._since:.0f} s no call was taken")

    def reasons(self, kind: str) -> set[str]:
        return {reason for type_, _, reason in self.seen if type_ == kind}


@asynccontextmanager
async def polled(agent: Agent) -> AsyncIterator[Truth]:
    """Poll in the background. A status that cannot be read, as the API server is away, says nothing."""
    truth = Truth()
    address = await agent.address()

    async def poll() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=3) as http:
            while True:
                try:
                    status = await agent.get("vagent", agent.name)
                except RuntimeError:
                    status = None
                try:
                    takes = (await http.get(f"http://{address}:8080/readyz")).status_code == 200
                except httpx.HTTPError:
                    takes = False
                if status is not None:
                    truth.compare(status, takes_calls=takes)
                await asyncio.sleep(_EVERY_S)

    polling = asyncio.create_task(poll(), name="truth")
    try:
        yield truth
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
