"""Tolerations and affinity as in Kubernetes (core/v1), with bounds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from batkol_operator.model.part import ResourcePart, listed, sized

LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=317)]
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
_ATOMIC = listed("atomic")


class NodeOperator(StrEnum):
    """Comparison of a node's label."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER = "Gt"
    LESS = "Lt"


class LabelOperator(StrEnum):
    """Comparison of a pod's label."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class TolerationOperator(StrEnum):
    """Comparison of a taint."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """Effect of a taint."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(ResourcePart):
    """A taint that the pods tolerate."""

    key: str | None = Field(None, min_length=1, max_length=317, description="Key of the taint; absent: any.")
    operator: TolerationOperator = Field(TolerationOperator.EQUAL, description="Comparison of the value.")
    value: str | None = Field(None, max_length=63, description="Value of the taint, for Equal.")
    effect: TaintEffect | None = Field(None, description="Effect of the taint; absent: any.")
    toleration_seconds: int | None = Field(
        None,
        ge=0,
        le=31_536_000,
        json_schema_extra=sized("int64"),
        description="Time to tolerate NoExecute, in seconds; absent: for ever.",
    )


class NodeRequirement(ResourcePart):
    """One condition on a node."""

    key: LabelKey = Field(description="Label, or field, of the node.")
    operator: NodeOperator = Field(description="Comparison of the value.")
    values: tuple[Annotated[str, StringConstraints(max_length=63)], ...] = Field(
        (), max_length=64, json_schema_extra=_ATOMIC, description="Values to compare with."
    )


class NodeTerm(ResourcePart):
    """Conditions on a node; all must hold."""

    match_expressions: tuple[NodeRequirement, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="Conditions on the node's labels."
    )
    match_fields: tuple[NodeRequirement, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="Conditions on the node's fields."
    )


class NodeSelector(ResourcePart):
    """Terms for a node; one of them must hold."""

    node_selector_terms: tuple[NodeTerm, ...] = Field(
        min_length=1, max_length=16, json_schema_extra=_ATOMIC, description="The terms."
    )


class PreferredNode(ResourcePart):
    """A term with a weight."""

    weight: int = Field(ge=1, le=100, description="Weight of the term.")
    preference: NodeTerm = Field(description="The term.")


class NodeAffinity(ResourcePart):
    """Required and preferred nodes."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = Field(
        None, description="Required: the scheduler does not place a pod otherwise."
    )
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredNode, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="Preferred: each adds its weight to a node's score."
    )


class LabelRequirement(ResourcePart):
    """One condition on labels."""

    key: LabelKey = Field(description="The label.")
    operator: LabelOperator = Field(description="Comparison of the value.")
    values: tuple[LabelValue, ...] = Field(
        (), max_length=64, json_schema_extra=_ATOMIC, description="Values to compare with."
    )


class LabelSelector(ResourcePart):
    """Conditions on labels; all must hold."""

    match_labels: dict[str, LabelValue] = Field({}, max_length=32, description="Labels with their values.")
    match_expressions: tuple[LabelRequirement, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="Further conditions."
    )


class PodTerm(ResourcePart):
    """Pods to be near to, or far from."""

    topology_key: LabelKey = Field(description="Label of nodes; nodes with an equal value are near each other.")
    label_selector: LabelSelector | None = Field(None, description="Labels of the pods.")
    namespace_selector: LabelSelector | None = Field(None, description="Namespaces of the pods, by labels.")
    namespaces: tuple[Annotated[str, StringConstraints(max_length=63)], ...] = Field(
        (), max_length=32, json_schema_extra=_ATOMIC, description="Namespaces of the pods; empty: the agent's own."
    )


class PreferredPods(ResourcePart):
    """Pods with a weight."""

    weight: int = Field(ge=1, le=100, description="Weight of the term.")
    pod_affinity_term: PodTerm = Field(description="The pods.")


class PodAffinity(ResourcePart):
    """Required and preferred other pods."""

    required_during_scheduling_ignored_during_execution: tuple[PodTerm, ...] = Field(
        (),
        max_length=16,
        json_schema_extra=_ATOMIC,
        description="Required: the scheduler does not place a pod otherwise.",
    )
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredPods, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="Preferred: each adds its weight to a node's score."
    )


class Affinity(ResourcePart):
    """Placement of the pods."""

    node_affinity: NodeAffinity | None = Field(None, description="Nodes to be placed on.")
    pod_affinity: PodAffinity | None = Field(None, description="Pods to be near to.")
    pod_anti_affinity: PodAffinity | None = Field(None, description="Pods to be far from.")
