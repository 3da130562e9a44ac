"""Pods as far as the operator asks them: HTTP servers on loopback addresses of their own, all on one port; or, for
virtual time, without the HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from batkol.status import LiveStatus, RefusedDefinition, ReplyStatus, ServiceStatus, TuningStatus
from batkol_operator.pods.client import NoReport, Report, read_report
from batkol_operator.watch.object_state import PodState


@dataclass(slots=True)
class AnsweringPod:
    """What one pod says, and how often it was asked."""

    ip: str
    token: str = ""
    tuning: str = "000000000000"
    flags: str = "000000000000"
    reply: str = "defaults"
    calls: int = 0
    refusals: list[str] = field(default_factory=list)
    reply_refusals: list[str] = field(default_factory=list)
    asked: int = 0

    def status(self) -> ServiceStatus:
        """As the service itself makes it."""
        refusals = (
            *(RefusedDefinition("tuning.json", None, why) for why in self.refusals),
            *(RefusedDefinition("reply.json", None, why) for why in self.reply_refusals),
        )
        return ServiceStatus(
            version="1",
            draining=False,
            active_calls=self.calls,
            max_calls=100,
            tuning=TuningStatus(revision=self.tuning),
            reply=ReplyStatus(revision=self.reply, calls=self.calls),
            live=LiveStatus(revision=self.tuning, flags_revision=self.flags, refusals=refusals),
        )


class MemoryPods:
    """Pods that are asked without HTTP; what they send is read as the operator reads it. `asked_at`: when, by address.

    An address without a pod cannot be reached, and a pod whose token is another one refuses.
    """

    def __init__(self, *pods: AnsweringPod, latency: Callable[[], float] = lambda: 0.0) -> None:
        self.pods = {pod.ip: pod for pod in pods}
        self.latency = latency
        self.asked_at: dict[str, list[float]] = {}

    async def fetch_reports(self, pods: Collection[PodState], token: str) -> dict[str, Report]:
        """Ask these pods concurrently, as `PodClient` does."""
        asked = [pod for pod in pods if pod.ip]
        reports = await asyncio.gather(*(self._ask(pod.ip, token) for pod in asked))
        return {pod.name: report for pod, report in zip(asked, reports, strict=True)}

    async def _ask(self, ip: str, token: str) -> Report:
        self.asked_at.setdefault(ip, []).append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.latency())
        pod = self.pods.get(ip)
        if pod is None:
            return NoReport("cannot be reached")
        pod.asked += 1
        if pod.token and pod.token != token:
            return NoReport("refused the operator's token: the pod started with another token, restart the pod")
        return read_report(msgspec.json.encode(pod.status()))


@asynccontextmanager
async def answering(*pods: AnsweringPod) -> AsyncIterator[int]:
    """Have these pods answer; yields their port."""
    port, runners = 0, []
    try:
        for pod in pods:
            app = web.Application()
            app.router.add_get("/v1/status", _route(pod))
            runner = web.AppRunner(app)
            runners.append(runner)
            await runner.setup()
            await web.TCPSite(runner, pod.ip, port).start()
            port = port or runner.addresses[0][1]
        yield port
    finally:
        for runner in runners:
            await runner.cleanup()


def _route(pod: AnsweringPod) -> Any:
    async def read_status(request: web.Request) -> web.Response:
        pod.asked += 1
        if pod.token and request.headers.get("Authorization") != f"Bearer {pod.token}":
            return web.Response(status=401)
        return web.Response(body=msgspec.json.encode(pod.status()), content_type="application/json")

    return read_status
