"""The real Prometheus Operator takes our monitors and rules, and a Prometheus finds the pods by what it makes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.twilio.caller import CallPlan, place_call
from batkol.voices.marked.voice import script
from support.kube.control_plane import ControlPlane
from support.kube.kubelet import Kubelets
from support.kube.pod_processes import PodProcesses
from support.operators.installation import PUBLIC, TOKEN, Installation, installed
from support.prometheus.evaluated import empty_of, missing_of
from support.prometheus.observed import OPERATOR, SERVICE, TIMES, expressions, queries
from support.prometheus.operated import Api, Operated, prometheus_operator, started
from support.prometheus.server import Prometheus

NAMESPACE: Final = "voice"
OF_THE_AGENT: Final = f"podMonitor/{NAMESPACE}/clinic/0"
OF_THE_OPERATOR: Final = f"podMonitor/{NAMESPACE}/batkol-operator/0"
HELLO: Final = script([["שלום", "תודה"], ["כן", "מספר"]], lead_ms=500, tail_ms=2000)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own: its definitions are for all of it."""
    with ControlPlane(tmp_path_factory.mktemp("monitors")) as running:
        yield running


@asynccontextmanager
async def monitored(plane: ControlPlane, folder: Path) -> AsyncIterator[tuple[Operated, Installation, PodProcesses]]:
    """Prometheus Operator, the chart with monitors and rules, and an agent of two pods that are real processes."""
    admin = plane.client()
    api = Api(plane.url, plane.certificate, plane.admin_token, plane.kubeconfig("admin"))
    settings = [f"monitoring.{kind}.mode=Enabled" for kind in ("podMonitor", "prometheusRule")]
    pods = PodProcesses(plane, admin, folder)
    google = SpeechDouble()
    try:
        await api.kubectl("create", "namespace", NAMESPACE)
        async with (
            prometheus_operator(api, folder, TIMES) as operated,
            installed(plane, NAMESPACE, folder, *settings) as installation,
            Kubelets(admin, NAMESPACE, started=pods.started, stopped=pods.stopped),
        ):
            await installation.operate(METRICS_PORT="8082")  # as the chart has it: it answers at its pod's address
            recognition = {"endpoint": f"127.0.0.1:{await google.start()}", "insecure": True}
            reply = {"answerer": {"kind": "Echo"}, "voice": {"kind": "Builtin"}}
            await installation.create("clinic", recognition=recognition, reply=reply, scaling={"replicas": 2})
            await installation.until("clinic", "Ready")
            yield operated, installation, pods
    finally:
        await pods.aclose()
        await google.stop()
        await admin.close()


async def test_what_prometheus_operator_makes_of_our_monitors_finds_every_pod_and_alerts_of_the_operator_fire(
    plane: ControlPlane, tmp_path: Path
) -> None:
    asked = queries(OPERATOR, rate="10s", whole="2m", times=TIMES)
    async with (
        monitored(plane, tmp_path) as (operated, installation, pods),
        started(operated, OF_THE_AGENT, OF_THE_OPERATOR) as seen,
    ):
        since = time.time()
        await seen.scrapes(3)
        jobs = dict(operated.jobs)
        targets = [each["labels"] for each in await seen.targets() if each["labels"]["job"] == "clinic"]
        addresses = sorted(pods.addresses.items())
        await called(pods)
        held = await not_applied(installation, pods, seen)
        await refused(installation)
        unseen = await not_looked_for(operated, installation, seen)
        unscaled = await not_scaled(installation, seen)
        unready = await not_ready(installation, seen)
        empty = await empty_of(seen, asked, since=since, listed=())
        missing = await missing_of(seen, {**asked, **expressions(OPERATOR)})
        rules = await seen.rules()
        down = await operator_gone(installation, seen)

        assert [jobs[name]["scrape_interval"] for name in (OF_THE_AGENT, OF_THE_OPERATOR)] == ["15s", "30s"]
        assert sorted(targets, key=lambda each: each["pod"]) == [
            {
                "namespace": NAMESPACE,
                "job": "clinic",
                "pod": pod,
                "instance": f"{address}:8081",
                "container": "media",
                "endpoint": "internal",
                "batkol_dev_agent": "clinic",
            }
            for pod, address in addresses
        ]
        assert {rule["name"] for rule in rules} == {*expressions(SERVICE), *expressions(OPERATOR)}
        assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
        assert (empty, missing) == (set(), set())
        of_the_agent = {"agent_namespace": NAMESPACE, "agent": "clinic"}
        assert held == {"alertname": "BatkolTuningNotApplied", "severity": "warning", **of_the_agent}
        assert unseen == {"alertname": "BatkolPodsNotScraped", "severity": "warning", **of_the_agent}
        assert unscaled == {"alertname": "BatkolScalingNotActive", "severity": "warning", **of_the_agent}
        assert unready.items() >= {"alertname": "BatkolAgentsNotReady", "severity": "critical", **of_the_agent}.items()
        of_the_operator = {"namespace": NAMESPACE, "job": f"{NAMESPACE}/batkol-operator"}
        assert down == {"alertname": "BatkolOperatorDown", "severity": "warning", **of_the_operator}


