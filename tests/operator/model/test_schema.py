"""The walker refuses what it cannot say, instead of leaving it out."""

from __future__ import annotations

import pytest
from pydantic import Field

from batkol_operator.model.part import ResourcePart, ResourceRule
from batkol_operator.model.schema import schema_of


class Leaf(ResourcePart):
    """A leaf."""

    rules = (ResourceRule(cel="self.size > 1", holds=lambda leaf: leaf.size > 1, message="must be two", field=".size"),)

    size: int = Field(2, ge=1, le=3, description="How big.")


class Tree(ResourcePart):
    """A tree.

    What is written here is for those who read the code.
    """

    leaf: Leaf = Field(default_factory=Leaf, description="The one.")
    leaves: tuple[Leaf, ...] = Field((), max_length=4, description="The others.")
    by_name: dict[str, Leaf] = Field({}, max_length=4, description="The named.")
    nest: Leaf | None = Field(None, description="Perhaps.")


def test_parts_are_written_out_where_they_stand() -> None:
    leaf = {
        "type": "object",
        "description": "A leaf.",
        "properties": {
            "size": {
                "type": "integer",
                "format": "int32",
                "description": "How big.",
                "default": 2,
                "minimum": 1,
                "maximum": 3,
            }
        },
        "x-kubernetes-validations": [
            {"rule": "self.size > 1", "message": "must be two", "reason": "FieldValueInvalid", "fieldPath": ".size"}
        ],
    }

    assert schema_of(Tree) == {
        "type": "object",
        "description": "A tree.",
        "properties": {
            "leaf": {**leaf, "description": "The one.", "default": {}},
            "leaves": {"type": "array", "description": "The others.", "maxItems": 4, "items": leaf},
            "byName": {"type": "object", "description": "The named.", "maxProperties": 4, "additionalProperties": leaf},
            "nest": {**leaf, "description": "Perhaps."},
        },
    }


def test_a_rule_is_checked_here_too() -> None:
    with pytest.raises(ValueError, match="size must be two"):
        Leaf(size=1)


def test_a_field_without_a_description_is_refused() -> None:
    class Silent(ResourcePart):
        size: int = Field(1, ge=0, le=1)

    with pytest.raises(TypeError, match="no description"):
        schema_of(Silent)


def test_two_types_for_one_field_are_refused() -> None:
    class Torn(ResourcePart):
        size: int | str = Field(1, description="Either.")

    with pytest.raises(TypeError, match="one type"):
        schema_of(Torn)


def test_what_a_structural_schema_does_not_have_is_refused() -> None:
    class Odd(ResourcePart):
        size: int = Field(1, multiple_of=2, description="Even.")

    with pytest.raises(TypeError, match="multipleOf"):
        schema_of(Odd)
