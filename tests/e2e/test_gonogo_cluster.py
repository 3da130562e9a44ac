"""The rehearsal where the flag lives in a cluster: a service that watches a ConfigMap, an operator that writes it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from batkol.errors import BatkolError
from batkol.gonogo.checks import RehearsalLimits
from batkol.gonogo.command import Options, carry_out
from batkol.gonogo.target import Target
from batkol.live.strict_document import content_revision
from batkol.simulators.client.conversation import Internal
from batkol.simulators.google.settings import DoubleSettings
from support.kube.config_map_api import AGENT, CONFIG_MAP, ConfigMapApi, config_map_api
from support.kube.kubeconfig import reaching
from support.live.directory import streaming
from support.service.stack import PUBLIC, TOKEN, Stack, stack
from support.time.waiting import until

FLAGS = streaming("off") + "\n"
AGENT_SPEC = {"streaming": {"mode": "Disabled", "callers": [{"number": "+97231112222", "mode": "Enabled"}]}}


@asynccontextmanager
async def rig(folder: Path) -> AsyncIterator[tuple[ConfigMapApi, Stack]]:
    async with config_map_api() as api:
        api.put({"flags.json": FLAGS})
        with reaching(api.url, folder):
            source = "kubernetes:calls/front-desk-live"
            async with stack(folder / "live", double=DoubleSettings(final_latency_s=0.3), live_source=source) as up:
                yield api, up


def rehearsal(up: Stack, **where: Any) -> tuple[asyncio.Task[int], io.StringIO]:
    target = Target(url=up.url, internal=Internal(up.internal), public_url=PUBLIC, auth_token=TOKEN)
    options = Options(target=target, limits=RehearsalLimits(cadence_ms=(50, 5000)), deadline_s=30, **where)
    page = io.StringIO()
    return asyncio.create_task(carry_out(options, Console(file=page, width=140))), page


@pytest.mark.nightly  # without the calls: tests/service/gonogo/test_command.py
@pytest.mark.timeout(180)
async def test_a_service_is_rehearsed_by_its_config_map(tmp_path: Path) -> None:
    async with rig(tmp_path) as (api, up):
        task, page = rehearsal(up, config_map="calls/front-desk-live")
        code = await task

        assert code == 0, page.getvalue()
        assert "the flag is in ConfigMap calls/front-desk-live" in page.getvalue()
        assert api.objects[CONFIG_MAP]["data"] == {"flags.json": FLAGS}


@pytest.mark.nightly  # without the calls: tests/service/gonogo/test_command.py
@pytest.mark.timeout(180)
async def test_a_service_is_rehearsed_by_its_voice_agent(tmp_path: Path) -> None:
    """The operator's part is played here: it makes the ConfigMap of the spec, and says of which revision it is."""

    def reconcile(path: str) -> None:
        if path != AGENT:
            return
        agent = api.objects[AGENT]
        rules: list[Any] = []
        for caller in agent["spec"]["streaming"]["callers"]:
            rules += [{"in": [{"var": "from"}, [caller["number"]]]}, "on" if caller["mode"] == "Enabled" else "off"]
        flags = streaming("off", targeting={"if": rules})
        api.put({"flags.json": flags})
        revision = content_revision(flags.encode())
        agent["status"] = {"observedGeneration": agent["metadata"]["generation"], "flagsRevision": revision}

    async with rig(tmp_path) as (api, up):
        api.store(AGENT, {"spec": json.loads(json.dumps(AGENT_SPEC))}, generation=1)
        api.on_patch = reconcile
        task, page = rehearsal(up, voice_agent="calls/front-desk")
        code = await task

        assert code == 0, page.getvalue()
        assert "calls from the rehearsal's own number only" in page.getvalue()
        assert api.objects[AGENT]["spec"] == AGENT_SPEC


@pytest.mark.timeout(120)
async def test_impatience_does_not_keep_the_flag_from_being_put_back(tmp_path: Path) -> None:
    """Ctrl-C, and again while the slow API server is putting it back."""
    async with rig(tmp_path) as (api, up):
        task, _ = rehearsal(up, config_map="calls/front-desk-live")
        await until(lambda: api.objects[CONFIG_MAP]["data"] != {"flags.json": FLAGS} and len(up.service.calls) == 1)
        api.slow_s = 0.3
        asked = len(api.requests)
        task.cancel()
        await until(lambda: len(api.requests) > asked)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await task

        assert api.objects[CONFIG_MAP]["data"] == {"flags.json": FLAGS}


async def test_where_the_flag_is_must_be_said_for_a_cluster_and_said_once(tmp_path: Path) -> None:
    async with rig(tmp_path) as (_, up):
        task, _ = rehearsal(up)
        with pytest.raises(BatkolError, match="Give --config-map calls/front-desk-live"):
            await task
        task, _ = rehearsal(up, config_map="a/b", voice_agent="c/d")
        with pytest.raises(BatkolError, match="give only one of"):
            await task
