"""Variables that a team adds to the pods' containers: `env` and `envFrom`, as in Kubernetes (core/v1), with bounds."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final

from pydantic import Field, StringConstraints

from batkol_operator.model.part import ResourcePart, ResourceRule, exactly_one
from batkol_operator.model.reserved import PREFIXES, VARIABLES
from batkol_operator.model.secret_key import SecretKey

ResourceName = Annotated[
    str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
]
ObjectKey = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
_OURS: Final = f"(?i)^(({'|'.join(VARIABLES)})$|{'|'.join(PREFIXES)})"
"""In any case of the letters: the service reads its settings so."""


class ConfigMapKey(ResourcePart):
    """One key of a ConfigMap in the agent's namespace."""

    name: ResourceName = Field(description="Name of a ConfigMap in the same namespace.")
    key: ObjectKey = Field(description="Key in that ConfigMap.")


class OptionalConfigMapKey(ConfigMapKey):
    """One key of a ConfigMap in the agent's namespace."""

    optional: bool | None = Field(
        None, description="Whether the container starts without it; absent: it waits for the key."
    )


class OptionalSecretKey(SecretKey):
    """One key of a Secret in the agent's namespace."""

    optional: bool | None = Field(
        None, description="Whether the container starts without it; absent: it waits for the key."
    )


class PodField(ResourcePart):
    """A field of the pod."""

    field_path: str = Field(
        min_length=1, max_length=253, description="Path of the field, such as `status.hostIP` or `spec.nodeName`."
    )


class ContainerResource(ResourcePart):
    """A limit or a request of a container."""

    resource: str = Field(min_length=1, max_length=253, description="The resource, such as `limits.memory`.")
    container_name: str | None = Field(
        None, min_length=1, max_length=63, description="The container; absent: that of the variable."
    )
    divisor: str | None = Field(
        None, min_length=1, max_length=32, description="Unit of the value, such as `1Mi`; absent: 1."
    )


class VariableSource(ResourcePart):
    """Source of the value of a variable."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        exactly_one("secretKeyRef", "configMapKeyRef", "fieldRef", "resourceFieldRef"),
    )

    secret_key_ref: OptionalSecretKey | None = Field(None, description="A key of a Secret.")
    config_map_key_ref: OptionalConfigMapKey | None = Field(None, description="A key of a ConfigMap.")
    field_ref: PodField | None = Field(None, description="A field of the pod.")
    resource_field_ref: ContainerResource | None = Field(None, description="A limit or a request of a container.")


class Variable(ResourcePart):
    """A variable of a container."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel="!(has(self.value) && has(self.valueFrom))",
            holds=lambda part: part.value is None or part.value_from is None,
            message="may not be specified when `valueFrom` is: a variable has one value",
            field=".value",
            reason="FieldValueForbidden",
        ),
    )

    name: str = Field(
        min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Name of the variable."
    )
    value: str | None = Field(
        None,
        max_length=32_768,
        description="The value; `$(NAME)` stands for a variable that is listed earlier, as everywhere in Kubernetes.",
    )
    value_from: VariableSource | None = Field(None, description="Source of the value.")


class AgentVariable(Variable):
    """A variable of the program, beside those that the operator sets."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        *Variable.rules,
        ResourceRule(
            cel=f"!self.name.matches('{_OURS}')",
            holds=lambda part: re.search(_OURS, part.name) is None,
            message="may not be a variable that the operator sets: specify the field of the spec that it comes from, "
            "or use another name",
            field=".name",
            reason="FieldValueForbidden",
        ),
    )


class SourceName(ResourcePart):
    """A ConfigMap or a Secret, all of whose keys become variables."""

    name: ResourceName = Field(description="Name of the object in the same namespace.")
    optional: bool | None = Field(
        None, description="Whether the container starts without it; absent: it waits for the object."
    )


class VariablesFrom(ResourcePart):
    """Variables from all keys of one object."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (exactly_one("configMapRef", "secretRef"),)

    config_map_ref: SourceName | None = Field(None, description="A ConfigMap.")
    secret_ref: SourceName | None = Field(None, description="A Secret.")
    prefix: str | None = Field(
        None, max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Text before each name; absent: none."
    )
