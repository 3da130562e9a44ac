"""The whole service, configured by a ConfigMap that it watches through the API server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from batkol.live.strict_document import content_revision
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import script
from support.kube.config_map_api import ConfigMapApi, config_map_api
from support.kube.kubeconfig import reaching
from support.live.config_map_source import refusing
from support.live.directory import streaming
from support.service.stack import QUICK, Stack, stack, write_tuning
from support.time.waiting import until

WORDS = ["שלום", "אני", "רוצה", "לקבוע", "פגישה", "מחר", "בוקר"]
PART = script([WORDS], lead_ms=400, tail_ms=1000)


def contents(debounce: int, *, on: bool = True, revision: str = "1") -> dict[str, str]:
    tuning = {"revision": revision, "recognition": {"partialDebounceMilliseconds": debounce}}
    return {"tuning.json": json.dumps(tuning), "flags.json": streaming("on" if on else "off")}


@asynccontextmanager
async def deployed(api: ConfigMapApi, folder: Path, **overrides: Any) -> AsyncIterator[Stack]:
    """A pod as the operator sets it up; `folder/live` is the mounted ConfigMap."""
    with reaching(api.url, folder):
        live = folder / "live"
        source: dict[str, Any] = {"live_source": "kubernetes:front-desk-live", "pod_namespace": "calls"}
        async with stack(live, speed=QUICK, live_start_from=str(live), **{**source, **overrides}) as up:
            yield up


def value(up: Stack, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(up.service.metrics.render().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    (found,) = [sample.value for sample in samples if labels.items() <= sample.labels.items()]
    return found


async def test_a_change_of_the_config_map_reaches_a_call_in_progress(tmp_path: Path) -> None:
    """A long debounce thins the partials out, then the flag goes off; the call goes on all the while."""
    async with config_map_api() as api:
        api.put(contents(0))
        async with deployed(api, tmp_path) as up:
            live = up.service.live

            async def talk(caller: Caller) -> None:
                await caller.say(PART.mulaw)
                api.put(contents(2000, revision="slow"))
                await until(lambda: live.tuning.revision == "slow")
                await caller.say(PART.mulaw)
                api.put(contents(2000, revision="slow", on=False))
                off = content_revision(streaming("off").encode())
                await until(lambda: live.status().flags_revision == off)
                await caller.say(PART.mulaw)

            report = await up.call(script=talk)

            fast, slow, _ = (
                [p for p in up.partials(report.call_sid) if p.index == final.index]
                for final in up.heard.finals(report.call_sid)
            )
            assert len(slow) < len(fast)
            assert up.modes(report.call_sid) == ["streaming", "streaming", "single"]
            assert up.heard.texts(report.call_sid) == [" ".join(WORDS)] * 3
            assert report.clean


async def test_the_status_says_how_the_source_does(tmp_path: Path) -> None:
    async with config_map_api() as api:
        api.put(contents(0, revision="7"))
        async with deployed(api, tmp_path) as up, httpx.AsyncClient(base_url=up.internal) as http:
            live = (await http.get("/v1/status")).json()["live"]
            assert live["source"] == "kubernetes:calls/front-desk-live"
            assert live["state"] == "watching"
            assert live["connection"]["resource_version"] == str(api.version)
            assert live["connection"]["heard_s"] < 20
            assert (live["refusals"], live["refused"]) == ([], {"tuning.json": 0, "flags.json": 0, "reply.json": 0})
            assert value(up, "batkol_live_reconnects_total") == 0

            api.put({**contents(0, revision="7"), "reply.json": '{"revision": "r1", "greeting": "שלום"}'})
            await until(lambda: up.service.live.reply.name == "r1")
            status = (await http.get("/v1/status")).json()
            assert (status["reply"]["revision"], status["reply"]["calls"]) == ("r1", 0)
            assert status["agent"]["greeting"] is True
            assert value(up, "batkol_reply_settings_applied_total") == 1

            wrong = '{"recognition": {"batchMilliseconds": 1}}'
            api.put({**contents(0), "tuning.json": wrong, "reply.json": '{"revision": "r1"}'})
            await until(lambda: up.service.live.status().refusals)
            await api.stop()
            await until(lambda: up.service.live.status().state != "watching")
            live = (await http.get("/v1/status")).json()["live"]
            assert live["state"].startswith("retrying since 20")
            assert "The API server" in live["state"]
            assert live["refused"] == {"tuning.json": 1, "flags.json": 0, "reply.json": 0}
            assert live["revision"] == "7"
            assert value(up, "batkol_live_refusals_total", file="tuning.json") == 1
            assert value(up, "batkol_live_refusals_total", file="flags.json") == 0
            assert value(up, "batkol_live_reconnects_total") >= 1
            assert value(up, "batkol_live_age_seconds") > 0
            await api.start()
            await until(lambda: up.service.live.status().state == "watching")


async def test_a_pod_that_may_not_read_its_config_map_takes_calls_by_the_mounted_one(tmp_path: Path) -> None:
    async with config_map_api() as api:
        api.put(contents(0, revision="newer"))
        api.refuse = refusing(403, 'User "system:serviceaccount:calls:front-desk" cannot list resource "configmaps"')
        live = tmp_path / "live"
        live.mkdir()
        write_tuning(live, {"revision": "mounted"})
        async with deployed(api, tmp_path) as up:
            assert up.service.live.tuning.revision == "mounted"
            report = await up.call(PART.mulaw)
            assert up.modes(report.call_sid) == ["streaming"]
            state = up.service.live.status().state or ""
            assert "resourceNames [front-desk-live] in namespace calls" in state
            assert f"Until then the service follows file:{live}." in state


async def test_phrases_go_with_streams_and_with_single_requests(tmp_path: Path) -> None:
    phrases = ("מרפאת לב", "תור דחוף")
    async with stack(tmp_path, speed=QUICK, streaming=False, stt_phrases=phrases) as up:
        await up.call(PART.mulaw)
        before = up.service.live.status().flags_revision
        up.flip(on=True)
        await until(lambda: up.service.live.status().flags_revision != before)
        await up.call(PART.mulaw)

        streams = up.double.stats()
    assert [each["phrases"] for each in streams["streams"]] == [list(phrases)]
    assert streams["unary"]
    assert {tuple(each["phrases"]) for each in streams["unary"]} == {phrases}
