"""Volumes that a team adds to the pods, as in Kubernetes (core/v1): those of the *restricted* Pod Security Standard.

`hostPath` is none of them, so no field of a VoiceAgent reaches a node's folders.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from batkol_operator.model.added_variables import ObjectKey, PodField, ResourceName
from batkol_operator.model.part import ResourcePart, ResourceRule, exactly_one, listed, sized
from batkol_operator.model.pod_resources import Quantity
from batkol_operator.model.reserved import FOLDERS, VOLUMES

VolumeName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
FilePath = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^/:][^:]*$")]
_ATOMIC = listed("atomic")
_ABSOLUTE: Final = r"^(/(\.{0,2}[^./:\s][^/:\s]*|\.{3,}[^/:\s]*))+$"
"""Without `.` and `..`: the runtime resolves them, and `/srv/../tmp` would hide a folder of the operator."""


class KeyToFile(ResourcePart):
    """A key of the object, and its file."""

    key: ObjectKey = Field(description="The key.")
    path: FilePath = Field(description="Path of the file in the volume.")
    mode: int | None = Field(None, ge=0, le=511, description="Permissions of the file; 292 is 0444.")


Items = Annotated[
    tuple[KeyToFile, ...],
    Field(
        max_length=32,
        json_schema_extra=_ATOMIC,
        description="Keys that become files; absent: all, each under its own name.",
    ),
]
DefaultMode = Annotated[int | None, Field(ge=0, le=511, description="Permissions of the files; 292 is 0444.")]
MayBeMissing = Annotated[bool | None, Field(description="Whether the pod starts without it; absent: it waits.")]


class ConfigMapVolume(ResourcePart):
    """The keys of a ConfigMap as files."""

    name: ResourceName = Field(description="Name of a ConfigMap in the same namespace.")
    items: Items = ()
    default_mode: DefaultMode = None
    optional: MayBeMissing = None


class SecretVolume(ResourcePart):
    """The keys of a Secret as files."""

    secret_name: ResourceName = Field(description="Name of a Secret in the same namespace.")
    items: Items = ()
    default_mode: DefaultMode = None
    optional: MayBeMissing = None


class EmptyDirVolume(ResourcePart):
    """An empty folder that ends with the pod."""

    medium: Literal["Memory"] | None = Field(
        None, description="Memory: a tmpfs, which counts as memory of the container; absent: the node's disk."
    )
    size_limit: Quantity | None = Field(None, description="Size at which the kubelet evicts the pod.")


class ClaimVolume(ResourcePart):
    """A volume that a PersistentVolumeClaim has."""

    claim_name: ResourceName = Field(
        description="Name of a claim in the same namespace. All pods of the agent mount it: it needs ReadOnlyMany or "
        "ReadWriteMany."
    )
    read_only: bool | None = Field(None, description="Whether it is mounted read-only; absent: false.")


class SecretName(ResourcePart):
    """A Secret in the agent's namespace."""

    name: ResourceName = Field(description="Name of a Secret in the same namespace.")


class CSIVolume(ResourcePart):
    """A volume that a CSI driver makes for each pod, such as that of the Secrets Store."""

    driver: str = Field(min_length=1, max_length=253, description="Name of the driver.")
    read_only: bool | None = Field(None, description="Whether it is mounted read-only; absent: false.")
    fs_type: str | None = Field(None, max_length=32, description="File system; absent: the driver's choice.")
    volume_attributes: dict[str, Annotated[str, StringConstraints(max_length=4096)]] = Field(
        {}, max_length=32, description="Settings for the driver."
    )
    node_publish_secret_ref: SecretName | None = Field(None, description="Secret for the driver.")


class ProjectedConfigMap(ResourcePart):
    """The keys of a ConfigMap as files."""

    name: ResourceName = Field(description="Name of a ConfigMap in the same namespace.")
    items: Items = ()
    optional: MayBeMissing = None


class ProjectedSecret(ResourcePart):
    """The keys of a Secret as files."""

    name: ResourceName = Field(description="Name of a Secret in the same namespace.")
    items: Items = ()
    optional: MayBeMissing = None


