"""`status`: what the operator has seen. Written by the operator alone, through the status subresource."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from batkol_operator.model.part import ResourcePart, listed_by, sized


class Condition(ResourcePart):
    """One statement about the agent, as `metav1.Condition`."""

    type: Literal["Ready", "Available", "TuningApplied", "Stalled"] = Field(
        description="Ready sums the others up: Available (the Deployment), TuningApplied (counted from what the pods "
        "run by their own account) and not Stalled (something that waiting does not cure).",
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    observed_generation: int = Field(
        0, ge=0, json_schema_extra=sized("int64"), description="`metadata.generation` that it is said of."
    )
    last_transition_time: str = Field(json_schema_extra=sized("date-time"), description="When `status` last changed.")
    reason: str = Field(
        min_length=1,
        max_length=1024,
        pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        description="Why, in one CamelCase word.",
    )
    message: str = Field(max_length=32_768, description="Why, in a sentence.")


class Status(ResourcePart):
    """What has been seen of the agent; `model_dump(by_alias=True, exclude_none=True)` writes it."""

    observed_generation: int | None = Field(
        None, ge=0, json_schema_extra=sized("int64"), description="`metadata.generation` that this status is of."
    )
    conditions: tuple[Condition, ...] = Field(
        (), max_length=16, json_schema_extra=listed_by("type"), description="Ready, and what it is made up of."
    )
    replicas: int | None = Field(None, ge=0, description="Pods that there are.")
    ready_replicas: int | None = Field(None, ge=0, description="Pods that take calls.")
    selector: str | None = Field(None, max_length=1024, description="Labels of the pods, for the scale subresource.")
    active_calls: int | None = Field(
        None, ge=0, description="Live calls in all pods; written at most every 15 seconds, metrics have it sooner."
    )
    pods_in_sync: int | None = Field(
        None, ge=0, description="Pods that run the wanted tuning and flags, by their own account."
    )
    tuning_revision: str | None = Field(
        None, max_length=64, description="Revision of the wanted tuning: twelve digits of its SHA-256."
    )
    flags_revision: str | None = Field(
        None, max_length=64, description="Revision of the wanted flags: twelve digits of the file's SHA-256."
    )
    in_sync: str | None = Field(None, max_length=32, description="`podsInSync` of how many, as `2/3`.")
    streaming: str | None = Field(
        None,
        max_length=64,
        description="Whose speech is streamed: Enabled, Disabled, Rollout 5%, or Custom for a raw flag.",
    )
