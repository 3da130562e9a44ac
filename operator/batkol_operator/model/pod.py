"""`spec.pod`: what a team may set of the pods themselves. Narrow on purpose: not a whole pod template."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field, StringConstraints

from batkol_operator.model.added_containers import AddedContainer, Sidecar
from batkol_operator.model.added_variables import AgentVariable, ConfigMapKey, ResourceName, VariablesFrom
from batkol_operator.model.added_volumes import AddedVolume, AgentMount
from batkol_operator.model.exposure import AnnotationValue
from batkol_operator.model.part import ResourcePart, ResourceRule, exactly_one, listed, listed_by
from batkol_operator.model.pod_network import DNSConfig, DNSPolicy, HostAlias
from batkol_operator.model.pod_resources import Resources
from batkol_operator.model.scheduling import Affinity, LabelValue, Toleration
from batkol_operator.model.secret_key import SecretKey

_OURS: Final = (
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "app.kubernetes.io/managed-by",
)


class CABundle(ResourcePart):
    """Certificate authorities that the pods trust, in PEM, in the place of those in the image."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (exactly_one("configMapRef", "secretRef"),)

    config_map_ref: ConfigMapKey | None = Field(None, description="Key of a ConfigMap, such as trust-manager makes.")
    secret_ref: SecretKey | None = Field(None, description="Key of a Secret.")


def _mounts_known(field: str) -> ResourceRule:
    """Return the rule that each container in `field` mounts only volumes that `volumes` has."""
    attribute = {"sidecars": "sidecars", "initContainers": "init_containers"}[field]
    return ResourceRule(
        cel=f"!has(self.{field}) || self.{field}.all(c, !has(c.volumeMounts) || c.volumeMounts.all(m, "
        "has(self.volumes) && self.volumes.exists(v, v.name == m.name)))",
        holds=lambda part: all(
            mount.name in {volume.name for volume in part.volumes}
            for container in getattr(part, attribute)
            for mount in container.volume_mounts
        ),
        message="may mount only volumes that `volumes` has",
        field=f".{field}",
    )


