"""`spec.pod`: what a team may set of the pods themselves. Narrow on purpose: not a whole pod template."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from batkol_operator.model.exposure import AnnotationValue
from batkol_operator.model.part import ResourcePart, ResourceRule, listed
from batkol_operator.model.scheduling import Affinity, LabelValue, Toleration

_QUANTITY: Final = r"^[0-9]+(\.[0-9]{1,3})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
_OURS: Final = (
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "app.kubernetes.io/managed-by",
)


def _as_text(quantity: Any) -> Any:
    return str(quantity) if isinstance(quantity, int) and not isinstance(quantity, bool) else quantity


Quantity = Annotated[
    str,
    StringConstraints(max_length=32, pattern=_QUANTITY),
    BeforeValidator(_as_text),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": _QUANTITY,
            "maxLength": 32,
            "x-kubernetes-int-or-string": True,
        }
    ),
]


class Resources(ResourcePart):
    """Requests and limits of a pod. No limit on CPU: throttling delays the audio of every call."""

    requests: dict[str, Quantity] = Field(
        {"cpu": "1", "memory": "512Mi"}, max_length=16, description="Resources that the scheduler reserves."
    )
    limits: dict[str, Quantity] = Field(
        {"memory": "1Gi"}, max_length=16, description="Most resources that a pod may use."
    )


class PodSpec(ResourcePart):
    """Resources, placement and labels of the pods. Any change rolls the pods."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"!has(self.labels) || !self.labels.exists(key, key.startsWith('batkol.dev/') || key in {list(_OURS)})",
            holds=lambda part: not any(key.startswith("batkol.dev/") or key in _OURS for key in part.labels),
            message="must not hold labels that the operator sets: `batkol.dev/…` and `app.kubernetes.io/name`, "
            "`instance`, `component`, `managed-by`",
            field=".labels",
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
    labels: dict[str, LabelValue] = Field({}, max_length=32, description="Further labels of the pods.")
    annotations: dict[str, AnnotationValue] = Field({}, max_length=64, description="Further annotations of the pods.")
    service_account_annotations: dict[str, Annotated[str, StringConstraints(max_length=4096)]] = Field(
        {},
        max_length=32,
        description="Annotations of the ServiceAccount, such as `iam.gke.io/gcp-service-account` for Workload "
        "Identity.",
    )
