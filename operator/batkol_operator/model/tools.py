"""The agent's actions beside talking: `spec.reply.tools`, `leadFields` and `transfers`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, StringConstraints, WithJsonSchema

from batkol_operator.model.address import WITH_HOST
from batkol_operator.model.part import ResourcePart, ResourceRule, listed
from batkol_operator.model.secret_key import SecretKey

HANG_UP: Final = "hang_up"
TRANSFER: Final = "transfer"
SAVE_LEAD: Final = "save_lead"
BUILT_IN: Final = (HANG_UP, TRANSFER, SAVE_LEAD)
"""Tools that the service has itself."""
UNKNOWN: Final = "unknown"

_BUILT_IN_CEL: Final = "self.name in ['hang_up', 'transfer', 'save_lead']"
_OWN: Final = ("url", "parameters", "token_secret_ref", "signing_secret_ref", "timeout_seconds")
_ROLLS: Final = (
    "A change of the reference rolls the pods; a change of the Secret takes effect in pods that start after it."
)
Label = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\s!-/:-@\[-`{-~][^\t-\r!-,./:-@\[-^`{-~]*$")
]


def open_object(**bounds: int) -> WithJsonSchema:
    """Describe an object whose fields JSON Schema defines."""
    return WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True, **bounds})


class ToolSpec(ResourcePart):
    """A tool that the model may call: one of your own behind a URL, or a built-in one by its name."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"self.name != '{UNKNOWN}'",
            holds=lambda part: part.name != UNKNOWN,
            message=f"may not be `{UNKNOWN}`: so metrics and events call a tool that there is not",
            field=".name",
        ),
        ResourceRule(
            cel=f"{_BUILT_IN_CEL} || has(self.url)",
            holds=lambda part: part.name in BUILT_IN or part.url is not None,
            message="must be specified unless the tool is a built-in one: `hang_up`, `transfer` or `save_lead`",
            field=".url",
            reason="FieldValueRequired",
        ),
        ResourceRule(
            cel=f"!({_BUILT_IN_CEL}) || !(has(self.url) || has(self.parameters) || has(self.tokenSecretRef) || "
            "has(self.signingSecretRef) || has(self.timeoutSeconds))",
            holds=lambda part: part.name not in BUILT_IN or all(getattr(part, name) is None for name in _OWN),
            message="of a built-in tool may come with a `description` only: the service has the rest itself",
            field=".name",
        ),
    )

    name: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[a-z][a-z0-9_]*$",
        description="Live. Name, as the model calls it; `hang_up`, `transfer` and `save_lead` are built in.",
    )
    description: str = Field(
        "", max_length=1000, description="Live. What the tool is for and when to call it, for the model."
    )
    url: Annotated[str, WITH_HOST] | None = Field(
        None,
        min_length=1,
        max_length=2048,
        pattern=r"^https?://[^\s#@]+$",
        description="Live. URL that a call of the tool is sent to, as a POST with the arguments.",
    )
    parameters: Annotated[dict[str, Any], open_object(minProperties=1, maxProperties=64)] | None = Field(
        None, description="Live. JSON Schema of the arguments, of type `object`; absent: the tool takes none."
    )
    timeout_seconds: int | None = Field(
        None, ge=1, le=20, description="Live. Time that the tool has for its answer, in seconds; absent: 5."
    )
    token_secret_ref: SecretKey | None = Field(
        None, description=f"Secret key with the bearer token for `url`; absent: the service sends none. {_ROLLS}"
    )
    signing_secret_ref: SecretKey | None = Field(
        None,
        description="Secret key with the secret, `whsec_…`, that signs the requests as Standard Webhooks does; absent: "
        f"they are not signed. {_ROLLS}",
    )


class LeadField(ResourcePart):
    """A field of a lead that the agent may save."""

    name: str = Field(
        min_length=1, max_length=64, pattern=r"^[a-zA-Z][a-zA-Z0-9_-]*$", description="Live. Name of the field."
    )
    description: str | None = Field(
        None, min_length=1, max_length=1000, description="Live. What the field is, for the model."
    )
    json_schema: Annotated[dict[str, Any], open_object(minProperties=1, maxProperties=64)] | None = Field(
        None,
        alias="schema",
        description="Live. JSON Schema of the field's value; absent: a text.",
    )


class TransfersSpec(ResourcePart):
    """Numbers that the agent may transfer a caller to; the model knows their labels only."""

    numbers_secret_ref: SecretKey = Field(
        description='Secret key with the numbers: JSON, label → number, such as `{"sales": "+97225550100"}`. '
        f"{_ROLLS} A pod does not start with numbers that cannot work; its log says why.",
    )
    labels: tuple[Label, ...] | None = Field(
        None,
        max_length=50,
        json_schema_extra=listed("set"),
        description="Live. Labels that the agent may use now; absent: all those in the Secret.",
    )
