"""A real Prometheus sees faults of a whole operator on a quick API server: each alert fires, and ends after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.kube.api import KubeApi, running_kube_api
from support.kube.store import Key, Manifest, merge
from support.network.ports import free_port
from support.operators.desk import AGENT, DEPLOYMENT, NAMESPACE, voice_agent
from support.operators.in_process import running_operator
from support.operators.pods import AnsweringPod, answering
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
async def operating(
    api: KubeApi, folder: Path, *, pod_port: int = 8081, **thresholds: tuple[str, str]
) -> AsyncIterator[Prometheus]:
    """An operator with an agent, and a Prometheus that has the operator's alerts, quickened."""
    rules = quickened(rules_of(OPERATOR), TIMES, **thresholds)
    jobs = [scraping(port := free_port(), pod="batkol-operator-0", **OPERATORS)]
    ours = {"peering_name": "none", "liveness_port": 0, "metrics_port": port, "pod_port": pod_port}
    with running_operator(api, folder / "key", **ours):
        api.store.create(AGENT, voice_agent(scaling={"replicas": 1}))
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
    pod = AnsweringPod("127.0.0.2")
    async with (
        answering(pod) as port,
        operating(api, tmp_path, pod_port=port, BatkolSlowToConverge=("> 60", "> 1")) as seen,
    ):
        _run(api, pod)
        async with again(lambda: _taken(api, pod, after_s=2.0)):
            fired = await seen.fires("BatkolSlowToConverge")
        async with again(lambda: _taken(api, pod, after_s=0.0)):
            await seen.resolves("BatkolSlowToConverge")

    assert fired == {"alertname": "BatkolSlowToConverge", "severity": "warning", **OPERATORS}


def _run(api: KubeApi, pod: AnsweringPod) -> None:
    """Play the controllers and the kubelet: the pod runs."""
    deployment, key = api.store.get(DEPLOYMENT), Key("", "pods", NAMESPACE, "clinic-0")
    template = deployment["spec"]["template"]["metadata"]["labels"]
    api.store.create(key, {"metadata": {"name": key.name, "namespace": NAMESPACE, "labels": template}})
    ready = {"phase": "Running", "podIP": pod.ip, "conditions": [{"type": "Ready", "status": "True"}]}
    api.store.change(key, "status", lambda old: merge(old, {"status": ready}))
    status = {
        "observedGeneration": deployment["metadata"]["generation"],
        **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), 1),
        "conditions": [{"type": "Available", "status": "True"}],
    }
    api.store.change(DEPLOYMENT, "status", lambda old: merge(old, {"status": status}))


async def _taken(api: KubeApi, pod: AnsweringPod, *, after_s: float) -> None:
    """Change the tuning; the pod has it after that time, and then the agent is ready."""
    await _tuned(api)
    wanted = api.store.get(AGENT)["metadata"]["generation"]
    await until(lambda: _status(api).get("observedGeneration") == wanted)
    await asyncio.sleep(after_s)
    pod.tuning, pod.flags = _status(api)["tuningRevision"], _status(api)["flagsRevision"]
    await until(lambda: _is_ready(_status(api)))


def _status(api: KubeApi) -> Manifest:
    found: Manifest = api.store.get(AGENT).get("status", {})
    return found


def _is_ready(status: Manifest) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status["conditions"])
