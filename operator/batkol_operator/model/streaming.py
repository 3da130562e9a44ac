"""`spec.streaming` and `spec.flags`: the calls with streaming recognition, and raw flag definitions. All live."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, WithJsonSchema

from batkol_operator.model.part import ResourcePart, ResourceRule, listed_by

STREAMING_FLAG: Final = "streaming-stt"


class CallerMode(StrEnum):
    """On or off."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class StreamingMode(StrEnum):
    """On, off, or on for a share of the calls."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    ROLLOUT = "Rollout"


class CallerOverride(ResourcePart):
    """A setting for one caller's number."""

    number: str = Field(
        min_length=3,
        max_length=16,
        pattern=r"^\+[1-9][0-9]{1,14}$",
        description="The caller's number in E.164, as Twilio sends it: `+97250…`.",
    )
    mode: CallerMode = Field(description="Whether this caller's calls have streaming recognition.")


class StreamingSpec(ResourcePart):
    """The flag `streaming-stt` in a simple form."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel="!has(self.mode) || self.mode != 'Rollout' || has(self.rolloutPercent)",
            holds=lambda part: part.mode is not StreamingMode.ROLLOUT or part.rollout_percent is not None,
            message="must be specified when `mode` is Rollout",
            field=".rolloutPercent",
            reason="FieldValueRequired",
        ),
        ResourceRule(
            cel="!has(self.rolloutPercent) || (has(self.mode) && self.mode == 'Rollout')",
            holds=lambda part: part.rollout_percent is None or part.mode is StreamingMode.ROLLOUT,
            message="may not be specified when `mode` is not Rollout",
            field=".rolloutPercent",
            reason="FieldValueForbidden",
        ),
    )

    mode: StreamingMode = Field(
        StreamingMode.DISABLED,
        description="Live. Enabled streams every call, Disabled none, Rollout the share in `rolloutPercent`.",
    )
    rollout_percent: int | None = Field(
        None,
        ge=0,
        le=100,
        description="Live. Share of calls that stream, in percent, chosen by call SID: a call keeps its answer, and "
        "a higher share includes all calls of a lower one.",
    )
    callers: tuple[CallerOverride, ...] = Field(
        (),
        max_length=500,
        json_schema_extra=listed_by("number"),
        description="Live. Settings for single callers; they override `mode`.",
    )


def _open(**bounds: int) -> WithJsonSchema:
    """Describe an object whose fields flagd defines."""
    return WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True, **bounds})


class Flag(ResourcePart):
    """A flag in flagd's format, https://flagd.dev/reference/flag-definitions/; the service checks its targeting."""

    state: Literal["ENABLED", "DISABLED"] = Field(
        description="DISABLED means that the flag does not exist, which is not the same as off.",
    )
    variants: Annotated[dict[str, Any], _open(minProperties=1, maxProperties=64)] = Field(
        description="Values of the flag, by name; all of one type.", min_length=1, max_length=64
    )
    default_variant: str | None = Field(None, min_length=1, max_length=253, description="Variant when no rule matches.")
    targeting: Annotated[dict[str, Any], _open(maxProperties=64)] | None = Field(
        None,
        description="A JsonLogic rule that picks a variant by targetingKey (call SID), agent, from, to, account_sid, "
        "direction, language and pod.",
    )
    metadata: Annotated[dict[str, Any], _open(maxProperties=64)] | None = Field(
        None, description="Texts, numbers and booleans stored with the flag."
    )

    def to_flagd(self) -> dict[str, Any]:
        """Return the definition as written; a null inside a rule means "no match", and is kept."""
        written = self.model_dump(by_alias=True)
        optional = ("defaultVariant", "targeting", "metadata")
        return {key: value for key, value in written.items() if key not in optional or value is not None}
