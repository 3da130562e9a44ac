"""Tolerations and affinity, as Kubernetes has them (core/v1), bounded."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from batkol_operator.model.part import ResourcePart, listed, sized

LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=317)]
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
_ATOMIC = listed("atomic")


class NodeOperator(StrEnum):
    """How a node's label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER = "Gt"
    LESS = "Lt"


class LabelOperator(StrEnum):
    """How a pod's label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class TolerationOperator(StrEnum):
    """How a taint is compared."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(ResourcePart):
    """A taint that the pods put up with."""

    key: str | None = Field(None, min_length=1, max_length=317, description="Key of the taint; absent: any.")
    operator: TolerationOperator = Field(TolerationOperator.EQUAL, description="How the value is compared.")
    value: str | None = Field(None, max_length=63, description="Value of the taint, for Equal.")
    effect: TaintEffect | None = Field(None, description="Effect of the taint; absent: any.")
    toleration_seconds: int | None = Field(
        None,
        ge=0,
        le=31_536_000,
        json_schema_extra=sized("int64"),
        description="How long NoExecute is put up with, in seconds; absent: for ever.",
    )


class NodeRequirement(ResourcePart):
    """One condition on a node."""

    key: LabelKey = Field(description="Label, or field, of the node.")
    operator: NodeOperator = Field(description="How it is compared.")
    values: tuple[Annotated[str, StringConstraints(max_length=63)], ...] = Field(
        (), max_length=64, json_schema_extra=_ATOMIC, description="What it is compared with."
    )


class NodeTerm(ResourcePart):
    """Conditions on a node, all of which hold."""

    match_expressions: tuple[NodeRequirement, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="Conditions on the node's labels."
    )
    match_fields: tuple[NodeRequirement, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="Conditions on the node's fields."
    )


class NodeSelector(ResourcePart):
    """Terms, any of which is enough."""

    node_selector_terms: tuple[NodeTerm, ...] = Field(
        min_length=1, max_length=16, json_schema_extra=_ATOMIC, description="The terms."
    )


class PreferredNode(ResourcePart):
    """A term with a weight."""

    weight: int = Field(ge=1, le=100, description="How much it counts.")
    preference: NodeTerm = Field(description="The term.")


class NodeAffinity(ResourcePart):
    """Which nodes are fit, and which are better."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = Field(
        None, description="Without this a pod is not placed."
    )
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredNode, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="What counts in favour of a node."
    )


class LabelRequirement(ResourcePart):
    """One condition on labels."""

    key: LabelKey = Field(description="The label.")
    operator: LabelOperator = Field(description="How it is compared.")
    values: tuple[LabelValue, ...] = Field(
        (), max_length=64, json_schema_extra=_ATOMIC, description="What it is compared with."
    )


class LabelSelector(ResourcePart):
    """Conditions on labels, all of which hold."""

    match_labels: dict[str, LabelValue] = Field({}, max_length=32, description="Labels with their values.")
    match_expressions: tuple[LabelRequirement, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="Further conditions."
    )


class PodTerm(ResourcePart):
    """Pods to be near to, or far from."""

    topology_key: LabelKey = Field(description="Label of nodes that says what near means.")
    label_selector: LabelSelector | None = Field(None, description="Which pods.")
    namespace_selector: LabelSelector | None = Field(None, description="In which namespaces, by their labels.")
    namespaces: tuple[Annotated[str, StringConstraints(max_length=63)], ...] = Field(
        (), max_length=32, json_schema_extra=_ATOMIC, description="In which namespaces; empty: in the agent's own."
    )


class PreferredPods(ResourcePart):
    """Pods with a weight."""

    weight: int = Field(ge=1, le=100, description="How much it counts.")
    pod_affinity_term: PodTerm = Field(description="The pods.")


class PodAffinity(ResourcePart):
    """Other pods that decide where these go."""

    required_during_scheduling_ignored_during_execution: tuple[PodTerm, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="Without this a pod is not placed."
    )
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredPods, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="What counts in favour of a node."
    )


class Affinity(ResourcePart):
    """Where the pods are placed."""

    node_affinity: NodeAffinity | None = Field(None, description="By the nodes.")
    pod_affinity: PodAffinity | None = Field(None, description="Near these pods.")
    pod_anti_affinity: PodAffinity | None = Field(None, description="Far from these pods.")
