"""The Ingress or HTTPRoute of an agent: only `/twilio`, with time-outs as long as a call may last.

A call is one WebSocket, and while the caller gets no answer the service sends nothing on it: proxies close it after a
minute by default. Twilio ends a call after 24 hours at the latest. Annotations say to a cloud's balancer
what a proxy in the cluster sees by itself: where to ask whether a pod is ready, because `/` is not there; and that the
calls of a pod that ends go on.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from batkol_operator.kube import names
from batkol_operator.kube.names import Manifest
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.exposure import HTTPRoute, Ingress
from batkol_operator.resources.lifetime import grace_period
from batkol_operator.resources.objects import owned_object

HTTP_ROUTE: Final = "gateway.networking.k8s.io/HTTPRoute"
_PATH: Final = "/twilio"
_READY: Final = "/readyz"
_LONGEST_CALL_S: Final = 86_400
_LONGEST_DRAIN_S: Final = 3_600
"""The most that these balancers take. A longer `calls.drainTimeoutSeconds` is cut short by them."""
_TIMEOUTS: Final = {
    "nginx.ingress.kubernetes.io/proxy-read-timeout": str(_LONGEST_CALL_S),
    "nginx.ingress.kubernetes.io/proxy-send-timeout": str(_LONGEST_CALL_S),
    "haproxy.org/timeout-tunnel": f"{_LONGEST_CALL_S}s",
    "haproxy-ingress.github.io/timeout-tunnel": f"{_LONGEST_CALL_S}s",
    "appgw.ingress.kubernetes.io/request-timeout": str(_LONGEST_CALL_S),
}
_HEALTH: Final = {
    "alb.ingress.kubernetes.io/healthcheck-path": _READY,
    "appgw.ingress.kubernetes.io/health-probe-path": _READY,
    "appgw.ingress.kubernetes.io/health-probe-port": str(names.PUBLIC_PORT),
    "appgw.ingress.kubernetes.io/health-probe-status-code": "200",
}


def exposure(agent: VoiceAgent, kinds: frozenset[str]) -> tuple[Manifest | None, tuple[str, ...]]:
    """Return the specified Ingress or HTTPRoute, and a warning if the cluster cannot have it."""
    wanted = agent.spec.exposure
    if wanted is None:
        return None, ()
    if wanted.ingress:
        return _ingress(agent, wanted.ingress), ()
    if wanted.http_route is None:
        return None, ("`exposure` names neither `ingress` nor `httpRoute`: Twilio cannot reach the pods.",)
    if HTTP_ROUTE not in kinds:
        warning = (
            "`exposure.httpRoute` is specified, but this cluster has no Gateway API: Twilio cannot reach the pods. "
            "Install the Gateway API, or use `exposure.ingress`."
        )
        return None, (warning,)
    return _http_route(agent, wanted.http_route), ()


def _ingress(agent: VoiceAgent, wanted: Ingress) -> Manifest:
    host = wanted.host or _host(agent)
    backend = {"service": {"name": agent.metadata.name, "port": {"name": names.PUBLIC}}}
    spec: Manifest = {
        "rules": [{"host": host, "http": {"paths": [{"path": _PATH, "pathType": "Prefix", "backend": backend}]}}]
    }
    if wanted.class_name:
        spec["ingressClassName"] = wanted.class_name
    if wanted.tls_secret_name:
        spec["tls"] = [{"hosts": [host], "secretName": wanted.tls_secret_name}]
    ingress = owned_object(agent, "networking.k8s.io/v1", "Ingress", spec=spec)
    annotations = {**_TIMEOUTS, **_HEALTH, **_draining(agent), **wanted.annotations}
    ingress["metadata"]["annotations"] = dict(sorted(annotations.items()))
    return ingress


def _draining(agent: VoiceAgent) -> dict[str, str]:
    """Have the balancers of AWS and Azure leave a call alone for as long as a pod that ends has it."""
    seconds = min(grace_period(agent.spec.calls), _LONGEST_DRAIN_S)
    return {
        "alb.ingress.kubernetes.io/target-type": "ip",  # the pods themselves: the Service opens no port of a node
        "alb.ingress.kubernetes.io/target-group-attributes": f"deregistration_delay.timeout_seconds={seconds}",
        "appgw.ingress.kubernetes.io/connection-draining": "true",
        "appgw.ingress.kubernetes.io/connection-draining-timeout": str(seconds),
    }


def _http_route(agent: VoiceAgent, wanted: HTTPRoute) -> Manifest:
    """Strip the path of the public URL: the service has its own paths only."""
    prefix = urlsplit(agent.spec.twilio.public_base_url).path.rstrip("/")
    rule: dict[str, Any] = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"{prefix}{_PATH}"}}],
        "backendRefs": [{"name": agent.metadata.name, "port": agent.spec.service.port}],
        "timeouts": {"request": "0s"},  # none; a request is a whole call
    }
    if prefix:
        path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": _PATH}
        rule["filters"] = [{"type": "URLRewrite", "urlRewrite": {"path": path}}]
    parents = [
        parent.model_dump(mode="json", by_alias=True, exclude_none=True, include={"name", "namespace", "section_name"})
        for parent in wanted.parent_refs
    ]
    route = owned_object(
        agent,
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        spec={"parentRefs": parents, "hostnames": [wanted.hostname or _host(agent)], "rules": [rule]},
    )
    if wanted.annotations:
        route["metadata"]["annotations"] = dict(sorted(wanted.annotations.items()))
    return route


def _host(agent: VoiceAgent) -> str:
    return urlsplit(agent.spec.twilio.public_base_url).hostname or ""
