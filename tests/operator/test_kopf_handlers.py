"""The real kopf, against the quick API server. Operators take a second or two to start, so a test does several
things.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from batkol.simulators.client.otlp_collector import Collector
from batkol_operator.kube.names import FINALIZER, PAUSED
from batkol_operator.reconcile.liveness import OVERDUE_S
from support.kube.api import KubeApi
from support.kube.store import Key, Manifest, merge
from support.network.ports import free_port
from support.operators.desk import AGENT, DEPLOYMENT, LIVE, NAMESPACE, voice_agent
from support.operators.in_process import running_operator
from support.time.waiting import eventually, until

COLD = {"state": "ENABLED", "variants": {"on": True}}
PEERING = Key("kopf.dev", "clusterkopfpeerings", "", "batkol-operator")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "key"


def patch(api: KubeApi, key: Key, **what: object) -> Manifest:
    return api.store.change(key, "", lambda old: merge(old, what))


def children(api: KubeApi) -> list[Key]:
    return [key for key in list(api.store.objects) if key.namespace == NAMESPACE and key.plural != "events"]


def reason(api: KubeApi) -> str:
    conditions = api.store.get(AGENT).get("status", {}).get("conditions", [{}])
    return str(conditions[0].get("reason"))


async def test_an_agent_from_its_creation_to_its_end(
    api: KubeApi, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label asked for in a handler is looked for after the fact: every ConfigMap of the cluster would come this
    way. The kind FeatureFlag comes to the cluster after the operator.
    """
    monkeypatch.setattr("batkol_operator.reconcile.reconciler.LOOK_AGAIN_S", 3600.0)  # its events alone show it
    flags_kind = "core.openfeature.dev/v1beta1/featureflags"
    later = api.resources[flags_kind]
    del api.resources[flags_kind]
    with running_operator(api, key_file, peering_name="none", liveness_port=0):
        await until(lambda: {"configmaps", "pods", "voiceagents"} <= {kind for kind, _ in api.selectors})
        ours = {(kind, selector) for kind, selector in api.selectors if kind in ("configmaps", "pods")}
        assert ours == {("configmaps", "batkol.dev/agent"), ("pods", "batkol.dev/agent")}, "the server filters them"

        api.store.create(AGENT, voice_agent())
        await until(lambda: "status" in api.store.get(AGENT))
        assert api.store.get(AGENT)["metadata"]["finalizers"] == [FINALIZER]
        assert DEPLOYMENT in api.store.objects

        patch(api, AGENT, spec={"recognition": {"batchMilliseconds": 240}})
        await until(lambda: "240" in api.store.get(LIVE)["data"]["tuning.json"])

        patch(api, LIVE, data={"tuning.json": "{}"})
        await until(lambda: "240" in api.store.get(LIVE)["data"]["tuning.json"])

        house = Key("core.openfeature.dev", "featureflags", NAMESPACE, "house")
        named: Manifest = {"metadata": {"name": "house", "namespace": NAMESPACE}}
        patch(api, AGENT, spec={"flagsFrom": [{"name": "house"}]})
        await until(lambda: "This cluster has no FeatureFlags" in json.dumps(api.store.get(AGENT)["status"]))
        api.resources[flags_kind] = later
        definition = Key("apiextensions.k8s.io", "customresourcedefinitions", "", "featureflags.core.openfeature.dev")
        api.store.create(definition, {"metadata": {"name": definition.name}, "spec": {"group": house.group}})
        await until(lambda: "featureflags" in {kind for kind, _ in api.selectors})
        api.store.create(house, {**named, "spec": {"flagSpec": {"flags": {"cold": COLD}}}})
        await until(lambda: "cold" in api.store.get(LIVE)["data"]["flags.json"])
        patch(api, house, spec={"flagSpec": {"flags": {"warm": {"state": "ENABLED", "variants": {"on": True}}}}})
        await until(lambda: "warm" in api.store.get(LIVE)["data"]["flags.json"])
        api.store.delete(house)

        api.store.delete(DEPLOYMENT)
        await until(lambda: DEPLOYMENT in api.store.objects)

        patch(api, AGENT, metadata={"annotations": {PAUSED: "true"}})
        await until(lambda: reason(api) == "Paused")

        api.store.delete(AGENT)
        await until(lambda: children(api) == [])  # and nothing comes back: test_loop.py, in virtual time