async def called(pods: PodProcesses) -> None:
    """Call every pod."""
    plans = [
        CallPlan(base_url=f"http://{address}:8080", public_url=PUBLIC, auth_token=TOKEN, audio=HELLO.mulaw)
        for address in pods.addresses.values()
    ]
    reports = await asyncio.gather(*(place_call(plan) for plan in plans))
    assert [report.violations for report in reports] == [[], []]


async def not_applied(installation: Installation, pods: PodProcesses, seen: Prometheus) -> dict[str, str]:
    """Tune the agent while one of its pods stands still."""
    with pods.paused(min(pods.addresses)):
        await installation.kubectl.patch("clinic", recognition={"batchMilliseconds": 200})
        fired = await seen.fires("BatkolTuningNotApplied")
    await seen.resolves("BatkolTuningNotApplied")
    return fired


async def refused(installation: Installation) -> None:
    """Delete the Service of the agent while a quota admits none, and let the operator make it again."""
    none = {"hard": {"services": "0"}}
    await installation.kubectl.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": none}
    )
    counted = json.dumps({"status": {**none, "used": {"services": "0"}}})  # by the quota's controller, in a cluster
    await installation.kubectl("patch", "quota", "none", "--subresource=status", "--type=merge", f"--patch={counted}")
    await installation.kubectl("delete", "service", "clinic")
    await installation.until("clinic", "Ready", "False")
    await installation.kubectl("delete", "quota", "none")
    await installation.until("clinic", "Ready")


async def not_looked_for(operated: Operated, installation: Installation, seen: Prometheus) -> dict[str, str]:
    """Switch the PodMonitor off, and on again; return the labels of the alert that says so, and is over then."""
    await installation.kubectl.patch("clinic", telemetry={"podMonitor": "Disabled"})
    await operated.follow(OF_THE_OPERATOR, without=OF_THE_AGENT)
    unseen = await seen.fires("BatkolPodsNotScraped")
    await installation.kubectl.patch("clinic", telemetry={"podMonitor": "Enabled"})
    await operated.follow(OF_THE_AGENT, OF_THE_OPERATOR)
    await seen.resolves("BatkolPodsNotScraped")
    return unseen


async def not_scaled(installation: Installation, seen: Prometheus) -> dict[str, str]:
    """Let an autoscaler set the number of pods that has no figures here, and fix the number again."""
    await installation.kubectl.patch("clinic", scaling={"replicas": None, "minReplicas": 2, "maxReplicas": 3})
    fired = await seen.fires("BatkolScalingNotActive")
    await installation.kubectl.patch("clinic", scaling={"replicas": 2, "minReplicas": None, "maxReplicas": None})
    await seen.resolves("BatkolScalingNotActive")
    return fired


async def not_ready(installation: Installation, seen: Prometheus) -> dict[str, str]:
    """Name a Secret that is not there, and the right one again."""
    await installation.kubectl.patch("clinic", twilio={"authTokenSecretRef": {"name": "no-such-secret"}})
    fired = await seen.fires("BatkolAgentsNotReady")
    await installation.kubectl.patch("clinic", twilio={"authTokenSecretRef": {"name": "twilio"}})
    await seen.resolves("BatkolAgentsNotReady")
    return fired


async def operator_gone(installation: Installation, seen: Prometheus) -> dict[str, str]:
    """End the operator, and start another one."""
    await installation.operators.pop().stop()
    fired = await seen.fires("BatkolOperatorDown")
    await installation.operate("operator-2", METRICS_PORT="8082")
    await seen.resolves("BatkolOperatorDown")
    return fired
