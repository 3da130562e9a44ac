"""How a pod starts, and goes on, while the API server is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.live.config import Live
from batkol.live.fallback import FallbackSource
from batkol.live.files import FileSource
from batkol.live.kubernetes import KubernetesSource
from batkol.live.source import SourceState
from batkol.supervision.tasks import Tasks
from support.kube.config_map_api import ConfigMapApi, config_map_api
from support.kube.kubeconfig import reaching
from support.live.config_map_source import QUICK, WHERE, refusing
from support.live.directory import following, rename_over, tuning, until_batch
from support.process.killing import cancel
from support.time.waiting import until


@asynccontextmanager
async def started(
    api: ConfigMapApi, folder: Path, *, files: bool = True, start_s: float = 0.5
) -> AsyncIterator[tuple[Live, FallbackSource]]:
    """A pod's live configuration, once it is ready; the mounted files are in `folder`."""
    with reaching(api.url, folder):
        watched = KubernetesSource(WHERE, pace=QUICK)
        source = FallbackSource(watched, FileSource(folder) if files else None, start_s=start_s)
        live = Live(source)
        task = asyncio.create_task(live.run())
        try:
            async with asyncio.timeout(20):
                await live.ready()
            yield live, source
        finally:
            task.cancel()
            (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError)


def mount(folder: Path, batch: int) -> None:
    rename_over(folder / "tuning.json", tuning(batch))


async def test_an_api_server_that_answers_is_what_counts_from_the_start(tmp_path: Path) -> None:
    """The mounted file may be up to 90 s behind it: it is not even looked at."""
    mount(tmp_path, 900)
    async with config_map_api() as api:
        api.put({"tuning.json": tuning(210)})
        async with started(api, tmp_path, start_s=20) as (live, source):
            assert live.tuning.batch_ms == 210
            assert (live.status().reads, source.status().meanwhile) == (1, None)


@pytest.mark.parametrize("trouble", ["away", "slow", "refused"])
async def test_a_pod_starts_from_the_mounted_files_and_follows_them_meanwhile(tmp_path: Path, trouble: str) -> None:
    mount(tmp_path, 210)
    with capture_logs() as logs:
        async with config_map_api() as api:
            api.put({"tuning.json": tuning(230)})
            if trouble == "away":
                await api.stop()
            elif trouble == "slow":
                api.slow_s = 30
            else:
                api.refuse = refusing(403, "forbidden")
            async with started(api, tmp_path) as (live, source):
                assert live.tuning.batch_ms == 210
                status = live.status()
                assert status.source == "kubernetes:calls/front-desk-live"
                assert f"Until then the service follows file:{tmp_path}." in (status.state or "")
                mount(tmp_path, 220)
                await until_batch(live, 220)
                assert source.status().state is not SourceState.WATCHING
    (said,) = [entry for entry in logs if entry["event"] == "[CFG] live source starts from the mounted files"]
    assert said["why"]


@pytest.mark.parametrize("victim", ["live", "live.first", "live.files", "live.notice"])
async def test_whatever_of_it_dies_the_files_are_followed_and_then_the_api_server(tmp_path: Path, victim: str) -> None:
    mount(tmp_path, 210)
    async with config_map_api() as api:
        api.put({"tuning.json": tuning(230)})
        await api.stop()
        with reaching(api.url, tmp_path):
            source = FallbackSource(KubernetesSource(WHERE, pace=QUICK), FileSource(tmp_path), start_s=0.2)
            live, tasks = Live(source), Tasks()
            async with AsyncExitStack() as stack:
                await tasks.own(stack, live.run, "live")
                await live.ready()
                await until(lambda: cancel(victim) == 1)
                await until(lambda: tasks.status()["live"].deaths == 1)
                assert live.tuning.batch_ms == 210
                mount(tmp_path, 220)
                await until_batch(live, 220)
                await api.start()
                await until_batch(live, 230)


async def test_once_the_api_server_has_spoken_no_file_overrides_it(tmp_path: Path) -> None:
    """Not even when the API server goes away again: what it said was newer than any file the kubelet writes late."""
    mount(tmp_path, 210)
    async with config_map_api() as api:
        api.put({"tuning.json": tuning(230)})
        await api.stop()
        async with started(api, tmp_path) as (live, source):
            assert live.tuning.batch_ms == 210
            await api.start()
            await until_batch(live, 230)
            await until(lambda: source.status().meanwhile is None)
            reads = live.status().reads
            await api.stop()
            await until(lambda: source.status().state is SourceState.RETRYING)
            mount(tmp_path, 900)
            async with following(tmp_path) as witness:  # who looks at the files has it by now
                assert witness.tuning.batch_ms == 900
            assert (live.tuning.batch_ms, live.status().reads) == (230, reads)
            await api.start()
            api.put({"tuning.json": tuning(240)})
            await until_batch(live, 240)
            assert live.status().last_error is None


async def test_a_watch_that_is_opened_again_does_not_go_back_to_the_files(tmp_path: Path) -> None:
    mount(tmp_path, 900)
    async with config_map_api() as api:
        api.put({"tuning.json": tuning(230)})
        async with started(api, tmp_path) as (_, source):
            again = source.watch()
            await api.stop()
            first = asyncio.create_task(_first(again))
            failed = source.status().reconnects
            await until(lambda: source.status().reconnects > failed + 1)  # the first attempt has come to nothing
            assert not first.done()
            await api.start()
            assert await asyncio.wait_for(first, 10) == tuning(230).encode()
            await again.aclose()


async def _first(snapshots: object) -> bytes | None:
    snapshot = await anext(snapshots)  # type: ignore[call-overload]
    found: bytes | None = snapshot["tuning.json"]
    return found


async def test_without_files_it_starts_with_the_settings_alone(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with config_map_api() as api:
            api.put({"tuning.json": tuning(230)})
            await api.stop()
            async with started(api, tmp_path, files=False) as (live, _):
                assert live.tuning.revision == "defaults"
                assert live.status().refusals == ()
                assert (live.status().state or "").startswith("retrying since 20")
                await api.start()
                await until_batch(live, 230)
    assert "[CFG] live source starts from the settings alone; set LIVE_START_FROM" in {entry["event"] for entry in logs}


async def test_a_config_map_that_is_not_there_is_an_answer(tmp_path: Path) -> None:
    """The API server has spoken: there is none. An old copy of it is not brought back to life."""
    mount(tmp_path, 900)
    async with config_map_api() as api, started(api, tmp_path, start_s=20) as (live, _):
        assert live.tuning.revision == "defaults"
        assert "There is no ConfigMap" in (live.status().state or "")
