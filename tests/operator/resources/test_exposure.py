from __future__ import annotations

import dataclasses
from typing import Any

from batkol_operator.resources.plan import plan
from support.kube.manifests import kinds, one
from support.operators.agents import AROUND, TWILIO, agent

BARE = dataclasses.replace(AROUND, kinds=frozenset())
GATEWAY = {"httpRoute": {"parentRefs": [{"name": "edge", "namespace": "gateways", "sectionName": "https"}]}}


def at(url: str, **spec: Any) -> dict[str, Any]:
    return {"twilio": {**TWILIO, "publicBaseUrl": url}, **spec}


def test_nothing_said_makes_no_way_in() -> None:
    assert not {"Ingress", "HTTPRoute"} & set(kinds(plan(agent(), AROUND)))


def test_an_ingress_leads_twilio_alone_to_the_public_port() -> None:
    """The internal API is on the same Service, and never on an Ingress."""
    ingress = one(plan(agent(exposure={"ingress": {"className": "nginx"}}), AROUND), "Ingress")

    (rule,) = ingress["spec"]["rules"]
    backend = {"service": {"name": "reception", "port": {"name": "public"}}}
    assert rule["host"] == "voice.example.com"
    assert rule["http"]["paths"] == [{"path": "/twilio", "pathType": "Prefix", "backend": backend}]
    assert ingress["spec"]["ingressClassName"] == "nginx"


def test_an_ingress_lets_a_call_last_a_day_unless_its_owner_says_otherwise() -> None:
    own = {"nginx.ingress.kubernetes.io/proxy-read-timeout": "600", "example.com/own": "yes"}
    ingress = one(plan(agent(exposure={"ingress": {"annotations": own}}), AROUND), "Ingress")

    annotations = ingress["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "600"
    assert annotations["nginx.ingress.kubernetes.io/proxy-send-timeout"] == "86400"
    assert annotations["haproxy.org/timeout-tunnel"] == "86400s"
    assert annotations["example.com/own"] == "yes"


def test_a_certificate_is_for_the_host() -> None:
    wanted = {"ingress": {"host": "other.example.com", "tlsSecretName": "tls"}}
    ingress = one(plan(agent(exposure=wanted), AROUND), "Ingress")

    assert ingress["spec"]["tls"] == [{"hosts": ["other.example.com"], "secretName": "tls"}]
    assert ingress["spec"]["rules"][0]["host"] == "other.example.com"


def test_a_route_has_no_time_out() -> None:
    route = one(plan(agent(exposure=GATEWAY), AROUND), "HTTPRoute")

    (rule,) = route["spec"]["rules"]
    assert rule == {
        "matches": [{"path": {"type": "PathPrefix", "value": "/twilio"}}],
        "backendRefs": [{"name": "reception", "port": 8080}],
        "timeouts": {"request": "0s"},
    }
    assert route["spec"]["parentRefs"] == [{"name": "edge", "namespace": "gateways", "sectionName": "https"}]
    assert route["spec"]["hostnames"] == ["voice.example.com"]


def test_a_route_strips_the_path_that_the_service_does_not_know() -> None:
    route = one(plan(agent(**at("https://Example.com:8443/voice/", exposure=GATEWAY)), AROUND), "HTTPRoute")

    (rule,) = route["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/voice/twilio"}}]
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/twilio"}
    assert rule["filters"] == [{"type": "URLRewrite", "urlRewrite": {"path": path}}]
    assert route["spec"]["hostnames"] == ["example.com"]


def test_without_the_gateway_api_it_is_said_that_nothing_leads_here() -> None:
    wanted = plan(agent(exposure=GATEWAY), BARE)

    assert "HTTPRoute" not in kinds(wanted)
    (warning,) = wanted.warnings
    assert "this cluster has no Gateway API: Twilio cannot reach the pods" in warning


def test_an_empty_exposure_is_said_to_be_one() -> None:
    (warning,) = plan(agent(exposure={}), AROUND).warnings

    assert warning.startswith("`exposure` names neither `ingress` nor `httpRoute`")
