"""A call that one pod ended without Twilio's REST API: Twilio asks another pod what follows, which must be the end."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from batkol.events.events import CallEnded, CallStarted, ReplyEnded
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.twilio.caller import Caller, CallPlan, CallReport, place_call
from support.agent.moved import Pods, two_pods
from support.network.balancer import balancing
from support.network.ports import free_ports
from support.service.process import serving
from support.service.stack import PUBLIC, TOKEN
from support.time.waiting import until

FOREVER_S = 3600.0


async def hang_up(internal: str, call_sid: str) -> None:
    """Have a pod end the call."""
    async with httpx.AsyncClient(base_url=internal, trust_env=False, verify=False) as http:
        answer = await http.post(f"/v1/calls/{call_sid}/hangup")
    assert answer.status_code == 202, answer.text


async def ended_by_the_old_pod(pods: Pods) -> CallReport:
    """Hold a call that the old pod ends; all that Twilio asks meanwhile goes to the new one."""

    async def talk(caller: Caller) -> None:
        await pods.heard(pods.old, caller.plan.call_sid, 1)
        pods.balancer.pod = pods.new.service.port
        await hang_up(pods.old.internal, caller.plan.call_sid)
        await asyncio.sleep(FOREVER_S)

    report = await place_call(pods.plan(), talk)

    assert pods.old.ended(report.call_sid).reason == "hung_up"
    assert report.closed_by == "server"
    assert report.clean, report.violations
    return report


@pytest.mark.parametrize("gone", [False, True], ids=["the pod is there", "the pod is gone when Twilio asks"])
async def test_twilio_s_question_to_another_pod_ends_the_call(tmp_path: Path, *, gone: bool) -> None:
    """The new pod has no address of the old one where that is gone: it cannot ask, and has been told."""
    async with two_pods(tmp_path, new={"fleet_peers": ()} if gone else None) as pods:
        report = await ended_by_the_old_pod(pods)

        assert (report.streams, report.said) == (1, [])
        assert pods.new.heard.of(report.call_sid, CallStarted) == []
        assert not pods.old.service.calls.redial_expected, "the pod that ended it need not stay to be asked"


async def test_a_pod_that_was_not_told_asks(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as pods:
        pods.old.service.peer_ends = None

        report = await ended_by_the_old_pod(pods)

        assert (report.streams, report.said) == (1, [])
        assert not pods.old.service.calls.redial_expected, "it was asked"


@pytest.mark.nightly
async def test_a_pod_that_is_killed_before_twilio_asks_has_told_the_others(tmp_path: Path) -> None:
    double, ports = SpeechDouble(), free_ports(2)
    async with double, balancing(0) as balancer, AsyncExitStack() as exits:
        shared: dict[str, Any] = {
            "AGENT_REPLIES": "true", "ANSWERER": "echo", "VOICE": "builtin", "GREETING": "שלום",
            "FLEET_PEERS": ",".join(f"127.0.0.1:{port}" for port in ports),
        }  # fmt: skip
        google, pods = await double.start(), []
        for name, port in zip(("old", "new"), ports, strict=True):
            (tmp_path / name).mkdir()
            own = {**shared, "POD_NAME": name, "INTERNAL_PORT": str(port)}
            pods.append(await exits.enter_async_context(serving(tmp_path / name, google, **own)))
        old, new = pods
        balancer.pod = old.port

        async def talk(caller: Caller) -> None:
            await old.until(ReplyEnded)
            balancer.pod = new.port
            balancer.on_connection = lambda: old.tell(signal.SIGKILL)  # the next one comes behind the stream's end
            await hang_up(old.internal, caller.plan.call_sid)
            await asyncio.sleep(FOREVER_S)

        report = await place_call(CallPlan(base_url=balancer.url, public_url=PUBLIC, auth_token=TOKEN), talk)

        assert await old.exited() == -signal.SIGKILL
        await until(lambda: any(isinstance(event, CallEnded) for event in old.events))  # they are read beside this
        assert (report.streams, report.said, report.closed_by) == (1, [], "server")
        assert [event for event in new.events if isinstance(event, CallStarted)] == []
        assert new.faults == []
