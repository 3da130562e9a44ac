"""A background task dies, of whatever it may be, and is started again; it is counted, told of once, and named."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from batkol.app.gauges import expose_tasks
from batkol.errors import ConfigurationError
from batkol.supervision.restarts import LONGEST_HEARING_S, LONGEST_S, STEADY_S
from batkol.supervision.tasks import CANCELLED, RETURNED, Tasks
from batkol.telemetry.metrics import Metrics
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time


class Mortal:
    """Work that dies so many times, and counts its lives."""

    def __init__(self, deaths: int = 0, fault: Callable[[], BaseException] | None = LookupError) -> None:
        self.lives = 0
        self._deaths = deaths
        self._fault = fault  # None: it returns

    async def run(self) -> None:
        self.lives += 1
        if self.lives <= self._deaths:
            if self._fault is None:
                return
            raise self._fault()
        await asyncio.Event().wait()


@asynccontextmanager
async def owned(work: Mortal, **choices: bool) -> AsyncIterator[Tasks]:
    tasks = Tasks()
    async with AsyncExitStack() as stack:
        await tasks.own(stack, work.run, "work", **choices)
        yield tasks


def task_named(name: str) -> asyncio.Task[object]:
    (found,) = [task for task in asyncio.all_tasks() if task.get_name() == name]
    return found


async def test_what_runs_and_does_not_die_is_left_alone() -> None:
    before = asyncio.all_tasks()
    with capture_logs() as logs:
        async with owned(work := Mortal()) as tasks:
            await until(lambda: work.lives)
            status = tasks.status()["work"]
        assert asyncio.all_tasks() == before

    assert (status.state, status.deaths, status.last_fault) == ("running", 0, None)
    assert (work.lives, logs) == (1, [])


@pytest.mark.parametrize("fault", [LookupError, None], ids=["raises", "returns"])
async def test_a_task_that_dies_is_started_again(fault: type[BaseException] | None) -> None:
    async with owned(work := Mortal(1, fault)) as tasks:
        await until(lambda: work.lives == 2)
        status = tasks.status()["work"]

    assert (status.state, status.deaths) == ("running", 1)
    assert (status.last_fault or "").startswith(RETURNED if fault is None else "LookupError in run (test_tasks.py:")


@pytest.mark.real_time
async def test_by_a_real_clock_it_is_started_again_and_stopped() -> None:
    before = asyncio.all_tasks()
    async with owned(work := Mortal(1)) as tasks:
        await until(lambda: work.lives == 2)
        assert tasks.status()["work"].deaths == 1
    assert asyncio.all_tasks() == before


async def test_a_cancellation_that_did_not_come_from_the_end_of_the_service_is_a_death_too() -> None:
    async with owned(work := Mortal()) as tasks:
        await until(lambda: work.lives)
        task_named("work").cancel()
        await until(lambda: work.lives == 2)

        assert tasks.status()["work"].last_fault == CANCELLED


async def test_work_that_cannot_even_begin_is_a_death() -> None:
    def broken() -> object:
        if tasks.status()["work"].deaths < 2:
            raise TypeError("no coroutine")
        return asyncio.sleep(1000)

    tasks = Tasks()
    async with AsyncExitStack() as stack:
        await tasks.own(stack, broken, "work")  # type: ignore[arg-type]
        await until(lambda: tasks.status()["work"].deaths == 2)
        assert "TypeError" in str(tasks.status()["work"].last_fault)
        await until(lambda: tasks.status()["work"].state == "running")


async def test_one_that_may_return_is_done_and_can_be_started_again() -> None:
    work = Mortal(2, None)
    task = Tasks().add(work.run, "work", may_return=True)
    for life in (1, 2):
        task.start()
        task.start()  # while it runs, that changes nothing
        await task.join()
        await until(lambda: task.status().state == "idle")
        assert work.lives == life

    assert task.status().deaths == 0
    await task.stop()


async def test_one_that_is_asked_for_in_the_moment_in_which_it_returns_begins_again() -> None:
    lives = 0

    async def work() -> None:
        nonlocal lives
        lives += 1
        if lives == 1:
            asyncio.get_running_loop().call_soon(task.start)

    task = Tasks().add(work, "work", may_return=True)
    task.start()
    await until(lambda: lives == 2)
    await until(lambda: task.status().state == "idle")
    assert lives == 2
    await task.stop()


async def test_stopping_ends_it_while_it_waits_for_a_restart() -> None:
    before = asyncio.all_tasks()
    async with owned(work := Mortal(100)) as tasks:
        await asyncio.sleep(1)
        assert tasks.down() == {"work": 1}
        lives = work.lives

    await asyncio.sleep(10 * LONGEST_S)
    assert 1 < work.lives == lives
    assert asyncio.all_tasks() == before


async def test_a_fault_is_told_once_without_the_text_of_the_error() -> None:
    secret = "postgres://batkol:hunter2@db/calls, +972541234567"
    with capture_logs() as logs:
        async with owned(work := Mortal(3, lambda: LookupError(secret))) as tasks:
            await until(lambda: work.lives == 4)
            status = tasks.status()

    assert [(line["log_level"], line["task"], line["deaths"]) for line in logs] == [("critical", "work", 1)]
    assert logs[0]["frames"][-1].startswith("run (test_tasks.py:")
    assert "hunter2" not in f"{logs}{status}"


async def test_the_text_of_an_error_of_ours_is_told() -> None:
    async with owned(work := Mortal(1, lambda: ConfigurationError("set X to 3"))) as tasks:
        await until(lambda: work.lives == 2)

        assert tasks.status()["work"].last_fault == "ConfigurationError: set X to 3"


async def test_of_an_error_of_the_system_its_code_is_told() -> None:
    async with owned(work := Mortal(1, lambda: OSError(28, "No space left", "/secret/path"))) as tasks:
        await until(lambda: work.lives == 2)

        assert (tasks.status()["work"].last_fault or "").startswith("OSError (ENOSPC) in run (test_tasks.py:")


async def test_one_that_hearing_needs_and_that_keeps_dying_makes_deaf_until_it_has_lived_for_a_minute() -> None:
    with capture_logs() as logs:
        async with owned(Mortal(7), needed_to_hear=True) as tasks:
            assert tasks.why_not_ready() is None
            await asyncio.sleep(0.72)  # 0.1 + 0.2 + 0.4 s at most, and half of it and of 0.8 s at least
            assert tasks.status()["work"].deaths == 4
            assert tasks.why_not_ready() is None
            await asyncio.sleep(0.88)
            assert tasks.why_not_ready() == "keeps dying: work"
            assert tasks.status()["work"].state == "failing"
            await asyncio.sleep(1.6 + 2 * LONGEST_HEARING_S)
            assert tasks.status()["work"].deaths == 7
            assert tasks.why_not_ready() == "keeps dying: work"
            await asyncio.sleep(STEADY_S)
            assert tasks.why_not_ready() is None
            assert tasks.status()["work"].state == "running"

    assert [(line["log_level"], line["deaths"]) for line in logs if "deaths" in line] == [("critical", 1), ("info", 7)]
    (keeps,) = [line for line in logs if "consequence" in line]
    assert keeps["consequence"] == "this pod takes no new call"


async def test_one_that_hearing_does_not_need_makes_nobody_deaf_and_is_tried_every_half_minute_for_ever() -> None:
    work = Mortal(100_000)
    async with owned(work) as tasks:
        await asyncio.sleep(6 * 3600)
        assert tasks.why_not_ready() is None
        assert tasks.status()["work"].state == "failing"
        assert 6 * 120 <= work.lives < 6 * 240 + 20


async def test_deaths_and_what_is_down_are_exposed_from_zero() -> None:
    metrics = Metrics()
    async with owned(work := Mortal(5), needed_to_hear=True) as tasks:
        expose_tasks(metrics, tasks)
        assert read(metrics) == {"died:work": 0, "died:unowned": 0, "down:work": 0}
        await until(lambda: work.lives == 6)
        assert read(metrics) == {"died:work": 5, "died:unowned": 0, "down:work": 1}
    metrics.close()


def read(metrics: Metrics) -> dict[str, float]:
    samples = [each for family in text_string_to_metric_families(metrics.render().decode()) for each in family.samples]
    kinds = {"batkol_tasks_died_total": "died", "batkol_tasks_down": "down"}
    return {f"{kinds[each.name]}:{each.labels['task']}": each.value for each in samples if each.name in kinds}


@pytest.mark.real_time  # a thread is among it
async def test_what_fails_without_an_owner_is_counted_and_told_once() -> None:
    loop, before = asyncio.get_running_loop(), threading.excepthook
    tasks = Tasks()

    def burn() -> None:
        raise ZeroDivisionError("a caller said this")

    async def stray() -> None:
        raise LookupError("and this")

    with capture_logs() as logs:
        async with AsyncExitStack() as stack:
            tasks.watch_unowned(stack)
            for _ in range(3):
                loop.call_soon(burn)
            left = asyncio.create_task(stray(), name="stray")
            await asyncio.wait({left})
            del left
            gc.collect()
            await until(lambda: tasks.status()["unowned"].deaths == 4)
            threading.Thread(target=burn, name="somebody's").start()
            await until(lambda: tasks.status()["unowned"].deaths == 5)
        assert threading.excepthook is before
        assert loop.get_exception_handler() is None

    assert [line["work"] for line in logs] == ["callback", "task stray"]
    assert "said" not in str(logs)
    assert (tasks.status()["unowned"].last_fault or "").startswith("ZeroDivisionError in burn")


async def test_a_peer_that_went_away_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()
    async with AsyncExitStack() as stack:
        tasks.watch_unowned(stack)
        context = {"message": "Fatal read error on socket transport", "exception": TimeoutError(110, "timed out")}
        asyncio.get_running_loop().call_exception_handler(context)

    assert tasks.status()["unowned"].deaths == 0
    assert "Fatal read error" in caplog.text


async def test_two_tasks_do_not_share_a_name() -> None:
    tasks = Tasks()
    tasks.add(Mortal().run, "work")
    with pytest.raises(ValueError, match="already"):
        tasks.add(Mortal().run, "work")
