"""An agent in another namespace: the example of docs/kubernetes.md, as the objects that the operator makes of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # has no types

from batkol import api_tokens
from batkol.rights import Right
from batkol_operator.resources.plan import plan
from support.chart.files import LOADER
from support.kube.manifests import one, variables
from support.kube.schema_admission import admitted
from support.operators.agents import AROUND, agent, document

PAGE = (Path(__file__).parents[3] / "docs/kubernetes.md").read_text("utf-8")
EXAMPLE = PAGE.partition("## An agent in another namespace\n")[2].partition("\n## ")[0]


def patched() -> dict[str, Any]:
    """Return the spec that the example's patch adds."""
    (patch,) = re.findall(r"--type=merge -p '(.*?)'\n", EXAMPLE, re.DOTALL)
    spec: dict[str, Any] = json.loads(patch)["spec"]
    return spec


def test_the_pods_read_the_tokens_of_the_secret_that_the_example_makes() -> None:
    (name, key) = re.findall(r"secret generic (\S+) --from-literal=(\S+)='\{", EXAMPLE)[0]

    assert variables(plan(agent(**patched()), AROUND))["API_TOKENS"] == {"secretKeyRef": {"name": name, "key": key}}


def test_the_example_is_a_spec_that_the_api_server_takes() -> None:
    """And prunes nothing of."""
    kept = admitted(document(**patched()))["spec"]

    assert kept["internalApi"] == patched()["internalApi"]
    assert kept["networkPolicy"].items() >= patched()["networkPolicy"].items()


def test_the_service_takes_the_tokens_of_the_example() -> None:
    (tokens,) = re.findall(r"tokens\.json='(\{.*?\n\})'", EXAMPLE, re.DOTALL)
    (grant,) = api_tokens.read(tokens.replace("'$token'", "0f" * 32))

    assert grant.name == "reception-bot"
    assert grant.may == {Right.STATUS, Right.TEXTS, Right.LINE}


def test_the_namespace_of_the_agent_reaches_the_internal_port_and_no_other() -> None:
    (namespace,) = set(re.findall(r"kubectl -n (\S+) create secret generic batkol", EXAMPLE))
    ingress = one(plan(agent(**patched()), AROUND), "NetworkPolicy")["spec"]["ingress"]
    let_in = {rule["ports"][0]["port"]: rule.get("from") for rule in ingress}
    namespaces, *pods = let_in["internal"]

    assert namespace in namespaces["namespaceSelector"]["matchExpressions"][0]["values"]
    assert all("namespaceSelector" not in each for each in pods), "pods of the agent's own namespace"
    assert namespace not in json.dumps(let_in["public"])


def test_the_agent_asks_the_service_of_the_voice_agent_at_the_port_that_is_there() -> None:
    (environment,) = re.findall(r"```yaml\n(.*?)```", EXAMPLE, re.DOTALL)
    url, token = yaml.load(environment, LOADER)["env"]
    service = one(plan(agent(), AROUND), "Service", "reception")
    port = next(each["port"] for each in service["spec"]["ports"] if each["name"] == "internal")

    assert url["value"] == f"http://{service['metadata']['name']}.{service['metadata']['namespace']}:{port}"
    secret = token["valueFrom"]["secretKeyRef"]
    assert f"create secret generic {secret['name']} --from-literal={secret['key']}=$token" in EXAMPLE