@pytest.mark.nightly  # in virtual time: test_loop.py
async def test_an_api_server_that_fails_is_tried_until_it_does_not(api: KubeApi, key_file: Path) -> None:
    api.fail("PATCH", "apps", "deployments", code=500, times=3)
    with running_operator(api, key_file, peering_name="none", liveness_port=0) as operator:
        api.store.create(AGENT, voice_agent())
        await until(lambda: DEPLOYMENT in api.store.objects)
        await until(lambda: "status" in api.store.get(AGENT))

        failed = operator.metrics.registry.get_sample_value("batkol_operator_errors_total", {"kind": "server"})
        assert failed == 3


async def test_a_loop_that_dies_is_started_again_and_counted(api: KubeApi, key_file: Path) -> None:
    """kopf leaves a daemon alone that returns, and a cancelled task looks like one that did."""
    with running_operator(api, key_file, peering_name="none", liveness_port=0) as operator:
        api.store.create(AGENT, voice_agent())
        await until(lambda: "status" in api.store.get(AGENT))
        operator.cancel("agent")
        read = operator.metrics.registry.get_sample_value
        await until(lambda: read("batkol_operator_errors_total", {"kind": "loop"}) == 1)

        api.store.delete(DEPLOYMENT)
        await until(lambda: DEPLOYMENT in api.store.objects)
        assert read("batkol_operator_errors_total", {"kind": "loop"}) == 1


async def test_one_of_two_operators_works_and_the_other_takes_over(api: KubeApi, key_file: Path) -> None:
    api.store.create(PEERING, {"metadata": {"name": PEERING.name}})
    with running_operator(api, key_file, liveness_port=0) as first:
        api.store.create(AGENT, voice_agent())
        await until(lambda: DEPLOYMENT in api.store.objects)
        with running_operator(api, key_file, liveness_port=0) as second:
            await until(lambda: len(api.store.get(PEERING).get("status", {})) == 2)
            await until(lambda: "voices" in str(second.watchdog._loops))
            await until(lambda: first.watchdog._loops == {})  # the newest wins, the older one lets go

            api.store.delete(DEPLOYMENT)
            await until(lambda: DEPLOYMENT in api.store.objects)
            assert first.watchdog._loops == {}, "it was not the older one that made it"
        await until(lambda: "voices" in str(first.watchdog._loops))
        api.store.delete(DEPLOYMENT)
        await until(lambda: DEPLOYMENT in api.store.objects)


async def test_liveness_is_red_once_a_pass_does_not_come_back(api: KubeApi, key_file: Path) -> None:
    port = free_port()
    with running_operator(api, key_file, peering_name="none", liveness_port=port) as operator:
        api.store.create(AGENT, voice_agent())
        await until(lambda: "status" in api.store.get(AGENT))
        operator.watchdog.pass_began(("voices", "hangs"), time.monotonic() - OVERDUE_S - 1)
        assert (await get(f"http://127.0.0.1:{port}/livez"))[0] == 500


