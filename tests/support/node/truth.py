"""Whether the status of an agent tells the truth: it is polled, together with what a caller would meet."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from support.node.agent import NAMESPACE, Agent
from support.node.commands import CERTIFICATE
from support.node.places import API, RUN

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
    service = f"http://{await agent.address()}:8080/readyz"
    resource = f"{API}/apis/batkol.dev/v1alpha1/namespaces/{NAMESPACE}/voiceagents/{agent.name}"
    async with (
        httpx.AsyncClient(trust_env=False, timeout=3, headers=_as_administrator(), verify=_authority()) as api,
        httpx.AsyncClient(trust_env=False, timeout=3) as callers,
    ):

        async def poll() -> None:
            while True:
                status = await _ask(api, resource)
                takes = await _ask(callers, service)
                if status is not None:
                    truth.compare(status.json(), takes_calls=takes is not None)
                await asyncio.sleep(_EVERY_S)

        polling = asyncio.create_task(poll(), name="truth")
        try:
            yield truth
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)


async def _ask(http: httpx.AsyncClient, url: str) -> httpx.Response | None:
    """Return the answer if it says yes."""
    try:
        answer = await http.get(url)
    except httpx.HTTPError:
        return None
    return answer if answer.status_code == 200 else None


def _as_administrator() -> dict[str, str]:
    return {"Authorization": f"Bearer {(RUN / 'tokens.csv').read_text().partition(',')[0]}"}


def _authority() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATE))
