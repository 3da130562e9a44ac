"""Prometheus, as its own operator configures it, reads the pods: dashboards draw, and alerts find what they ask for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from support.node.agent import NAME, Agent, kill
from support.node.agent import NAMESPACE as VOICE
from support.node.cluster import Cluster
from support.node.commands import CERTIFICATE
from support.node.places import API, KUBECONFIG, RUN
from support.node.shell import SYSTEM, chart, get, helm, kubectl, restart_operator
from support.prometheus.evaluated import empty_of, missing_of
from support.prometheus.observed import OPERATOR, SERVICE, TIMES, expressions, queries
from support.prometheus.operated import Api, Operated, prometheus_operator, started
from support.prometheus.server import Prometheus
from support.time.waiting import eventually

OF_THE_AGENT: Final = f"podMonitor/{VOICE}/{NAME}/0"
OF_THE_OPERATOR: Final = f"podMonitor/{SYSTEM}/batkol-operator/0"
BY_SERVICE: Final = f"serviceMonitor/{SYSTEM}/batkol-operator/0"

NEVER_HERE: Final[dict[str, str]] = {
    "batkol_sink_": "no sink is set",
    "batkol_tool_": "no tool is set",
    "batkol_summaries_": "no summary is asked for",
    "batkol_reply_failovers_total": "there is one answerer",
    "batkol_reply_hedges_total": "there is one answerer",
    "batkol_voice_switches_total": "there is one voice",
    "batkol_fallbacks_total": "the recognizer does not fail",
    'batkol_recognizer_streams{recognizer!~"google-v1/': "no other recognizer streams",
    "batkol_operator_contests_total": "nobody else writes the operator's fields",
    "batkol_operator_errors_total": "the operator meets no error",
    "batkol_operator_agent_state{": "the agent is ready",
    "batkol_operator_agent_scaling_active": "the number of pods is fixed",
}
"""How the selectors begin that match nothing here, with the reason. What asks for them may draw nothing."""
EMPTY: Final[dict[str, str]] = {
    "batkol: Background tasks: deaths, and tasks that are down: A": "no task dies",
    "batkol: Background tasks: deaths, and tasks that are down: B": "no task is down",
    "batkol: Calls that had a budget, by the share that they used: A": "no budget is set",
    "batkol: Failures of answerer and voice, by part and reason: A": "neither fails",
    "batkol: HTTP connections: open, limit, closed before an answer: C": "every request is answered",
    "batkol: Hang-ups and transfers, by outcome: A": "the callers end their calls",
    "batkol-operator: Pods out of sync, by VoiceAgent: A": "a pod takes a second for new tuning",
}
"""Other queries that may draw nothing here, with the reason."""


def excused_of(asked: Mapping[str, str]) -> set[str]:
    """The queries that ask for what no pod exposes here."""
    return {where for where, query in asked.items() if any(each in query for each in NEVER_HERE)}


@pytest.fixture
async def operated(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Operated]:
    """Before the agent: the chart renders monitors where the cluster has their kinds."""
    token = (RUN / "tokens.csv").read_text().partition(",")[0]
    api = Api(API, CERTIFICATE, token, KUBECONFIG)
    async with prometheus_operator(api, tmp_path, TIMES) as running:
        yield running


@pytest.fixture
async def scraped(operated: Operated, agent: Agent) -> AsyncIterator[Prometheus]:
    """What scrapes the agent's pods and the operator. An operator from before looks for new kinds at its start only."""
    if await get(f"--namespace={VOICE}", "podmonitor", NAME) is None:
        await restart_operator()
    async with started(operated, OF_THE_AGENT, OF_THE_OPERATOR) as seen:
        await seen.scrapes(3)
        yield seen
    await agent.patch(telemetry=None, twilio={"authTokenSecretRef": {"name": "twilio"}})


async def test_every_pod_is_scraped_under_the_labels_that_dashboards_and_alerts_stand_on(
    operated: Operated, agent: Agent, scraped: Prometheus
) -> None:
    pods = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in await agent.pods()}
    (operator,) = (await get(f"--namespace={SYSTEM}", "pods", "--selector=app.kubernetes.io/name=batkol-operator"))[
        "items"
    ]
    targets = [each["labels"] for each in await scraped.targets()]
    of_the_agent = [each for each in targets if each["namespace"] == VOICE]
    (of_the_operator,) = [each for each in targets if each["namespace"] == SYSTEM]

    assert sorted(of_the_agent, key=lambda each: each["pod"]) == [
        {
            "namespace": VOICE,
            "job": NAME,
            "pod": name,
            "instance": f"{address}:8081",
            "container": "media",
            "endpoint": "internal",
            "batkol_dev_agent": NAME,
        }
        for name, address in sorted(pods.items())
    ]
    assert of_the_operator["pod"] == operator["metadata"]["name"]
    assert operated.jobs[OF_THE_AGENT]["scrape_interval"] == "15s"
    assert operated.jobs[OF_THE_OPERATOR]["scrape_interval"] == "30s"


