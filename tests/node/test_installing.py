"""Helm on a real node: a fresh installation, `helm test`, an upgrade, a rollback and an uninstallation under calls."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from batkol.simulators.twilio.caller import Caller, CallOutcome, CallPlan, CallReport
from batkol.voices.marked.voice import script
from support.node.images import NEXT_TAG, SERVICE
from support.node.shell import SYSTEM, chart, get, helm, kubectl, uninstalled
from support.time.waiting import until

TALK = script([["שלום", "תודה"], ["מספר", "טלפון"]] * 8, lead_ms=500, gap_ms=2500, tail_ms=2000)


async def ready(name: str = "dev") -> None:
    await kubectl(f"--namespace={SYSTEM}", "wait", f"vagent/{name}", "--for=condition=Ready", "--timeout=180s")


async def caller() -> Caller:
    """A caller of the sample, through its Service."""
    service = await get(f"--namespace={SYSTEM}", "service", "dev")
    url = f"http://{service['spec']['clusterIP']}:8080"
    return Caller(CallPlan(base_url=url, public_url="http://dev:8080", audio=TALK.mulaw))


def whole(report: CallReport) -> bool:
    """Whether the caller ended the call, and Twilio would have logged nothing."""
    end = (report.outcome, report.closed_by, report.close_code)
    return report.clean and end == (CallOutcome.COMPLETED, "caller", 1000)


async def test_ten_fresh_installations_in_a_row_succeed_at_the_first_try(bare: None) -> None:
    """Without a definition in the cluster: Helm could look the sample's kind up too early, in one of two tries."""
    said = []
    for _ in range(10):
        assert await get("crd", "voiceagents.batkol.dev") is None
        done = await helm("install", *chart(), check=False)
        made = await get(f"--namespace={SYSTEM}", "vagent", "dev")
        made_by = await get(f"--namespace={SYSTEM}", "jobs,serviceaccounts,roles", "--selector=helm.sh/chart")
        said.append((done.code, done.wrong if done.code else "", bool(made)))
        left = [each["metadata"]["name"] for each in made_by["items"]]
        assert left == ["batkol-operator"], "the Job that made it is gone, and its account"
        await uninstalled()

    assert said == [(0, "", True)] * 10


async def test_helm_test_prints_its_verdict_and_succeeds(bare: None) -> None:
    await helm("install", *chart())
    await ready()

    done = await helm("test", "--logs", "--timeout=5m", check=False)

    assert done.code == 0, done.out + done.wrong
    assert "GO" in done.out
    assert "unable to get pod logs" not in done.out + done.wrong


async def test_an_upgrade_a_rollback_and_an_uninstallation_cut_no_call(bare: None) -> None:
    """The first revision has no sample among its objects: a rollback to it must not take the agent away."""
    await helm("install", *chart())
    await ready()
    before = (await get(f"--namespace={SYSTEM}", "vagent", "dev"))["metadata"]["uid"]

    async def during(*command: str) -> tuple[Any, CallReport]:
        calls = await caller()
        calling = asyncio.create_task(calls.run())
        await until(lambda: calls.report.frames_sent > 150)  # it is in the middle of its call
        await helm(*command)
        return await get(f"--namespace={SYSTEM}", "vagent", "dev"), await calling

    for command in (
        (
            "upgrade",
            *chart(f"sample.spec.image.repository={SERVICE}", f"sample.spec.image.tag={NEXT_TAG}"),
        ),
        ("rollback", "1"),
        ("uninstall",),
    ):
        agent, report = await during(*command)
        assert agent["metadata"]["uid"] == before, command[0]
        assert whole(report), (command[0], report.violations, report.ends)
    agent = await get(f"--namespace={SYSTEM}", "vagent", "dev")
    assert "finalizers" not in json.dumps(agent["metadata"]), "an agent that is left can be deleted"
