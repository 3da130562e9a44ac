from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from batkol.telemetry.metrics import Metrics
from batkol.web.probes import exposition, probes
from batkol.web.server import listening


@asynccontextmanager
async def asking(
    why_not: Callable[[], str | None] = lambda: None, degraded: Callable[[], str | None] = lambda: None
) -> AsyncIterator[tuple[httpx.AsyncClient, Metrics]]:
    metrics = Metrics()
    app = FastAPI()
    app.include_router(probes(why_not, degraded))
    app.include_router(exposition(metrics))
    async with (
        listening(app, "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
    ):
        yield client, metrics
    metrics.close()


async def test_a_living_process_is_alive_and_ready() -> None:
    async with asking() as (client, _):
        alive, ready = await client.get("/healthz"), await client.get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_a_draining_process_is_alive_and_not_ready_and_says_why() -> None:
    reasons: list[str | None] = [None]
    async with asking(lambda: reasons[0]) as (client, _):
        reasons[0] = "draining"
        alive, ready = await client.get("/healthz"), await client.get("/readyz")

    assert alive.status_code == 200
    assert (ready.status_code, ready.json()) == (503, {"status": "draining"})


async def test_a_load_balancer_may_ask_with_head() -> None:
    async with asking(lambda: "draining") as (client, _):
        answers = [await client.head(path) for path in ("/healthz", "/readyz", "/metrics")]

    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b""), (503, b""), (200, b"")]


async def test_a_ready_process_says_what_it_does_without() -> None:
    async with asking(degraded=lambda: "single: unauthenticated") as (client, _):
        ready = await client.get("/readyz")

    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "degraded": "single: unauthenticated"})


async def test_a_process_that_is_not_ready_has_more_words_for_it_and_strangers_get_none() -> None:
    bodies = []
    for explained in (True, False):
        app = FastAPI()
        app.include_router(probes(lambda: "recognizer: x", words=lambda: {"remedy": "Pay."}, explained=explained))
        async with (
            listening(app, "127.0.0.1", 0) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
        ):
            bodies.append((await client.get("/readyz")).json())

    assert bodies == [{"status": "recognizer: x", "remedy": "Pay."}, {"status": "not ready"}]


async def test_metrics_are_prometheus_text() -> None:
    async with asking() as (client, metrics):
        metrics.partials.add(3)
        page = await client.get("/metrics")

    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = {s.name: s.value for family in text_string_to_metric_families(page.text) for s in family.samples}
    assert values["batkol_partials_total"] == 3


async def test_a_process_that_should_be_replaced_says_why() -> None:
    app = FastAPI()
    app.include_router(probes(lambda: None, why_not_alive=lambda: "keeps dying: listener"))
    async with (
        listening(app, "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
    ):
        alive = await client.get("/healthz")

    assert (alive.status_code, alive.json()) == (503, {"status": "keeps dying: listener"})


async def test_strangers_are_told_yes_or_no() -> None:
    faults: list[str | None] = [None]
    app = FastAPI()
    app.include_router(probes(lambda: faults[0], lambda: "single: unauthenticated", lambda: faults[0], explained=False))
    async with (
        listening(app, "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
    ):
        well = [await client.get("/readyz"), await client.get("/healthz")]
        faults[0] = "keeps dying: listener"
        ill = [await client.get("/readyz"), await client.get("/healthz")]

    assert [(answer.status_code, answer.json()) for answer in (*well, *ill)] == [
        (200, {"status": "ready"}),
        (200, {"status": "alive"}),
        (503, {"status": "not ready"}),
        (503, {"status": "not alive"}),
    ]