@pytest.mark.usefixtures("operated")  # before the agent
async def test_panels_draw_and_rules_find_their_metrics_with_their_labels(agent: Agent, scraped: Prometheus) -> None:
    since = time.time() - 15  # the pods are new then
    calls = await agent.call()
    await calls.spoken(6)
    await agent.patch(recognition={"batchMilliseconds": 200}, streaming={"mode": "Disabled"})
    await agent.until("TuningApplied", seconds=30)
    await calls.over()
    assert calls.cut() == []
    asked = {
        f"{name}: {where}": query
        for name in (SERVICE, OPERATOR)
        for where, query in queries(name, rate="10s", whole="2m", times=10).items()
    }
    rules = {**expressions(SERVICE), **expressions(OPERATOR)}

    excused = excused_of(asked) | set(EMPTY)
    empty = await empty_of(scraped, asked, since=since, listed=excused)
    missing = await missing_of(scraped, {**asked, **rules})
    evaluated = await scraped.rules()

    assert {rule["name"] for rule in evaluated} == set(rules)
    assert [(rule["name"], rule["lastError"]) for rule in evaluated if rule["health"] != "ok"] == []
    assert empty - excused == set()
    assert {each for each in missing if not each.startswith(tuple(NEVER_HERE))} == set()
    assert [alert for alert in await scraped.firing() if alert["severity"] == "critical"] == []


async def test_alerts_fire_as_pods_crash_and_monitors_and_the_operator_go(
    operated: Operated, agent: Agent, scraped: Prometheus
) -> None:
    async with crashing(agent):
        crashed = await scraped.fires("BatkolAbsent")
    await agent.settled()
    await scraped.resolves("BatkolAbsent")

    await agent.patch(telemetry={"podMonitor": "Disabled"})
    await operated.follow(OF_THE_OPERATOR, without=OF_THE_AGENT)
    unseen = await scraped.fires("BatkolPodsNotScraped")
    await agent.patch(telemetry={"podMonitor": "Enabled"})
    await operated.follow(OF_THE_AGENT, OF_THE_OPERATOR)
    await scraped.resolves("BatkolPodsNotScraped")

    await agent.patch(twilio={"authTokenSecretRef": {"name": "no-such-secret"}})
    unready = await scraped.fires("BatkolAgentsNotReady")
    await agent.patch(twilio={"authTokenSecretRef": {"name": "twilio"}})
    await agent.settled()
    await scraped.resolves("BatkolAgentsNotReady")

    await kubectl(f"--namespace={SYSTEM}", "scale", "deployment/batkol-operator", "--replicas=0")
    down = await scraped.fires("BatkolOperatorDown")
    await kubectl(f"--namespace={SYSTEM}", "scale", "deployment/batkol-operator", "--replicas=1")
    await scraped.resolves("BatkolOperatorDown")

    assert crashed == {"alertname": "BatkolAbsent", "severity": "critical", "namespace": VOICE, "job": NAME}
    of_the_agent = {"agent_namespace": VOICE, "agent": NAME}
    assert unseen == {"alertname": "BatkolPodsNotScraped", "severity": "warning", **of_the_agent}
    assert unready.items() >= {"alertname": "BatkolAgentsNotReady", "severity": "critical", **of_the_agent}.items()
    of_the_operator_gone = {"namespace": SYSTEM, "job": f"{SYSTEM}/batkol-operator"}
    assert down == {"alertname": "BatkolOperatorDown", "severity": "warning", **of_the_operator_gone}


@asynccontextmanager
async def crashing(agent: Agent) -> AsyncIterator[None]:
    """Kill the program of every pod again and again, so that the kubelet waits before it starts one anew."""

    async def kill_all() -> None:
        while True:
            for pod in await agent.pods():
                with suppress(LookupError, ValueError, KeyError):  # it does not run just now
                    await asyncio.to_thread(kill, pod)
            await asyncio.sleep(1)

    killing = asyncio.create_task(kill_all())
    try:
        yield
        assert not killing.done(), killing
    finally:
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)


async def test_a_service_monitor_does_as_well(operated: Operated, agent: Agent, scraped: Prometheus) -> None:
    settings = chart("sample.enabled=false", "monitoring.serviceMonitor.mode=Enabled")
    await helm("upgrade", *settings, "--wait", "--timeout=5m")
    await operated.follow(OF_THE_AGENT, BY_SERVICE, without=OF_THE_OPERATOR)

    async def by_service() -> bool:
        found = [each["labels"] for each in await scraped.targets() if each["health"] == "up"]
        return [each["service"] for each in found if each["namespace"] == SYSTEM] == ["batkol-operator"]

    await eventually(by_service, 120)
    since = time.time()
    await agent.patch(recognition={"batchMilliseconds": 180})
    await agent.until("TuningApplied", seconds=30)
    asked = queries(OPERATOR, rate="10s", whole="2m", times=TIMES)
    excused = excused_of(asked) | {"Pods out of sync, by VoiceAgent: A"}
    empty = await empty_of(scraped, asked, since=since, listed=excused)

    assert empty - excused == set()
