"""A real Prometheus sees faults of the operator, whole and on a quick API server: each alert fires, and ends after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.kube.api import KubeApi, running_kube_api
from support.kube.store import merge
from support.network.ports import free_port
from support.operators.desk import AGENT, DEPLOYMENT, voice_agent
from support.operators.in_process import running_operator
from support.prometheus.observed import OPERATOR, TIMES, quickened, rules_of
from support.prometheus.server import Prometheus, prometheus, scraping
from support.prometheus.watching import again
from support.time.waiting import until

OPERATORS = {"namespace": "batkol-system", "job": "batkol-operator"}


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with running_kube_api() as api:
        yield api


@asynccontextmanager
async def operating(api: KubeApi, folder: Path, **thresholds: tuple[str, str]) -> AsyncIterator[Prometheus]:
    """An operator with an agent, and a Prometheus that has the operator's alerts, quickened."""
    rules = quickened(rules_of(OPERATOR), TIMES, **thresholds)
    jobs = [scraping(port := free_port(), pod="batkol-operator-0", **OPERATORS)]
    with running_operator(api, folder / "key", peering_name="none", liveness_port=0, metrics_port=port):
        api.store.create(AGENT, voice_agent())
        await until(lambda: DEPLOYMENT in api.store.objects)
        async with prometheus(folder / "prometheus", jobs, {"batkol-operator.rules.yaml": rules}) as seen:
            await seen.scrapes()
            yield seen


async def test_an_api_server_that_refuses_what_the_operator_writes(api: KubeApi, tmp_path: Path) -> None:
    """The fifth answer 503 and each one after it is a refusal."""
    async with operating(api, tmp_path) as seen:
        fault = api.fail("PATCH", "configmaps", code=503, message="the storage is slow")
        async with again(lambda: _tuned(api)):
            fired = await seen.fires("BatkolReconcileErrors", kind="refused")
        api.front.faults.remove(fault)
        await seen.resolves("BatkolReconcileErrors")

    assert fired == {"alertname": "BatkolReconcileErrors", "severity": "warning", **OPERATORS, "kind": "refused"}


async def _tuned(api: KubeApi) -> None:
    """Change the tuning to something that it was not."""
    batch = api.store.get(AGENT)["spec"].get("recognition", {}).get("batchMilliseconds", 100) % 500 + 20
    api.store.change(AGENT, "", lambda old: merge(old, {"spec": {"recognition": {"batchMilliseconds": batch}}}))


async def test_changes_that_take_long_to_reach_the_pods(api: KubeApi, tmp_path: Path) -> None:
    """The threshold is 1 s in the place of 60."""
    async with operating(api, tmp_path, BatkolSlowToConverge=("> 60", "> 1")) as seen:
        numbers = iter(range(1000))
        async with again(lambda: _rolled(api, f"1.0.{next(numbers)}", within_s=2.0)):
            fired = await seen.fires("BatkolSlowToConverge")
        async with again(lambda: _rolled(api, f"1.1.{next(numbers)}", within_s=0.0)):
            await seen.resolves("BatkolSlowToConverge")

    assert fired == {"alertname": "BatkolSlowToConverge", "severity": "warning", **OPERATORS}


async def _rolled(api: KubeApi, tag: str, *, within_s: float) -> None:
    """Change the image, and play a Deployment whose pods have it after that time."""
    api.store.change(AGENT, "", lambda old: merge(old, {"spec": {"image": {"tag": tag}}}))
    await until(lambda: tag in str(api.store.get(DEPLOYMENT)["spec"]))
    await asyncio.sleep(within_s)
    status = {
        "observedGeneration": api.store.get(DEPLOYMENT)["metadata"]["generation"],
        **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), 1),
        "conditions": [{"type": "Available", "status": "True"}],
    }
    api.store.change(DEPLOYMENT, "status", lambda old: merge(old, {"status": status}))
    wanted = api.store.get(AGENT)["metadata"]["generation"]
    await until(lambda: _ready_at(api) == wanted)


def _ready_at(api: KubeApi) -> int:
    """The generation at which the agent is ready; 0 if it is not."""
    conditions = api.store.get(AGENT).get("status", {}).get("conditions", [])
    ready = [each for each in conditions if each["type"] == "Ready" and each["status"] == "True"]
    return int(ready[0]["observedGeneration"]) if ready else 0
