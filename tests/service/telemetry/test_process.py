import asyncio

from batkol.telemetry.metrics import Metrics
from batkol.telemetry.process import expose, process


async def test_tasks_are_counted_and_go_back_when_they_are_done() -> None:
    before = process().tasks
    forever = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
    assert process().tasks == before + 3

    for task in forever:
        task.cancel()
    await asyncio.gather(*forever, return_exceptions=True)

    assert process().tasks == before
    assert process().rss_mb > 1


async def test_a_scrape_has_the_tasks() -> None:
    metrics = Metrics()
    expose(metrics)

    assert "batkol_tasks" in metrics.render().decode()
    metrics.close()
