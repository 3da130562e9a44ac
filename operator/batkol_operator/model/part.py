"""The base of every part of a `VoiceAgent`: a frozen model, and rules that the API server checks too.

A rule is written twice on one line, as CEL for the API server and as Python for this process, with one message.
A test holds the two to the same answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

BROKEN: Final = "broken_rule"
"""Type of the error that a broken rule is; its context has the `rules`."""

Reason = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired"]


@dataclass(frozen=True, slots=True)
class ResourceRule:
    """Something that no single field can say, in CEL and in Python, which must agree.

    A field that CEL reads is asked for by `has` first: the API server also tries rules on `default: {}`, as it stands.
    """

    cel: str
    holds: Callable[[Any], bool]  # of the part
    message: str
    field: str = ""  # path below the part, as `.minReplicas`
    reason: Reason = "FieldValueInvalid"

    def to_schema(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`."""
        entry = {"rule": self.cel, "message": self.message, "reason": self.reason}
        return {**entry, "fieldPath": self.field} if self.field else entry


class ResourcePart(BaseModel):
    """A part of the resource: camelCase in YAML, unknown fields left to newer versions."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    rules: ClassVar[tuple[ResourceRule, ...]] = ()

    @model_validator(mode="after")
    def _obeys_its_rules(self) -> Self:
        broken = [rule for rule in self.rules if not rule.holds(self)]
        if broken:
            text = "; ".join(f"{rule.field.lstrip('.')} {rule.message}".strip() for rule in broken)
            raise PydanticCustomError(BROKEN, "{text}", {"text": text, "rules": broken})
        return self


def sized(format_: Literal["int64", "date-time"]) -> dict[str, Any]:
    """Say what a number or a text is beyond its type; a whole number is `int32` unless it says so."""
    return {"format": format_}


def listed(kind: Literal["set", "atomic"]) -> dict[str, Any]:
    """Say how server-side apply merges a list: one owner for each value, or for the whole."""
    return {"x-kubernetes-list-type": kind}


def listed_by(*keys: str) -> dict[str, Any]:
    """Say that a list is of named things, merged by these keys."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
