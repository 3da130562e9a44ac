"""Pods of one agent, as processes: each answers for all, whatever becomes of the others."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from support.fleet.processes import Follower, on_the_line, processes
from support.time.waiting import eventually, until

FLEET = "/v1/calls?scope=fleet"


async def test_two_pods_show_each_others_calls_and_one_that_hangs_costs_the_other_nothing(tmp_path: Path) -> None:
    async with processes(tmp_path, 2) as pods, on_the_line(pods, 0, 1) as lines:
        follower = Follower()

        async def both() -> bool:
            return len((await pods.get(0, FLEET))["calls"]) == 2

        await eventually(both)
        shown = await pods.get(1, FLEET)
        assert {call["pod"]: call["call_sid"] for call in shown["calls"]} == {
            "pod-0": lines[0].sid,
            "pod-1": lines[1].sid,
        }
        async with follower.at(pods.up[0]):
            await follower.reachable(pod_0=True, pod_1=True)
            lines[0].press("1")
            lines[1].press("2")
            await follower.has("dtmf", call_sid=lines[0].sid, digit="1")
            await follower.has("dtmf", call_sid=lines[1].sid, digit="2")
            pods.up[1].tell(signal.SIGSTOP)
            lines[1].press("3")
            await follower.reachable(pod_0=True, pod_1=False)
            lines[0].press("4")
            await follower.has("dtmf", call_sid=lines[0].sid, digit="4")
            alone = await pods.get(0, FLEET)
            assert [call["pod"] for call in alone["calls"]] == ["pod-0"]
            assert [peer["why"] for peer in alone["peers"] if not peer["reachable"]] == [
                "It did not answer within 1 s."
            ]
            pods.up[1].tell(signal.SIGCONT)
            await follower.reachable(pod_0=True, pod_1=True)
            await follower.has("dtmf", call_sid=lines[1].sid, digit="3")
        lines[0].press("5")
        lines[1].press("6")
        async with follower.at(pods.up[1]):  # at the other pod, from where it was
            await follower.has("dtmf", call_sid=lines[0].sid, digit="5")
            await follower.has("dtmf", call_sid=lines[1].sid, digit="6")

        ids = [event["id"] for event in follower.events if "id" in event]
        assert len(ids) == len(set(ids)), "nothing twice"
        assert follower.of("gap") == []
    assert all(not pod.faults for pod in pods.up.values())


@pytest.mark.nightly
async def test_three_pods_one_of_which_dies_comes_back_and_leaves(tmp_path: Path) -> None:
    async with processes(tmp_path, 3) as pods, on_the_line(pods, 1) as (line,):
        follower = Follower()
        async with follower.at(pods.up[1]):
            await follower.reachable(pod_0=True, pod_1=True, pod_2=True)
            await pods.kill(2)
            await follower.reachable(pod_0=True, pod_1=True, pod_2=False)
            await pods.start(2)
            await follower.reachable(pod_0=True, pod_1=True, pod_2=True)
            assert len(follower.of("gap")) == 1, "what it had not said is lost with it"
            async with on_the_line(pods, 2) as (again,):
                await until(lambda: again.sid)
                await follower.has("call.started", call_sid=again.sid)
                again.press("7")
                await follower.has("dtmf", call_sid=again.sid, digit="7")
            await follower.has("call.ended", call_sid=again.sid)
            pods.up[2].tell(signal.SIGTERM)
            await pods.up[2].exited()
            await follower.reachable(pod_0=True, pod_1=True, pod_2=False)
            line.press("8")
            await follower.has("dtmf", call_sid=line.sid, digit="8")
        assert len(follower.of("gap")) == 1


@pytest.mark.nightly
async def test_a_pod_that_has_another_token_is_named_until_it_has_ours(tmp_path: Path) -> None:
    async with processes(tmp_path, 2) as pods:
        await pods.kill(1)
        await pods.start(1, API_TOKEN="another-token-that-nobody-else-has")
        shown = await pods.get(0, FLEET)
        assert [peer["why"] for peer in shown["peers"] if not peer["reachable"]] == ["It refused the token."]
        follower = Follower()
        async with follower.at(pods.up[0]):
            await follower.until(lambda _: follower.of("peers"))
            await pods.kill(1)
            await pods.start(1)
            await follower.reachable(pod_0=True, pod_1=True)


@pytest.mark.nightly
async def test_twenty_pods_are_one(tmp_path: Path) -> None:
    async with processes(tmp_path, 20, VAD="webrtc") as pods, on_the_line(pods, *range(20)) as lines:

        async def all_of_them() -> bool:
            return len((await pods.get(7, FLEET))["calls"]) == 20

        await eventually(all_of_them, 120)
        first, second = Follower(), Follower()
        async with first.at(pods.up[3]):
            async with second.at(pods.up[3]):
                for line in lines:
                    line.press("1")
                for line in lines:
                    await first.has("dtmf", call_sid=line.sid, digit="1")
                    await second.has("dtmf", call_sid=line.sid, digit="1")
                status = await pods.get(11, "/v1/status")
                assert status["subscribers"] == 1, "the feed of a pod is read once"
            for line in lines:
                line.press("2")
            for line in lines:
                await first.has("dtmf", call_sid=line.sid, digit="2")
        async with second.at(pods.up[16]):
            for line in lines:
                await second.has("dtmf", call_sid=line.sid, digit="2")
        for follower in (first, second):
            ids = [event["id"] for event in follower.events if "id" in event]
            assert len(ids) == len(set(ids))
            assert follower.of("gap") == []
            assert len(follower.source.last_event_id) < 600
