"""An agent behind each load balancer, as config/samples/balancers writes it: no call is ended by a time-out, the
balancer sees which pods are ready, and it leaves the calls of a pod alone that ends.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types

from batkol.web.probes import PATHS
from batkol_operator.kube import names
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.plan import Plan, plan
from support.chart.files import LOADER, ROOT
from support.kube.balancers import LONGEST_DRAIN_S, SPECS, misfits
from support.kube.manifests import VERSIONS, kinds, one, refusal
from support.kube.schema_admission import SCHEMA, admitted, pruned
from support.operators.agents import AROUND, agent

SAMPLES = {path.stem: path for path in sorted((ROOT / "config/samples/balancers").glob("*.yaml"))}
LONGEST_CALL_S = 86_400
"""Twilio's own limit."""
CLASS = "kubernetes.io/ingress.class"
ALB, AZURE, NGINX = (f"{prefix}.ingress.kubernetes.io" for prefix in ("alb", "appgw", "nginx"))


@dataclass(frozen=True)
class Sample:
    """What a file has: the agent as it is kept, what the operator makes of it, and the objects beside it."""

    written: dict[str, Any]
    wanted: Plan
    beside: list[dict[str, Any]]

    @property
    def annotations(self) -> dict[str, str]:
        return dict(one(self.wanted, "Ingress")["metadata"]["annotations"])

    @property
    def grace_s(self) -> int:
        return int(one(self.wanted, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"])

    def other(self, kind: str) -> dict[str, Any]:
        (found,) = (each for each in self.beside if each["kind"] == kind)
        return dict(found.get("spec", found))


def sample(name: str) -> Sample:
    written, *beside = yaml.load_all(SAMPLES[name].read_text("utf-8"), LOADER)
    written["metadata"] |= {"uid": "0c5e-4", "generation": 1}
    return Sample(written, plan(VoiceAgent.read(admitted(written)), AROUND), beside)


@pytest.mark.parametrize("name", SAMPLES)
def test_each_is_taken_as_it_is_written_with_all_that_stands_beside_it(name: str) -> None:
    shown = sample(name)

    assert pruned(SCHEMA, shown.written)["spec"] == shown.written["spec"], "it says what the definition does not know"
    assert SAMPLES[name].read_text("utf-8").startswith("# ")
    assert shown.wanted.warnings == ()
    for each in [*shown.wanted.objects, *shown.beside]:
        if (each["apiVersion"], each["kind"]) in SPECS:
            assert misfits(each) == []
        elif "Ingress" in each["kind"] or each in shown.beside:
            assert refusal(each, VERSIONS[0]) == ""


@pytest.mark.parametrize("name", SAMPLES)
def test_what_stands_beside_it_is_about_its_service_its_host_and_its_gateway(name: str) -> None:
    shown = sample(name)
    service = one(shown.wanted, "Service", "reception")["metadata"]
    for each in shown.beside:
        spec, about = each.get("spec", {}), each["metadata"]
        if "targetRef" in spec:
            assert (about["namespace"], spec["targetRef"]["name"]) == (service["namespace"], service["name"])
        if each["kind"] == "Gateway":
            (parent,) = one(shown.wanted, "HTTPRoute")["spec"]["parentRefs"]
            (listener,) = spec["listeners"]
            assert about["name"] == parent["name"]
            assert about["namespace"] == parent.get("namespace", service["namespace"])
            assert (listener["name"], listener["hostname"]) == (parent["sectionName"], "voice.example.com")
    entry = next(each for each in shown.wanted.objects if each["kind"] in ("Ingress", "HTTPRoute"))
    assert ("Gateway" in {each["kind"] for each in shown.beside}) == (entry["kind"] == "HTTPRoute")
    policy = one(shown.wanted, "NetworkPolicy")["spec"]["ingress"][0]
    in_the_cluster = name in ("nginx", "traefik", "gateway-api")
    assert ("from" in policy) == in_the_cluster, "the balancers of clouds come from no namespace"


def test_gkes_ingress_lets_a_call_last_a_day_and_asks_for_what_is_there() -> None:
    """By default it ends a WebSocket after 30 s, drains for no time, and asks for `/`."""
    shown = sample("gke-ingress")
    config = shown.other("BackendConfig")
    service = one(shown.wanted, "Service", "reception")["metadata"]["annotations"]

    assert shown.annotations[CLASS] == "gce"
    assert "ingressClassName" not in one(shown.wanted, "Ingress")["spec"], "the API server takes only one of the two"
    assert json.loads(service["cloud.google.com/backend-config"]) == {"default": shown.beside[0]["metadata"]["name"]}
    assert json.loads(service["cloud.google.com/neg"]) == {"ingress": True}, "it leads to the pods themselves"
    assert config["timeoutSec"] == LONGEST_CALL_S
    assert shown.grace_s <= config["connectionDraining"]["drainingTimeoutSec"] <= LONGEST_DRAIN_S
    assert_readiness(config["healthCheck"]["requestPath"], config["healthCheck"]["port"])


def test_gkes_gateway_has_the_same_by_two_policies() -> None:
    shown = sample("gke-gateway")
    backend = shown.other("GCPBackendPolicy")["default"]
    (health,) = (each["spec"]["default"] for each in shown.beside if each["kind"] == "HealthCheckPolicy")

    assert backend["timeoutSec"] == LONGEST_CALL_S
    assert shown.grace_s <= backend["connectionDraining"]["drainingTimeoutSec"] <= LONGEST_DRAIN_S
    assert_readiness(health["config"]["httpHealthCheck"]["requestPath"], health["config"]["httpHealthCheck"]["port"])


def test_awss_balancer_leads_to_the_pods_and_leaves_their_calls_alone() -> None:
    shown = sample("aws-alb")

    assert shown.annotations[f"{ALB}/target-type"] == "ip", "the Service is a ClusterIP"
    assert_readiness(shown.annotations[f"{ALB}/healthcheck-path"], names.PUBLIC_PORT)
    delay = attributes(shown.annotations[f"{ALB}/target-group-attributes"])["deregistration_delay.timeout_seconds"]
    assert shown.grace_s <= int(delay) <= LONGEST_DRAIN_S
    idle = attributes(shown.annotations[f"{ALB}/load-balancer-attributes"])["idle_timeout.timeout_seconds"]
    assert 60 < int(idle) <= 4000
    assert shown.beside[0]["metadata"]["labels"] == {"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"}
    assert shown.beside[0]["metadata"]["name"] == shown.written["metadata"]["namespace"]


def test_azures_gateway_lets_a_call_last_a_day_and_leaves_it_alone() -> None:
    shown = sample("azure-application-gateway")
    said = {key.removeprefix(f"{AZURE}/"): value for key, value in shown.annotations.items() if AZURE in key}

    assert shown.annotations[CLASS] == "azure/application-gateway"
    assert int(said["request-timeout"]) == LONGEST_CALL_S
    assert said["connection-draining"] == "true"
    assert shown.grace_s <= int(said["connection-draining-timeout"]) <= LONGEST_DRAIN_S
    assert said["health-probe-hostname"] == "voice.example.com"
    assert said["health-probe-status-code"] == "200"
    assert_readiness(said["health-probe-path"], int(said["health-probe-port"]))


def test_azures_gateway_for_containers_asks_the_port_that_it_may_reach() -> None:
    """Without a policy it takes the readiness probe's, which is the internal one."""
    health = sample("azure-for-containers").other("HealthCheckPolicy")["default"]

    assert_readiness(health["http"]["path"], health["port"])
    assert health["http"]["match"]["statusCodes"] == [{"start": 200, "end": 200}], "503 is a pod that drains"


def test_nginxs_old_workers_have_as_long_as_a_call() -> None:
    shown = sample("nginx")

    assert shown.annotations[f"{NGINX}/proxy-read-timeout"] == str(LONGEST_CALL_S)
    assert shown.annotations[f"{NGINX}/proxy-send-timeout"] == str(LONGEST_CALL_S)
    assert shown.other("ConfigMap")["data"]["worker-shutdown-timeout"] == f"{LONGEST_CALL_S}s"


def test_traefik_ends_after_its_calls() -> None:
    shown = sample("traefik")
    static = yaml.load(shown.other("ConfigMap")["data"]["traefik.yaml"], LOADER)
    life = static["entryPoints"]["websecure"]["transport"]["lifeCycle"]

    assert int(life["graceTimeOut"].removesuffix("s")) >= shown.grace_s
    assert static["providers"]["kubernetesIngress"]["ingressClass"] == "traefik"
    assert one(shown.wanted, "Ingress")["spec"]["ingressClassName"] == "traefik"


@pytest.mark.parametrize(("drain_s", "told"), [(0, 60), (300, 360), (3540, 3600), (86_400, 3600)])
def test_a_balancer_drains_for_as_long_as_a_pod_has_to_end_but_for_an_hour_at_most(drain_s: int, told: int) -> None:
    wanted = plan(agent(exposure={"ingress": {}}, calls={"drainTimeoutSeconds": drain_s}), AROUND)
    annotations = one(wanted, "Ingress")["metadata"]["annotations"]

    assert annotations[f"{ALB}/target-group-attributes"] == f"deregistration_delay.timeout_seconds={told}"
    assert annotations[f"{AZURE}/connection-draining-timeout"] == str(told)


def test_every_sample_is_in_the_documentation_and_none_other() -> None:
    page = (ROOT / "docs/balancers.md").read_text("utf-8")

    assert set(re.findall(r"config/samples/balancers/([a-z-]+)\.yaml", page)) == set(SAMPLES)
    assert {"Ingress", "HTTPRoute"} <= {kind for name in SAMPLES for kind in kinds(sample(name).wanted)}


def assert_readiness(path: str, port: int) -> None:
    """Check that a balancer asks the public port for something that the service has there, and that says 503."""
    assert path == "/readyz"
    assert path in PATHS
    assert port == names.PUBLIC_PORT


def attributes(written: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in written.split(","))
