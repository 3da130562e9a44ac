"""A real Prometheus sees faults of a pod: each alert fires with its labels, and ends after it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx

from batkol.voices.marked.voice import script
from support.kube.config_map_api import config_map_api
from support.kube.kubeconfig import reaching
from support.live.directory import streaming
from support.network.ports import free_port
from support.process.killing import cancel
from support.prometheus.observed import SERVICE, TIMES, quickened, rules_of
from support.prometheus.server import Prometheus, prometheus, scraping
from support.prometheus.watching import AGENT, POD, again, of_agent, of_pod, of_series, watching
from support.service.stack import QUICK, stack, write_tuning

TOKEN = "x" * 32
HELLO = script([["שלום", "תודה"]], lead_ms=200, tail_ms=800).mulaw


async def test_live_configuration_that_the_service_refuses(tmp_path: Path) -> None:
    async with (
        stack(tmp_path / "live") as up,
        watching(tmp_path, port := up.service.internal_port) as seen,
    ):
        write_tuning(up.live, {"recognition": {"batchMilliseconds": "quick"}})
        fired = await seen.fires("BatkolLiveConfigurationRefused")
        write_tuning(up.live, {"recognition": {"batchMilliseconds": 100}})
        await seen.resolves("BatkolLiveConfigurationRefused")

        assert fired == of_pod("BatkolLiveConfigurationRefused", "warning", port)


async def test_an_api_server_that_is_away(tmp_path: Path) -> None:
    """The threshold is 3 s in the place of 300."""
    source: dict[str, Any] = {"live_source": "kubernetes:front-desk-live", "pod_namespace": "calls"}
    async with config_map_api() as api:
        api.put({"tuning.json": "{}", "flags.json": streaming("on")})
        with reaching(api.url, tmp_path):
            async with (
                stack(tmp_path / "live", live_start_from=str(tmp_path / "live"), **source) as up,
                watching(tmp_path, port := up.service.internal_port, BatkolLiveSourceAway=("> 300", "> 3")) as seen,
            ):
                await api.stop()
                fired = await seen.fires("BatkolLiveSourceAway")
                await api.start()
                await seen.resolves("BatkolLiveSourceAway")

    assert fired.items() >= of_series("BatkolLiveSourceAway", "warning", port).items()


async def test_a_background_task_that_dies_again_and_again(tmp_path: Path) -> None:
    async with (
        stack(tmp_path / "live") as up,
        watching(tmp_path, port := up.service.internal_port) as seen,
    ):
        cancel("calls.heartbeat")
        died = await seen.fires("BatkolTaskDied")
        async with again(lambda: _killed("calls.heartbeat")):
            down = await seen.fires("BatkolTaskDown")

        assert died == of_pod("BatkolTaskDied", "warning", port, task="calls.heartbeat")
        assert down == of_pod("BatkolTaskDown", "critical", port, task="calls.heartbeat")


async def _killed(task: str) -> None:
    cancel(task)


async def test_an_event_loop_that_is_blocked(tmp_path: Path) -> None:
    async with (
        stack(tmp_path / "live") as up,
        watching(tmp_path, port := up.service.internal_port) as seen,
    ):
        async with again(_blocked):
            fired = await seen.fires("BatkolEventLoopLate")
        await seen.resolves("BatkolEventLoopLate")

        assert fired == of_pod("BatkolEventLoopLate", "warning", port)


async def _blocked() -> None:
    time.sleep(0.3)  # noqa: ASYNC251  it is the fault


async def test_a_service_that_is_gone(tmp_path: Path) -> None:
    port = free_port()
    rules = {"batkol.rules.yaml": quickened(rules_of(SERVICE), TIMES)}
    async with prometheus(tmp_path / "prometheus", [scraping(port, **AGENT, **POD)], rules) as seen:
        async with stack(tmp_path / "first", internal_port=port):
            await seen.scrapes()
        fired = await seen.fires("BatkolAbsent")
        async with stack(tmp_path / "second", internal_port=port):
            await seen.resolves("BatkolAbsent")

    assert fired == of_agent("BatkolAbsent", "critical")


async def test_a_pod_that_is_drained_and_left_alone(tmp_path: Path) -> None:
    """The threshold is 18 s before the limit, in the place of 30 s after it."""
    port = free_port()
    rules = {"batkol.rules.yaml": quickened(rules_of(SERVICE), TIMES, BatkolDrainStuck=("+ 30", "- 18"))}
    async with prometheus(tmp_path / "prometheus", [scraping(port, **AGENT, **POD)], rules) as seen:
        async with stack(tmp_path / "live", internal_port=port, api_token=TOKEN) as up:
            await seen.scrapes()
            async with httpx.AsyncClient(trust_env=False) as http:
                ordered = await http.post(f"{up.internal}/v1/drain", headers={"Authorization": f"Bearer {TOKEN}"})
            assert ordered.is_success
            fired = await seen.fires("BatkolDrainStuck")
        await seen.resolves("BatkolDrainStuck")

    assert fired.items() >= of_series("BatkolDrainStuck", "critical", port).items()


async def test_a_service_of_which_all_is_well_wakes_nobody(tmp_path: Path) -> None:
    async with (
        stack(tmp_path / "live", speed=QUICK, agent_replies=True) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        for _ in range(6):
            await up.call(HELLO)
        await _evaluated(seen, times=10)

        assert await seen.firing() == []


async def _evaluated(seen: Prometheus, times: int) -> None:
    """Wait until every rule has been evaluated that often from now on."""
    for _ in range(times):
        before = {rule["name"]: rule["lastEvaluation"] for rule in await seen.rules()}
        async with asyncio.timeout(60):
            while any(before[rule["name"]] == rule["lastEvaluation"] for rule in await seen.rules()):
                await asyncio.sleep(0.1)