@pytest.fixture
def environment(api: KubeApi, key_file: Path, tmp_path: Path) -> dict[str, str]:
    """Where a process of the operator finds the API server, as on a laptop."""
    kubeconfig = tmp_path / "kubeconfig"
    config = {
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": str(api.url).rstrip("/")}}],
        "users": [{"name": "test", "user": {"token": "made-up"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    kubeconfig.write_text(yaml.safe_dump(config))
    key_file.write_bytes(b"k" * 32)
    ours = {
        "KUBECONFIG": str(kubeconfig),
        "OPERATOR_KEY_FILE": str(key_file),
        "SERVICE_IMAGE": "registry.example.com/batkol:1",
        "WATCH_NAMESPACES": NAMESPACE,
        "PEERING_NAME": "none",
        "METRICS_PORT": str(free_port()),
        "LIVENESS_PORT": str(free_port()),
    }
    return {**os.environ, **ours}


@contextmanager
def started(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the operator, that does not outlive a failed test."""
    command = [sys.executable, "-c", "from batkol_operator.main import app; app()", "run"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def applied(metrics: str) -> bool:
    """Whether a pass has ended well: the count is what it does last, after the status."""
    _, said = await get(metrics)
    return 'batkol_operator_reconciles_total{result="applied"}' in said


def otel(endpoint: str, folder: Path) -> dict[str, str]:
    """Variables that a platform injects: three that cannot be read, one that spoils what is sent by TLS."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(folder / "none.pem"),
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Zq7,broken Zq7",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "10s",
        "OTEL_BSP_MAX_QUEUE_SIZE": "100",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "many",
        "OTEL_PROPAGATORS": "b3",
    }


def check_complaints(log: bytes, *, traced: bool) -> None:
    """One error line says what is off, and no line has the header or a number."""
    (line,) = [line for line in map(json.loads, log.decode().splitlines()) if line["level"] == "error"]
    ignored = {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_SPAN_EVENT_COUNT_LIMIT"}
    assert set(line["ignored"]) == ignored
    assert ("cannot be read" in str(line.get("traces"))) != traced
    assert b"Zq7" not in log
    assert b"+97250" not in log


async def test_killed_in_the_middle_and_replaced_it_finishes_and_leaves_at_a_signal(
    api: KubeApi, environment: dict[str, str], tmp_path: Path
) -> None:
    """The fault holds the first process in the middle of a pass; what it had applied is what the second one starts
    from. OTEL variables that cannot be used cost the first one its traces, and the second one nothing.
    """
    fault = api.fail("PATCH", "apps", "deployments", code=500)
    api.store.create(
        AGENT, voice_agent(streaming={"mode": "Disabled", "callers": [{"number": "+972501234567", "mode": "Enabled"}]})
    )
    async with Collector() as collector:
        with started({**environment, **otel("https://127.0.0.1:9", tmp_path)}) as first:
            await until(lambda: LIVE in api.store.objects and "PATCH apps/deployments clinic" in api.seen)
            first.send_signal(signal.SIGKILL)
            _, killed = await asyncio.to_thread(first.communicate)
        fault.times = 0
        with started({**environment, **otel(collector.http_endpoint, tmp_path)}) as second:
            await until(lambda: "status" in api.store.get(AGENT))
            assert DEPLOYMENT in api.store.objects
            await eventually(lambda: applied(f"http://127.0.0.1:{environment['METRICS_PORT']}/metrics"))
            assert (await get(f"http://127.0.0.1:{environment['LIVENESS_PORT']}/livez"))[0] == 200
            second.send_signal(signal.SIGTERM)
            _, log = await asyncio.to_thread(second.communicate, timeout=30)

    check_complaints(killed, traced=False)
    check_complaints(log, traced=True)  # each line is JSON, for no terminal reads it
    assert second.returncode == 0
    assert collector.named("reconcile")


@pytest.mark.nightly  # the two processes above have both
@pytest.mark.parametrize("works", [True, False])
async def test_otel_variables_cost_the_traces_at_most(
    api: KubeApi, environment: dict[str, str], works: bool, tmp_path: Path
) -> None:
    """The agent is looked after."""
    api.store.create(AGENT, voice_agent())
    async with Collector() as collector:
        given = otel(collector.http_endpoint if works else "https://127.0.0.1:9", tmp_path)
        with started({**environment, **given}) as process:
            await until(lambda: "status" in api.store.get(AGENT))
            await eventually(lambda: applied(f"http://127.0.0.1:{environment['METRICS_PORT']}/metrics"))
            process.send_signal(signal.SIGTERM)
            _, log = await asyncio.to_thread(process.communicate, timeout=30)

    check_complaints(log, traced=works)
    assert process.returncode == 0
    assert bool(collector.named("reconcile")) == works
