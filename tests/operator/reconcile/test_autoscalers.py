"""An agent's autoscaler in its passes, in virtual time: one at a time, and with KEDA there, not yet, or no more."""

from __future__ import annotations

import asyncio

import kmock
import pytest

from batkol_operator.kube.discovery import INTERVAL_S
from support.kube.front import resources, writes
from support.kube.memory_api import MemoryApi
from support.kube.store import Key
from support.operators.desk import DEPLOYMENT, NAME, NAMESPACE, Desk, desk

pytestmark = pytest.mark.virtual_time

HPA = Key("autoscaling", "horizontalpodautoscalers", NAMESPACE, NAME)
SCALED_OBJECT = Key("keda.sh", "scaledobjects", NAMESPACE, NAME)
KEDA = {"maxReplicas": 9, "autoscaler": "ScaledObject", "prometheusUrl": "http://prometheus:9090"}
FIXED = {"maxReplicas": None, "autoscaler": None, "prometheusUrl": None}


def install_keda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the API server know KEDA's kind, from now on, and the autoscaler's version that is not its oldest one."""
    _, known = resources()["core.openfeature.dev", "featureflags"]  # as namespaced as KEDA's
    kind = kmock.ResourceInfo(
        kind="ScaledObject", singular="scaledobject", namespaced=True, subresources=set(), verbs=known.verbs
    )
    monkeypatch.setitem(resources(), (SCALED_OBJECT.group, SCALED_OBJECT.plural), ("v1alpha1", kind))
    _, autoscaler = resources()[HPA.group, HPA.plural]
    monkeypatch.setitem(resources(), (HPA.group, HPA.plural), ("v2", autoscaler))


def uninstall_keda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(resources(), (SCALED_OBJECT.group, SCALED_OBJECT.plural))


def pods(at: Desk) -> int:
    return int(at.api.store.get(DEPLOYMENT)["spec"]["replicas"])


def scaling_active(at: Desk) -> float | None:
    """The gauge that the alert reads; None: there is no series."""
    whose = {"agent_namespace": NAMESPACE, "agent": NAME}
    return at.context.metrics.registry.get_sample_value("batkol_operator_agent_scaling_active", whose)


def scaled_by_another(at: Desk, wanted: int) -> None:
    """Write the number of pods as an autoscaler does: not as this operator."""
    at.patch(DEPLOYMENT, spec={"replicas": wanted})


async def test_the_old_autoscaler_is_gone_before_the_new_one_is_made(
    memory: MemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KEDA's admission refuses a ScaledObject for a Deployment that another autoscaler scales."""
    install_keda(monkeypatch)
    async with desk(memory) as at:
        at.create(scaling={"maxReplicas": 9})
        await at.reconcile()
        assert HPA in at.api.store.objects

        at.patch(spec={"scaling": KEDA})
        await at.reconcile()

        about = [line for line in writes(at.api) if "autoscaling" in line or "keda" in line]
        assert about == [f"DELETE autoscaling/horizontalpodautoscalers {NAME}", f"PATCH keda.sh/scaledobjects {NAME}"]
        assert "deployments" not in " ".join(writes(at.api))


async def test_keda_that_comes_later_is_found_and_what_it_scaled_is_freed_at_once(
    memory: MemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No watch of this process has its kind."""
    async with desk(memory) as at:
        at.create(scaling=KEDA)
        await at.reconcile()
        assert pods(at) == 2
        assert "ScalingActive" not in {each["type"] for each in at.status["conditions"]}
        assert scaling_active(at) is None

        install_keda(monkeypatch)
        await asyncio.sleep(INTERVAL_S)
        await at.reconcile()
        assert SCALED_OBJECT in at.api.store.objects
        assert pods(at) == 2, "nobody scales before the autoscaler does"
        assert at.condition("ScalingActive")["reason"] == "NotReported"
        assert scaling_active(at) == 0

        at.patch(spec={"scaling": {**FIXED, "replicas": 3}})
        await at.reconcile()
        assert SCALED_OBJECT not in at.api.store.objects, "or two would fight over the number"
        assert scaling_active(at) is None, "an agent with a fixed number of pods has none that could fail"
        assert pods(at) == 3


async def test_keda_that_goes_takes_no_pod_with_it(memory: MemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it is installed anew, kinds and all: the calls are still there."""
    install_keda(monkeypatch)
    async with desk(memory) as at:
        at.create(scaling={**KEDA, "minReplicas": 2})
        await at.reconcile()
        scaled_by_another(at, 7)
        await at.reconcile()
        assert pods(at) == 7

        at.api.store.delete(SCALED_OBJECT)
        uninstall_keda(monkeypatch)
        await asyncio.sleep(INTERVAL_S)
        await at.reconcile()
        assert pods(at) == 7

        scaled_by_another(at, 1)
        await at.reconcile()
        assert pods(at) == 2, "never fewer than the spec's fewest"
