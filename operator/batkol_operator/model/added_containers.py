"""Containers that a team adds to the pods: sidecars, and containers that end before the program starts.

Narrow on purpose: no field gives a container privileges, a port or a folder of its node. What the *restricted* Pod
Security Standard demands, the operator sets.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, WithJsonSchema

from batkol_operator.model.added_variables import Variable, VariablesFrom
from batkol_operator.model.added_volumes import VolumeMount
from batkol_operator.model.part import ResourcePart, ResourceRule, exactly_one, listed, listed_by
from batkol_operator.model.pod_resources import AddedResources
from batkol_operator.model.reserved import CONTAINERS, PORT_NAMES, PORTS
from batkol_operator.model.workload import PullPolicy

_PORT = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_ATOMIC = listed("atomic")
Argument = Annotated[str, StringConstraints(max_length=8192)]
PortName = Annotated[
    int | str,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": _PORT,
            "maxLength": 15,
            "x-kubernetes-int-or-string": True,
        }
    ),
]


class ProbeCommand(ResourcePart):
    """A command in the container."""

    command: tuple[Argument, ...] = Field(
        min_length=1, max_length=32, json_schema_extra=_ATOMIC, description="Program and arguments; no shell reads it."
    )


class HTTPGet(ResourcePart):
    """A GET request to the container."""

    path: str = Field("/", max_length=1024, pattern=r"^/", description="Path of the request.")
    port: PortName = Field(description="Number or name of the port.")
    scheme: Literal["HTTP", "HTTPS"] = Field("HTTP", description="Whether the request uses TLS.")


class TCPSocket(ResourcePart):
    """A connection to the container."""

    port: PortName = Field(description="Number or name of the port.")


class GRPCHealth(ResourcePart):
    """A request to the container's gRPC health service."""

    port: int = Field(ge=1, le=65_535, description="Number of the port.")
    service: str | None = Field(None, max_length=253, description="Name of the service; absent: the whole server.")


class Probe(ResourcePart):
    """A check by the kubelet."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (exactly_one("httpGet", "tcpSocket", "grpc", "exec"),)

    http_get: HTTPGet | None = Field(None, alias="httpGet", description="A GET request to the container.")
    tcp_socket: TCPSocket | None = Field(None, description="A connection to the container.")
    grpc: GRPCHealth | None = Field(None, description="A request to the container's gRPC health service.")
    exec: ProbeCommand | None = Field(None, description="A command in the container.")
    initial_delay_seconds: int | None = Field(None, ge=0, le=3600, description="Wait before the first check, seconds.")
    period_seconds: int | None = Field(
        None, ge=1, le=3600, description="Time between two checks, in seconds; absent: 10."
    )
    timeout_seconds: int | None = Field(None, ge=1, le=300, description="Time limit of a check, seconds; absent: 1.")
    failure_threshold: int | None = Field(
        None, ge=1, le=1000, description="Checks in a row that fail before it counts; absent: 3."
    )


class ContainerPort(ResourcePart):
    """A port of the container, for its name in probes and monitors."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"self.protocol != 'TCP' || !(self.containerPort in {list(PORTS)})",
            holds=lambda part: part.protocol != "TCP" or part.container_port not in PORTS,
            message="may not be a port of the program, 8080 or 8081: the containers of a pod share its ports",
            field=".containerPort",
            reason="FieldValueForbidden",
        ),
        ResourceRule(
            cel=f"!has(self.name) || !(self.name in {list(PORT_NAMES)})",
            holds=lambda part: part.name not in PORT_NAMES,
            message="may not be the name of a port of the program: " + ", ".join(PORT_NAMES),
            field=".name",
            reason="FieldValueForbidden",
        ),
    )

    name: str | None = Field(None, min_length=1, max_length=15, pattern=_PORT, description="Name of the port.")
    container_port: int = Field(ge=1, le=65_535, description="Number of the port.")
    protocol: Literal["TCP", "UDP"] = Field("TCP", description="Protocol of the port.")


class AddedSecurity(ResourcePart):
    """User of the container. The operator sets the rest: no root, no privileges, no capabilities."""

    run_as_user: int | None = Field(
        None, ge=1, le=2_147_483_647, description="Number of the user; absent: the image's, which may not be root."
    )
    run_as_group: int | None = Field(
        None, ge=1, le=2_147_483_647, description="Number of the group; absent: the image's."
    )
    read_only_root_filesystem: bool | None = Field(
        None, description="Whether the root file system is read-only; absent: true."
    )


class AddedContainer(ResourcePart):
    """A container that ends before the program starts."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"!(self.name in {list(CONTAINERS)})",
            holds=lambda part: part.name not in CONTAINERS,
            message="may not be the name of a container of the operator: " + ", ".join(CONTAINERS),
            field=".name",
            reason="FieldValueForbidden",
        ),
    )

    name: str = Field(
        min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", description="Name of the container."
    )
    image: str = Field(
        min_length=1, max_length=512, pattern=r"^[^\s]+$", description="Image, with its tag or its digest."
    )
    image_pull_policy: PullPolicy | None = Field(
        None, description="When the kubelet pulls the image; absent: Always for the tag `latest`, else IfNotPresent."
    )
    command: tuple[Argument, ...] = Field(
        (), max_length=64, json_schema_extra=_ATOMIC, description="Program in the place of the image's."
    )
    args: tuple[Argument, ...] = Field(
        (), max_length=64, json_schema_extra=_ATOMIC, description="Arguments in the place of the image's."
    )
    env: tuple[Variable, ...] = Field(
        (), max_length=64, json_schema_extra=listed_by("name"), description="Variables of the container."
    )
    env_from: tuple[VariablesFrom, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="Objects whose keys all become variables."
    )
    volume_mounts: tuple[VolumeMount, ...] = Field(
        (),
        max_length=16,
        json_schema_extra=listed_by("mountPath"),
        description="Volumes of `pod.volumes` in the container's file system.",
    )
    resources: AddedResources | None = Field(
        None, description="Requests and limits; absent: none, unless the namespace has defaults."
    )
    security_context: AddedSecurity | None = Field(None, description="User of the container.")


class Sidecar(AddedContainer):
    """A container that starts before the program, and ends after it: the calls of a draining pod still have it."""

    ports: tuple[ContainerPort, ...] = Field(
        (), max_length=8, json_schema_extra=_ATOMIC, description="Ports of the container."
    )
    startup_probe: Probe | None = Field(
        None, description="Check after which the next container starts; absent: it starts at once."
    )
    readiness_probe: Probe | None = Field(None, description="Check without which the pod takes no calls; absent: none.")
    liveness_probe: Probe | None = Field(
        None, description="Check without which the kubelet restarts the container; absent: none."
    )