class ProjectedToken(ResourcePart):
    """A token of the pods' ServiceAccount, by which a cloud knows them."""

    path: FilePath = Field(description="Path of the file in the volume.")
    audience: str | None = Field(
        None, min_length=1, max_length=1024, description="Receiver of the token; absent: the API server."
    )
    expiration_seconds: int | None = Field(
        None,
        ge=600,
        le=86_400,
        json_schema_extra=sized("int64"),
        description="Life of a token, in seconds; the kubelet renews it in time. Absent: 3600.",
    )


class FieldToFile(ResourcePart):
    """A field of the pod, and its file."""

    path: FilePath = Field(description="Path of the file in the volume.")
    field_ref: PodField = Field(description="The field of the pod.")


class ProjectedFields(ResourcePart):
    """Fields of the pod as files."""

    items: tuple[FieldToFile, ...] = Field(
        min_length=1, max_length=32, json_schema_extra=_ATOMIC, description="The fields, and their files."
    )


class Projection(ResourcePart):
    """One source of a projected volume."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        exactly_one("configMap", "secret", "serviceAccountToken", "downwardAPI"),
    )

    config_map: ProjectedConfigMap | None = Field(None, description="Keys of a ConfigMap.")
    secret: ProjectedSecret | None = Field(None, description="Keys of a Secret.")
    service_account_token: ProjectedToken | None = Field(None, description="A token of the pods' ServiceAccount.")
    downward_api: ProjectedFields | None = Field(None, alias="downwardAPI", description="Fields of the pod.")


class ProjectedVolume(ResourcePart):
    """Several sources in one folder."""

    sources: tuple[Projection, ...] = Field(
        min_length=1, max_length=16, json_schema_extra=_ATOMIC, description="The sources."
    )
    default_mode: DefaultMode = None


class AddedVolume(ResourcePart):
    """A volume for containers of the pods."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        exactly_one(
            "configMap",
            "secret",
            "emptyDir",
            "projected",
            "persistentVolumeClaim",
            "csi",
            why="; a pod has no other kind of volume, and so no `hostPath`",
        ),
        ResourceRule(
            cel=f"!(self.name in {list(VOLUMES)})",
            holds=lambda part: part.name not in VOLUMES,
            message="may not be the name of a volume of the operator: " + ", ".join(VOLUMES),
            field=".name",
            reason="FieldValueForbidden",
        ),
    )

    name: VolumeName = Field(description="Name, by which `volumeMounts` mount it.")
    config_map: ConfigMapVolume | None = Field(None, description="Keys of a ConfigMap.")
    secret: SecretVolume | None = Field(None, description="Keys of a Secret.")
    empty_dir: EmptyDirVolume | None = Field(None, description="An empty folder that ends with the pod.")
    projected: ProjectedVolume | None = Field(None, description="Several sources in one folder.")
    persistent_volume_claim: ClaimVolume | None = Field(None, description="A volume that lives longer than the pods.")
    csi: CSIVolume | None = Field(None, description="A volume of a CSI driver.")


class VolumeMount(ResourcePart):
    """A volume in a container's file system."""

    name: VolumeName = Field(description="Name of a volume in `pod.volumes`.")
    mount_path: str = Field(
        min_length=1,
        max_length=512,
        pattern=_ABSOLUTE,
        description="Absolute path of the folder, or of the file; no part of it is `.` or `..`.",
    )
    sub_path: FilePath | None = Field(
        None, description="Path in the volume; absent: all of it. A file of a `subPath` never gets a newer content."
    )
    read_only: bool | None = Field(None, description="Whether the container may only read it; absent: false.")


class AgentMount(VolumeMount):
    """A volume in the program's file system."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"!self.mountPath.matches('{FOLDERS}')",
            holds=lambda part: re.search(FOLDERS, part.mount_path) is None,
            message="may not hide a folder of the program or of the operator: use one of your own, such as "
            "/etc/voice or /srv/data",
            field=".mountPath",
        ),
    )
