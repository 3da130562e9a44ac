"""The samples of docs/balancers.md on a real API server, with the Gateway API's published definitions."""

from __future__ import annotations

from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.plan import plan
from support.chart.files import LOADER, ROOT
from support.chart.installed import Kubectl
from support.kube.control_plane import ControlPlane
from support.kube.schema_admission import admitted
from support.operators.agents import AROUND
from support.process.programs import schema

SAMPLES = sorted((ROOT / "config/samples/balancers").glob("*.yaml"))
ASKED = {"Ingress", "HTTPRoute", "Gateway", "ConfigMap", "Namespace"}
"""Kinds that this API server knows."""


def asked(path: str) -> list[Any]:
    """Return what a sample leads to, as far as the API server knows it, without the owner that is not there."""
    written, *beside = yaml.load_all((ROOT / path).read_text("utf-8"), LOADER)
    written["metadata"] |= {"uid": "0c5e-5", "generation": 1}
    made = plan(VoiceAgent.read(admitted(written)), AROUND).objects
    found = [each for each in (*made, *beside) if each["kind"] in ASKED]
    for each in found:
        each["metadata"].pop("ownerReferences", None)
    return found


async def test_the_api_server_takes_every_sample_and_refuses_a_route_that_says_what_there_is_not(
    control_plane: ControlPlane, namespace: str
) -> None:
    kubectl = Kubectl(control_plane, namespace)
    await kubectl("apply", "--server-side", f"--filename={schema('gateway-api')}")
    await kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/httproutes.gateway.networking.k8s.io")
    for name in ("voice", "gateways", "ingress-nginx", "traefik"):
        await kubectl("create", "namespace", name, check=False)

    async def dry(objects: list[Any]) -> str:
        given = yaml.safe_dump_all(objects)
        return await kubectl("apply", "--server-side", "--dry-run=server", "--filename=-", given=given)

    for path in SAMPLES:
        said = await dry(asked(str(path.relative_to(ROOT))))
        assert "serverside-applied" in said, path.name

    route = next(each for each in asked("config/samples/balancers/gateway-api.yaml") if each["kind"] == "HTTPRoute")
    route["spec"]["rules"][0]["timeouts"] = {"idle": "0s"}
    with pytest.raises(RuntimeError, match="timeouts"):
        await dry([route])
