"""The shape of what a load balancer's own controllers read beside an agent: as much of it as the samples use.

Written from what their projects publish (ingress-gce, gke-gateway-api, Azure's documentation, the Gateway API). The
Gateway API's whole schema is asked in `make e2e`.
"""

from __future__ import annotations

from typing import Any, Final

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no types

LONGEST_DRAIN_S: Final = 3600
"""Of Google, AWS and Azure alike."""


def _object(required: str = "", /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def _number(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


_TEXT: Final = {"type": "string", "minLength": 1}
_PORT: Final = _number(1, 65_535)
_SECONDS: Final = _number(1, 300)
_TIME: Final = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?s$"}
_DRAINING: Final = _object("drainingTimeoutSec", drainingTimeoutSec=_number(0, LONGEST_DRAIN_S))
_PATH: Final = {"type": "string", "pattern": "^/"}
_COUNTS: Final = {"healthyThreshold": _number(1, 10), "unhealthyThreshold": _number(1, 10)}
_TIMES: Final = {"checkIntervalSec": _SECONDS, "timeoutSec": _SECONDS, **_COUNTS}
_ASKED: Final = _object("requestPath port", requestPath=_PATH, port=_PORT)
_TARGET: Final = _object("group kind name", group={"const": ""}, kind={"const": "Service"}, name=_TEXT)
_LISTENER: Final = _object(
    "name port protocol",
    name=_TEXT,
    port=_PORT,
    protocol={"enum": ["HTTP", "HTTPS"]},
    hostname=_TEXT,
    tls=_object("certificateRefs", certificateRefs={"type": "array", "items": _object("name", name=_TEXT)}),
    allowedRoutes=_object(
        namespaces=_object(
            "from",
            **{"from": {"enum": ["All", "Same", "Selector"]}},
            selector=_object("matchLabels", matchLabels={"type": "object", "additionalProperties": _TEXT}),
        )
    ),
)

SPECS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("gateway.networking.k8s.io/v1", "Gateway"): _object(
        "gatewayClassName listeners",
        gatewayClassName=_TEXT,
        listeners={"type": "array", "items": _LISTENER, "minItems": 1},
    ),
    ("cloud.google.com/v1", "BackendConfig"): _object(
        timeoutSec=_number(1, 2_147_483_647),
        connectionDraining=_DRAINING,
        healthCheck=_object(
            "type", type={"enum": ["HTTP", "HTTPS", "HTTP2"]}, requestPath=_PATH, port=_PORT, **_TIMES
        ),
    ),
    ("networking.gke.io/v1", "GCPBackendPolicy"): _object(
        "targetRef",
        targetRef=_TARGET,
        default=_object(timeoutSec=_number(1, 2_147_483_647), connectionDraining=_DRAINING),
    ),
    ("networking.gke.io/v1", "HealthCheckPolicy"): _object(
        "targetRef",
        targetRef=_TARGET,
        default=_object(
            "config",
            config={
                **_object("type httpHealthCheck", type={"const": "HTTP"}, httpHealthCheck=_ASKED),
                "minProperties": 2,
                "maxProperties": 2,
            },
            **_TIMES,
        ),
    ),
    ("alb.networking.azure.io/v1", "HealthCheckPolicy"): _object(
        "targetRef",
        targetRef=_object(
            "group kind name", group={"const": ""}, kind={"const": "Service"}, name=_TEXT, namespace=_TEXT
        ),
        default=_object(
            interval=_TIME,
            timeout=_TIME,
            port=_PORT,
            http=_object(
                host=_TEXT,
                path=_PATH,
                match=_object(
                    statusCodes={
                        "type": "array",
                        "items": _object("start end", start=_number(100, 599), end=_number(100, 599)),
                    }
                ),
            ),
            **_COUNTS,
        ),
    ),
}  # fmt: skip


def misfits(manifest: dict[str, Any]) -> list[str]:
    """Return what is wrong with the spec of an object of these kinds. Raises `KeyError` for another kind."""
    schema = SPECS[manifest["apiVersion"], manifest["kind"]]
    found = Draft202012Validator(schema).iter_errors(manifest["spec"])
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]
