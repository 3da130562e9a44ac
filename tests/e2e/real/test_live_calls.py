"""From `kubectl patch` to a call in progress: operator, ConfigMap, API server, the service's own watch, a caller."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from lightkube import AsyncClient

from batkol.events.events import AnyEvent, FinalText, UtteranceStarted
from batkol.simulators.client.watching import watching
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.twilio.caller import CallPlan, CallReport, place_call
from batkol.voices.marked.voice import SpokenAudio, script
from support.kube.control_plane import ControlPlane
from support.kube.kubelet import Kubelets
from support.kube.pod_processes import PodProcesses
from support.operators.installation import PUBLIC, TOKEN, Installation, installed
from support.service.stack import plain, words_of
from support.time.waiting import eventually, until

TALK = script([["שלום", "אני", "רוצה"], ["כן", "מספר", "טלפון"], ["תודה", "אני", "רוצה"]], gap_ms=4000, tail_ms=1500)


@dataclass
class Running:
    """An agent with real pods, and what is heard from one of them."""

    installation: Installation
    pods: PodProcesses
    token: str
    events: list[AnyEvent]

    @property
    def address(self) -> str:
        (address,) = self.pods.addresses.values()
        return address

    def call(self, spoken: SpokenAudio) -> asyncio.Task[CallReport]:
        plan = CallPlan(base_url=f"http://{self.address}:8080", public_url=PUBLIC, auth_token=TOKEN, audio=spoken.mulaw)
        return asyncio.create_task(place_call(plan))

    async def status(self) -> Any:
        """What the pod says of itself."""
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {self.token}"}) as http:
            return (await http.get(f"http://{self.address}:8081/v1/status")).json()

    def heard(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
async def google() -> AsyncIterator[int]:
    double = SpeechDouble()
    yield await double.start()
    await double.stop()


@asynccontextmanager
async def running(
    control_plane: ControlPlane, admin: AsyncClient, namespace: str, folder: Path, google: int, **spec: Any
) -> AsyncIterator[Running]:
    """Install, create an agent, run its pod for real, and listen to it."""
    pods = PodProcesses(control_plane, admin, folder)
    try:
        async with (
            installed(control_plane, namespace, folder) as installation,
            Kubelets(admin, namespace, started=pods.started, stopped=pods.stopped),
        ):
            await installation.operate()
            recognition = {"endpoint": f"127.0.0.1:{google}", "insecure": True}
            await installation.create("clinic", recognition=recognition, scaling={"replicas": 1}, **spec)
            await installation.until("clinic", "Ready")
            secret = await installation.get("secret", "clinic-api")
            token = base64.b64decode(secret["data"]["token"]).decode()
            made = Running(installation, pods, token, [])
            async with watching(f"http://{made.address}:8081", token) as events:
                listening = asyncio.create_task(_listen(events, made.events))
                try:
                    yield made
                finally:
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)
    finally:
        await pods.aclose()


async def _listen(events: AsyncIterator[AnyEvent], into: list[AnyEvent]) -> None:
    async for event in events:
        into.append(event)  # noqa: PERF401 - one by one, as they come


async def test_a_patch_is_in_force_in_a_call_in_progress_and_no_pod_is_touched(
    control_plane: ControlPlane, admin: AsyncClient, namespace: str, tmp_path: Path, google: int
) -> None:
    spec = {"streaming": {"mode": "Disabled"}}
    async with running(control_plane, admin, namespace, tmp_path, google, **spec) as agent:
        kubectl, template = agent.installation.kubectl, await agent.installation.template("clinic")
        pod = dict(agent.pods.addresses)
        call = agent.call(TALK)
        await until(lambda: agent.heard(FinalText), 60)

        await kubectl.patch("clinic", recognition={"batchMilliseconds": 200}, streaming={"mode": "Enabled"})
        await agent.installation.until("clinic", "TuningApplied")
        status = await agent.status()
        assert status["tuning"]["batch_ms"] == 200
        assert status["active_calls"] == 1, "the call is still on"
        assert status["live"]["refusals"] == []

        report = await call
        await until(lambda: len(agent.heard(FinalText)) == 3, 60)
        assert report.clean
        assert [plain(event.text) for event in agent.heard(FinalText)] == words_of(TALK)
        assert agent.heard(UtteranceStarted)[0].mode == "single"
        assert agent.heard(UtteranceStarted)[-1].mode == "streaming"
        assert await agent.installation.template("clinic") == template
        assert agent.pods.addresses == pod


async def test_another_recognizer_is_in_force_in_a_call_in_progress_and_no_pod_is_touched(
    control_plane: ControlPlane, admin: AsyncClient, namespace: str, tmp_path: Path, google: int
) -> None:
    spec = {"streaming": {"mode": "Enabled"}}
    async with running(control_plane, admin, namespace, tmp_path, google, **spec) as agent:
        kubectl, template = agent.installation.kubectl, await agent.installation.template("clinic")
        pod = dict(agent.pods.addresses)
        call = agent.call(TALK)
        await until(lambda: agent.heard(FinalText), 60)

        await kubectl.patch("clinic", recognition={"order": ["google-v1/command_and_search", "google-v1/default"]})
        await agent.installation.until("clinic", "TuningApplied")
        status = await agent.status()
        assert status["recognizer"]["order"] == ["google-v1/command_and_search", "google-v1/default"]
        assert (status["active_calls"], status["live"]["refusals"]) == (1, []), "the call is still on"

        report = await call
        await until(lambda: len(agent.heard(FinalText)) == 3, 60)
        assert report.clean
        finals = agent.heard(FinalText)
        assert [plain(event.text) for event in finals] == words_of(TALK)
        assert finals[0].recognizer == "google-v1/default"
        assert finals[-1].recognizer == "google-v1/command_and_search"
        assert await agent.installation.template("clinic") == template
        assert agent.pods.addresses == pod


async def test_a_prompt_is_in_force_in_a_call_in_progress_and_no_pod_is_touched(
    control_plane: ControlPlane, admin: AsyncClient, namespace: str, tmp_path: Path, google: int
) -> None:
    async with LLMDouble(LLMSettings(profile="fixed:50")) as model:
        answerer = {"kind": "OpenAI", "url": await model.start(), "model": "gpt-4.1"}
        spec = {"streaming": {"mode": "Enabled"}, "reply": {"answerer": answerer, "prompt": "the old prompt"}}
        async with running(control_plane, admin, namespace, tmp_path, google, **spec) as agent:
            kubectl, template = agent.installation.kubectl, await agent.installation.template("clinic")
            pod = dict(agent.pods.addresses)
            before = (await agent.status())["reply"]["revision"]
            call = agent.call(TALK)
            await until(lambda: prompts(model), 60)

            await kubectl.patch("clinic", reply={"prompt": "the new prompt"})
            await agent.installation.until("clinic", "ReplyApplied")
            wanted = (await agent.installation.get("vagent", "clinic"))["status"]["replyRevision"]
            status = await agent.status()
            assert (status["reply"]["revision"], status["active_calls"]) == (wanted, 1), "the call is still on"
            assert wanted != before

            async def used() -> bool:
                return bool((await agent.status())["reply"]["calls"] == 1)

            await eventually(used)
            report = await call
            assert report.clean
            assert sorted(set(prompts(model)), reverse=True) == ["the old prompt", "the new prompt"]
            assert prompts(model)[-1] == "the new prompt"
            assert await agent.installation.template("clinic") == template
            assert agent.pods.addresses == pod
            (name,) = pod
            assert "prompt_characters" in agent.pods.log(name)
            assert " prompt" not in agent.pods.log(name).replace('"answerer_prompt"', "")


def prompts(model: LLMDouble) -> list[str]:
    """Return the instructions of each question so far."""
    return [record.messages[0].content for record in model.records if record.messages[0].role == "system"]


async def test_while_the_api_server_is_away_calls_go_on_and_changes_arrive_once_it_is_back(
    control_plane: ControlPlane, admin: AsyncClient, namespace: str, tmp_path: Path, google: int
) -> None:
    spec = {"streaming": {"mode": "Enabled"}}
    async with running(control_plane, admin, namespace, tmp_path, google, **spec) as agent:
        call = agent.call(TALK)
        await until(lambda: agent.heard(FinalText), 60)
        await control_plane.restart_api()
        report = await call
        await until(lambda: len(agent.heard(FinalText)) == 3, 60)
        assert report.clean
        assert [plain(event.text) for event in agent.heard(FinalText)] == words_of(TALK)

        await agent.installation.kubectl.patch("clinic", recognition={"batchMilliseconds": 240})

        async def applied() -> bool:
            return bool((await agent.status())["tuning"]["batch_ms"] == 240)

        await eventually(applied)