class PodSpec(ResourcePart):
    """Resources, placement and labels of the pods, and what a team adds to them. Any change rolls the pods."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"!has(self.labels) || !self.labels.exists(key, key.startsWith('batkol.dev/') || key in {list(_OURS)})",
            holds=lambda part: not any(key.startswith("batkol.dev/") or key in _OURS for key in part.labels),
            message="must not hold labels that the operator sets: `batkol.dev/…` and `app.kubernetes.io/name`, "
            "`instance`, `component`, `managed-by`",
            field=".labels",
        ),
        ResourceRule(
            cel="!has(self.volumeMounts) || self.volumeMounts.all(m, "
            "has(self.volumes) && self.volumes.exists(v, v.name == m.name))",
            holds=lambda part: {mount.name for mount in part.volume_mounts} <= {volume.name for volume in part.volumes},
            message="may mount only volumes that `volumes` has",
            field=".volumeMounts",
        ),
        _mounts_known("sidecars"),
        _mounts_known("initContainers"),
        ResourceRule(
            cel="!has(self.sidecars) || !has(self.initContainers) || "
            "self.sidecars.all(s, self.initContainers.all(i, i.name != s.name))",
            holds=lambda part: (
                not ({each.name for each in part.sidecars} & {each.name for each in part.init_containers})
            ),
            message="may not have the name of a sidecar: the containers of a pod have different names",
            field=".initContainers",
        ),
        ResourceRule(
            cel="!has(self.serviceAccountName) || !has(self.serviceAccountAnnotations) || "
            "size(self.serviceAccountAnnotations) == 0",
            holds=lambda part: part.service_account_name is None or not part.service_account_annotations,
            message="may not be specified when `serviceAccountName` is: the operator changes no account but its own",
            field=".serviceAccountAnnotations",
            reason="FieldValueForbidden",
        ),
        ResourceRule(
            cel="!has(self.dnsPolicy) || self.dnsPolicy != 'None' || (has(self.dnsConfig) && "
            "has(self.dnsConfig.nameservers) && size(self.dnsConfig.nameservers) > 0)",
            holds=lambda part: (
                part.dns_policy is not DNSPolicy.NONE
                or (part.dns_config is not None and len(part.dns_config.nameservers) > 0)
            ),
            message="must have `nameservers` when `dnsPolicy` is None: the pods would resolve no name",
            field=".dnsConfig",
            reason="FieldValueRequired",
        ),
    )

    resources: Resources = Field(default_factory=Resources, description="CPU and memory.")
    node_selector: dict[str, LabelValue] = Field({}, max_length=32, description="Labels that a node must have.")
    tolerations: tuple[Toleration, ...] = Field(
        (), max_length=32, json_schema_extra=listed("atomic"), description="Taints that the pods tolerate."
    )
    affinity: Affinity | None = Field(
        None, description="Placement of the pods, besides the spread over zones and nodes."
    )
    priority_class_name: str | None = Field(
        None, min_length=1, max_length=253, description="PriorityClass of the pods."
    )
    runtime_class_name: ResourceName | None = Field(
        None, description="RuntimeClass of the pods, such as that of gVisor; absent: the node's own runtime."
    )
    fs_group: int | None = Field(
        None,
        ge=1,
        le=2_147_483_647,
        description="Group that owns the files of mounted claims, so that the program can write them; absent: none, or "
        "the one that OpenShift gives the namespace.",
    )
    labels: dict[str, LabelValue] = Field({}, max_length=32, description="Further labels of the pods.")
    annotations: dict[str, AnnotationValue] = Field({}, max_length=64, description="Further annotations of the pods.")
    service_account_annotations: dict[str, Annotated[str, StringConstraints(max_length=4096)]] = Field(
        {},
        max_length=32,
        description="Annotations of the ServiceAccount, such as `iam.gke.io/gcp-service-account` for Workload "
        "Identity.",
    )
    service_account_name: ResourceName | None = Field(
        None,
        description="An existing ServiceAccount of the namespace for the pods; absent: the operator makes one, with "
        "the agent's name. The chart's value `admissionPolicy.serviceAccounts` must allow it.",
    )
    env: tuple[AgentVariable, ...] = Field(
        (),
        max_length=64,
        json_schema_extra=listed_by("name"),
        description="Further variables of the program and of `migrate`. Those that the operator sets are refused.",
    )
    env_from: tuple[VariablesFrom, ...] = Field(
        (),
        max_length=16,
        json_schema_extra=listed("atomic"),
        description="Objects whose keys all become variables of the program and of `migrate`. A variable that the "
        "operator sets, or `env`, has precedence.",
    )
    volumes: tuple[AddedVolume, ...] = Field(
        (), max_length=16, json_schema_extra=listed_by("name"), description="Further volumes of the pods."
    )
    volume_mounts: tuple[AgentMount, ...] = Field(
        (),
        max_length=16,
        json_schema_extra=listed_by("mountPath"),
        description="Volumes of `volumes` in the file system of the program and of `migrate`.",
    )
    ca_bundle: CABundle | None = Field(
        None,
        description="Certificate authorities that the pods trust, in PEM, in the place of those in the image. Include "
        "the public ones where the pods use public servers, such as Google's.",
    )
    sidecars: tuple[Sidecar, ...] = Field(
        (),
        max_length=8,
        json_schema_extra=listed_by("name"),
        description="Containers that start before the program, in this order, and end after it: the calls of a "
        "draining pod still have them.",
    )
    init_containers: tuple[AddedContainer, ...] = Field(
        (),
        max_length=8,
        json_schema_extra=listed_by("name"),
        description="Containers that run one after another, after the start of `sidecars`, and end before `migrate` "
        "and the program start.",
    )
    dns_policy: DNSPolicy | None = Field(
        None, description="Source of names for the pods; absent: ClusterFirst. None: `dnsConfig` alone."
    )
    dns_config: DNSConfig | None = Field(None, description="Settings of the resolver, beside those of the policy.")
    host_aliases: tuple[HostAlias, ...] = Field(
        (),
        max_length=32,
        json_schema_extra=listed_by("ip"),
        description="Names with their addresses, for the pods' /etc/hosts.",
    )
