"""Pods as far as the operator asks them: HTTP servers on loopback addresses of their own, all on one port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from batkol.status import LiveStatus, RefusedDefinition, ServiceStatus, TuningStatus


@dataclass(slots=True)
class AnsweringPod:
    """What one pod says, and how often it was asked."""

    ip: str
    token: str = ""
    tuning: str = "000000000000"
    flags: str = "000000000000"
    calls: int = 0
    refusals: list[str] = field(default_factory=list)
    asked: int = 0

    def status(self) -> ServiceStatus:
        """As the service itself makes it."""
        refusals = tuple(RefusedDefinition("tuning.json", None, why) for why in self.refusals)
        return ServiceStatus(
            version="1",
            draining=False,
            active_calls=self.calls,
            max_calls=100,
            tuning=TuningStatus(revision=self.tuning),
            live=LiveStatus(revision=self.tuning, flags_revision=self.flags, refusals=refusals),
        )


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
