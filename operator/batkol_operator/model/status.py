"""`status`: the observed state of an agent. Only the operator writes it, through the status subresource."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from batkol_operator.model.part import ResourcePart, listed_by, sized


class Condition(ResourcePart):
    """One statement about the agent, as `metav1.Condition`."""

    type: Literal[
        "Ready",
        "Available",
        "TuningApplied",
        "ReplyApplied",
        "FlagsMerged",
        "SinksDeliver",
        "ScalingActive",
        "Contested",
        "Stalled",
    ] = Field(
        description="Ready is the sum of the others: Available (the Deployment), TuningApplied and, where "
        "`spec.reply` is, ReplyApplied (both counted from the revisions that the pods report), not Stalled (a "
        "problem that waiting does not solve), and no value of another client in force. Beside it stand SinksDeliver, "
        "where `spec.sinks` is, FlagsMerged, where `spec.flagsFrom` is, ScalingActive, where an autoscaler is, and "
        "Contested, once another client has changed what the operator owns.",
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether the condition holds.")
    observed_generation: int = Field(
        0, ge=0, json_schema_extra=sized("int64"), description="`metadata.generation` that the condition is about."
    )
    last_transition_time: str = Field(json_schema_extra=sized("date-time"), description="When `status` last changed.")
    reason: str = Field(
        min_length=1,
        max_length=1024,
        pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        description="Reason, in one CamelCase word.",
    )
    message: str = Field(max_length=32_768, description="Reason, in a sentence.")


class Status(ResourcePart):
    """Observed state of the agent."""

    observed_generation: int | None = Field(
        None, ge=0, json_schema_extra=sized("int64"), description="`metadata.generation` that this status is about."
    )
    conditions: tuple[Condition, ...] = Field(
        (), max_length=16, json_schema_extra=listed_by("type"), description="Ready, and the conditions that it sums up."
    )
    replicas: int | None = Field(None, ge=0, description="Number of pods.")
    ready_replicas: int | None = Field(None, ge=0, description="Pods that take calls.")
    selector: str | None = Field(None, max_length=1024, description="Labels of the pods, for the scale subresource.")
    active_calls: int | None = Field(
        None, ge=0, description="Live calls in all pods; updated at most every 15 seconds, the metrics are newer."
    )
    pods_in_sync: int | None = Field(
        None, ge=0, description="Pods that report the wanted tuning, flags and reply settings."
    )
    tuning_revision: str | None = Field(
        None, max_length=64, description="Revision of the wanted tuning: twelve digits of its SHA-256."
    )
    flags_revision: str | None = Field(
        None, max_length=64, description="Revision of the wanted flags: twelve digits of the file's SHA-256."
    )
    in_sync: str | None = Field(
        None, max_length=32, description="`podsInSync` and the number of counted pods, such as `2/3`."
    )
    streaming: str | None = Field(
        None,
        max_length=64,
        description="Calls with streaming recognition: Enabled, Disabled, Rollout 5%, Custom for a raw flag, or Flagd.",
    )
    reply_revision: str | None = Field(
        None,
        max_length=64,
        description="Revision of the wanted reply settings: twelve digits of their SHA-256; absent without "
        "`spec.reply`.",
    )
    reply_calls: int | None = Field(
        None,
        ge=0,
        description="Live calls that use these reply settings; the others take them up at their next turn. Updated as "
        "`activeCalls` is.",
    )
    replies: str | None = Field(
        None,
        max_length=64,
        description="Whether the agent answers: Enabled, Disabled, Custom for a raw flag, or Flagd.",
    )
