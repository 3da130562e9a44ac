"""The fleet as the operator renders it and as the documentation asks for it, with pods at the rendered port."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from batkol.fleet.endpoint import Endpoint, endpoint
from batkol_operator.resources.plan import plan
from support.fleet.houses import houses
from support.kube.manifests import one, variables
from support.operators.agents import AROUND, agent

PODS = ["127.0.77.1", "127.0.77.2"]
PAGE = Path(__file__).parents[2] / "docs/kubernetes.md"


async def test_one_command_of_the_documentation_shows_the_calls_of_two_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS answers the headless Service's name, and no other, with the address of each pod."""
    wanted = plan(agent(), AROUND)
    service = one(wanted, "Service", "reception-fleet")
    (port,) = (each["port"] for each in service["spec"]["ports"])
    resolver = asyncio.get_running_loop().getaddrinfo

    async def resolve(host: str, number: int, **more: Any) -> Any:
        if host == service["metadata"]["name"]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (pod, number)) for pod in PODS]
        return await resolver(host, number, **more)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    names = [endpoint(variables(wanted)["FLEET_PEERS"])]
    commands = re.findall(r"'localhost:8081(/v1/\S+)'", PAGE.read_text(encoding="utf-8"))
    async with houses(2, addresses=[Endpoint(pod, port) for pod in PODS], names=names) as pods:
        sids = {pod.admitted().identity.call_sid for pod in pods}
        (calls,) = [path for path in commands if path.startswith("/v1/calls")]
        shown = await pods[0].get(calls)
        (events,) = [path for path in commands if path.startswith("/v1/events")]
        async with pods[1].following(events):
            assert [pod.bus.subscribers for pod in pods] == [1, 1]

    assert {call["call_sid"] for call in shown["calls"]} == sids
    assert [peer["reachable"] for peer in shown["peers"]] == [True, True]
