"""The base of every part of a `VoiceAgent`: a frozen model, and rules that the API server checks too.

Each rule is written twice, as CEL for the API server and as Python for the operator, with one message. A test compares
the answers of both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

BROKEN: Final = "broken_rule"
"""Type of the error for broken rules; its context has the `rules`."""

RefusalReason = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired"]


@dataclass(frozen=True, slots=True)
class ResourceRule:
    """A condition on more than one field, in CEL and in Python, which must agree.

    CEL checks a field by `has` before reading it: the API server also applies rules to `default: {}`, without defaults.
    """

    cel: str
    holds: Callable[[Any], bool]  # of the part
    message: str
    field: str = ""  # path below the part, as `.minReplicas`
    reason: RefusalReason = "FieldValueInvalid"

    def to_schema(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`."""
        entry = {"rule": self.cel, "message": self.message, "reason": self.reason}
        return {**entry, "fieldPath": self.field} if self.field else entry


def not_both(field: str, other: str, why: str) -> ResourceRule:
    """Return the rule that a field may not stand beside another one. Both are named as in YAML."""
    mine, others = _attribute(field), _attribute(other)
    return ResourceRule(
        cel=f"!(has(self.{field}) && has(self.{other}))",
        holds=lambda part: getattr(part, mine) is None or getattr(part, others) is None,
        message=f"may not be specified when `{other}` is: {why}",
        field=f".{field}",
        reason="FieldValueForbidden",
    )


def _attribute(field: str) -> str:
    """Return the name of a field in Python: `downward_api` for `downwardAPI`."""
    return re.sub("[A-Z]+", lambda capitals: f"_{capitals[0].lower()}", field)


def exactly_one(*fields: str, why: str = "") -> ResourceRule:
    """Return the rule that one of the fields stands, and no other of them. They are named as in YAML."""
    mine = tuple(_attribute(name) for name in fields)
    given = ", ".join(f"has(self.{field})" for field in fields)
    return ResourceRule(
        cel=f"size([{given}].filter(each, each)) == 1",
        holds=lambda part: sum(getattr(part, name) is not None for name in mine) == 1,
        message=f"must have one of {', '.join(f'`{field}`' for field in fields)}, and only one{why}",
    )


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
    """Set the format of a number or a text; the default of an integer is `int32`."""
    return {"format": format_}


def listed(kind: Literal["set", "atomic"]) -> dict[str, Any]:
    """Set how server-side apply merges a list: one owner for each value, or one for the whole list."""
    return {"x-kubernetes-list-type": kind}


def listed_by(*keys: str) -> dict[str, Any]:
    """Set that server-side apply merges a list by these keys of its items."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
