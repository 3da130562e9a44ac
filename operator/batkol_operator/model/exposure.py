"""`spec.exposure` and `spec.networkPolicy`: how Twilio reaches the pods, and which other clients may."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from batkol_operator.model.part import ResourcePart, ResourceRule, listed, not_both
from batkol_operator.model.streaming import CallerMode

HOST = r"^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
AnnotationValue = Annotated[str, StringConstraints(max_length=4096)]
Namespace = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]


class Ingress(ResourcePart):
    """An Ingress for `/twilio`, with time-outs for calls that last hours."""

    class_name: str | None = Field(
        None, min_length=1, max_length=253, description="IngressClass; absent: the cluster's default."
    )
    host: str | None = Field(
        None, max_length=253, pattern=HOST, description="Host name; absent: the host of `twilio.publicBaseUrl`."
    )
    tls_secret_name: str | None = Field(
        None, min_length=1, max_length=253, description="Secret with the certificate; absent: the Ingress has no TLS."
    )
    annotations: dict[str, AnnotationValue] = Field(
        {},
        max_length=64,
        description="Annotations; they override those that the operator sets: time-outs of nginx, HAProxy and Azure's "
        "Application Gateway, health checks and draining of that and of AWS' balancer.",
    )


class ParentRef(ResourcePart):
    """A Gateway, or one listener of it."""

    name: str = Field(min_length=1, max_length=253, description="Name of the Gateway.")
    namespace: str | None = Field(
        None, min_length=1, max_length=63, description="Namespace of the Gateway; absent: the agent's own."
    )
    section_name: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        description="One listener of the Gateway; absent: all listeners that allow the route.",
    )


class HTTPRoute(ResourcePart):
    """An HTTPRoute of the Gateway API for `/twilio`, without a time-out."""

    parent_refs: tuple[ParentRef, ...] = Field(
        min_length=1,
        max_length=8,
        json_schema_extra=listed("atomic"),
        description="Gateways that the route attaches to.",
    )
    hostname: str | None = Field(
        None, max_length=253, pattern=HOST, description="Host name; absent: the host of `twilio.publicBaseUrl`."
    )
    annotations: dict[str, AnnotationValue] = Field(
        {}, max_length=64, description="Annotations of the HTTPRoute, such as those of external-dns."
    )


class Exposure(ResourcePart):
    """Ingress or HTTPRoute for Twilio's requests; absent: route them to the Service's port `public` yourself."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (not_both("ingress", "httpRoute", "use only one of them"),)

    ingress: Ingress | None = Field(None, description="Expose the pods by an Ingress.")
    http_route: HTTPRoute | None = Field(
        None, alias="httpRoute", description="Expose the pods by an HTTPRoute of the Gateway API."
    )


class ServiceType(StrEnum):
    """Type of the agent's Service."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class ServiceSpec(ResourcePart):
    """The Service that leads Twilio's requests to the pods."""

    type: ServiceType = Field(
        ServiceType.CLUSTER_IP,
        description="ClusterIP: for an Ingress, a route, or a proxy of yours. NodePort and LoadBalancer open the port "
        "`public` to other networks; the internal API then has only the headless Service `NAME-fleet`.",
    )
    port: int = Field(
        8080, ge=1, le=65_535, description="Port `public` of the Service, such as 443 behind a balancer that ends TLS."
    )
    annotations: dict[str, AnnotationValue] = Field(
        {}, max_length=64, description="Annotations of the Service, such as those for a cloud's balancer."
    )


class NetworkPolicy(ResourcePart):
    """Namespaces that may open connections to the pods. Egress is not limited: Google has no fixed addresses."""

    mode: CallerMode = Field(CallerMode.ENABLED, description="Whether the operator creates a NetworkPolicy.")
    ingress_namespaces: tuple[Namespace, ...] = Field(
        (),
        max_length=32,
        json_schema_extra=listed("set"),
        description="Namespaces that may reach the port `public`, such as the ingress controller's; empty: all "
        "clients.",
    )
    internal_namespaces: tuple[Namespace, ...] = Field(
        (),
        max_length=32,
        json_schema_extra=listed("set"),
        description="Namespaces that may reach the internal API besides the operator's, such as those of agents that "
        "subscribe to events. Their clients need a token as well: `internalApi.tokensSecretRef`.",
    )
    monitoring_namespaces: tuple[Namespace, ...] = Field(
        ("monitoring",),
        max_length=32,
        json_schema_extra=listed("set"),
        description="Namespaces whose Prometheus may scrape the pods, if a PodMonitor exists.",
    )
