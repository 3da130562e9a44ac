"""Liveness, readiness and metrics: for the kubelet and Prometheus, without a token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST

from batkol.telemetry.metrics import Metrics

WhyNot = Callable[[], str | None]
WhyUnreachable = Callable[[], Awaitable[str | None]]
Explanations = Callable[[], dict[str, str]]

_NO: Final[dict[int | str, dict[str, Any]]] = {503: {"model": dict[str, str], "description": "No; `status` says why."}}

PATHS: Final = frozenset({"/healthz", "/readyz"})


async def _always_reachable() -> None:
    return None


def probes(
    why_not_ready: WhyNot,
    degraded: WhyNot = lambda: None,
    why_not_alive: WhyNot = lambda: None,
    *,
    unreachable: WhyUnreachable = _always_reachable,
    words: Explanations = dict,
    explained: bool = True,
) -> APIRouter:
    """Return the two probes.

    `why_not_ready` and `why_not_alive` give the reason, or None; `degraded` what a ready pod does without.
    `unreachable` asks whether callers get through to this pod, and gives the reason why not, or None. `words` has more
    about what is in the way, by name. Without `explained`, as for strangers, the answers are yes or no.
    """
    router = APIRouter()

    @router.head("/healthz", include_in_schema=False)  # some load balancers ask so
    @router.get("/healthz", responses=_NO, tags=["pod"])
    async def healthz(response: Response) -> dict[str, str]:
        """Say whether this process should go on; for the kubelet."""
        why_not = why_not_alive()
        if why_not is not None:
            response.status_code = 503
            return {"status": why_not if explained else "not alive"}
        return {"status": "alive"}

    @router.head("/readyz", include_in_schema=False)  # some load balancers ask so
    @router.get("/readyz", responses=_NO, tags=["pod"])
    async def readyz(response: Response) -> dict[str, str]:
        """Say whether this pod should get new calls; for the kubelet."""
        why_not = why_not_ready() or await unreachable()
        if why_not is None:
            lacking = degraded() if explained else None
            return {"status": "ready"} if lacking is None else {"status": "ready", "degraded": lacking, **words()}
        response.status_code = 503
        return {"status": why_not, **words()} if explained else {"status": "not ready"}

    return router


def exposition(metrics: Metrics) -> APIRouter:
    """Return Prometheus's page."""
    router = APIRouter()

    @router.head("/metrics", include_in_schema=False)  # some load balancers ask so
    @router.get("/metrics", response_class=PlainTextResponse, tags=["pod"])
    async def read_metrics(request: Request) -> Response:
        """Get the metrics, as Prometheus reads them."""
        if "application/openmetrics-text" in request.headers.get("accept", ""):  # as Prometheus asks; has exemplars
            return Response(metrics.render_openmetrics(), media_type=CONTENT_TYPE_LATEST)
        return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
