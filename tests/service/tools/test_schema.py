"""The part of JSON Schema that is kept here, held to the reference library; what is not kept is refused."""

from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.tools.arguments import ArgumentsError, read_arguments, violations
from batkol.tools.patterns import LONGEST_MATCHED
from batkol.tools.schema import DEEPEST, check_schema
from support.properties import few_by_day

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, -2.0])
    | st.sampled_from(["", "a", "ab", "ב"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
TYPES = ["object", "array", "string", "boolean", "null", "number", "integer"]


def schemas() -> st.SearchStrategy[Any]:
    def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(inner, min_size=1, max_size=2)
        return st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True),
                "enum": st.lists(scalars, min_size=1, max_size=3),
                "const": values,
                "minimum": st.integers(-2, 2),
                "exclusiveMaximum": st.integers(-2, 2),
                "minLength": st.integers(0, 2),
                "maxItems": st.integers(0, 2),
                "minProperties": st.integers(0, 2),
                "pattern": st.sampled_from(["a", "^b?$", "[א-ת]"]),
                "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
                "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
                "additionalProperties": st.booleans() | inner,
                "items": inner,
                "anyOf": some,
                "oneOf": some,
                "allOf": some,
                "not": inner,
                "description": st.just("x"),
            },
        )

    return st.recursive(st.booleans() | around(st.booleans()), around, max_leaves=4)


@given(schemas(), values)
@few_by_day(50)
def test_a_value_keeps_to_a_schema_as_the_reference_has_it(schema: Any, value: Any) -> None:
    check_schema(schema)

    assert (violations(value, schema) == []) == jsonschema.Draft202012Validator(schema).is_valid(value)


@given(
    st.recursive(
        scalars,
        lambda inner: st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "items",
                    "enum",
                    "properties",
                    "required",
                    "$ref",
                    "$defs",
                    "x",
                    "minimum",
                    "minLength",
                    "pattern",
                    "anyOf",
                    "oneOf",
                    "allOf",
                    "not",
                    "const",
                    "additionalProperties",
                ]
            ),
            inner | st.lists(inner, max_size=2),
            max_size=3,
        ),
        max_leaves=6,
    ),
    values,
)
@few_by_day(50)
def test_what_is_accepted_as_a_schema_can_be_kept_to(written: Any, value: Any) -> None:
    try:
        check_schema(written)
    except ValueError:
        return
    jsonschema.Draft202012Validator.check_schema(written)
    assert all(isinstance(each, str) and each for each in violations(value, written)), "clauses, and no exception"


def test_a_reference_leads_to_a_definition_and_may_lead_round() -> None:
    schema = {
        "type": "object", "properties": {"next": {"$ref": "#/$defs/one"}},
        "$defs": {"one": {"properties": {"next": {"$ref": "#/$defs/one"}}, "additionalProperties": False}},
    }  # fmt: skip
    check_schema(schema)
    deep: dict[str, Any] = {}
    for _ in range(DEEPEST):
        deep = {"next": deep}

    assert violations({"next": {"next": {}}}, schema) == []
    assert violations({"next": {"other": 1}}, schema) == ["next has a property that there is not; there are: next"]
    assert "too deep" in violations(deep, schema)[0]


@pytest.mark.parametrize("schema", [{"type": ["string", "string"]}, {"required": ["a", "b", "a"]}], ids=str)
def test_words_twice_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="has a word twice"):
        check_schema(schema)


@pytest.mark.parametrize("name", ["anyOf", "oneOf", "allOf"])
@pytest.mark.parametrize("choices", [None, 1, "a", {}, []], ids=str)
def test_choices_that_are_no_list_are_refused(name: str, choices: object) -> None:
    with pytest.raises(ValueError, match=f"{name} of .* is no list of schemas"):
        check_schema({name: choices})


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("x", "is no JSON object"),
        ({"if": {}}, "has the keyword if, which is not supported"),
        ({"properties": {"a": {"type": "text"}}}, "type of a of the schema is none of"),
        ({"properties": []}, "properties of the schema is no object"),
        ({"enum": []}, "enum of the schema is no list of values"),
        ({"required": ["a", 1]}, "required of the schema is no list of names"),
        ({"pattern": "("}, "pattern of the schema is no regular expression"),
        ({"minLength": -1}, "minLength of the schema is no whole number"),
        ({"minimum": "1"}, "minimum of the schema is no number"),
        ({"anyOf": {}}, "anyOf of the schema is no list of schemas"),
        ({"$ref": "https://example.com/schema"}, r"\$ref of the schema names nothing under \$defs"),
        ({"$ref": "#/$defs/a", "$defs": []}, r"\$ref of the schema names nothing"),
    ],
    ids=str,
)
def test_a_schema_that_cannot_be_kept_is_refused(schema: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_schema(schema)


@pytest.mark.parametrize(
    ("written", "found"),
    [("", {}), ("null", {}), (' {"a": 1} ', {"a": 1}), ("[", "not valid JSON"), ("7", "no JSON object"),
     ("[" * 9000, "not valid JSON"), ('{"a": 1e999}', "not valid JSON")],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_arguments_are_an_object_or_say_what_they_are_not(written: str, found: Any) -> None:
    if isinstance(found, dict):
        assert read_arguments(written, True) == found
        return
    with pytest.raises(ArgumentsError, match=found):
        read_arguments(written, True)


def test_what_is_wrong_is_named_by_place_and_quotes_no_value() -> None:
    schema = {
        "type": "object", "required": ["a"],
        "properties": {"a": {"type": "string"}, "b": {"items": {"properties": {"c": {"type": "integer"}}}}},
    }  # fmt: skip

    assert violations({"b": [{"c": 1}, {"c": "סוד"}]}, schema) == ["a is missing", "b[1].c is not of the type integer"]


def test_a_long_text_is_not_tried_on_a_pattern() -> None:
    schema = {"pattern": "^(a+)+$"}

    assert violations("a" * LONGEST_MATCHED, schema) == []
    assert violations("a" * (LONGEST_MATCHED + 1), schema) != []


def test_a_number_too_large_for_a_machine_is_a_number() -> None:
    assert violations(10**400, {"type": "integer"}) == []


@pytest.mark.parametrize(
    "pattern", [r"^(\w+\s?)+$", r"^(\d+-?)+$", "(a|ab)*c", r"(a*)*", r"^\d*\d*\d*$", r"(?=a)b", r"(a)\1"]
)
def test_a_pattern_that_may_be_slow_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="slow"):
        check_schema({"properties": {"text": {"type": "string", "pattern": pattern}}})


@pytest.mark.parametrize(
    "pattern",
    [r"^0\d{1,2}-?\d{7}$", r"^[^@\s]+@[^@\s]+$", r"^(yes|no|maybe)$", r"^\d{4}-\d{2}-\d{2}$", r"[(*+?)]", "כן|לא"],
)
def test_usual_patterns_are_accepted(pattern: str) -> None:
    schema = {"properties": {"text": {"type": "string", "pattern": pattern}}}
    check_schema(schema)

    assert violations({"text": "!"}, schema) == [f"text does not match the pattern {pattern}"]


def test_a_schema_that_is_made_of_itself_or_of_too_many_is_refused() -> None:
    ring = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}
    with pytest.raises(ValueError, match="made of itself"):
        check_schema(ring)
    many: dict[str, object] = {"a0": {"type": "string"}}
    for number in range(1, 20):
        many[f"a{number}"] = {"anyOf": [{"$ref": f"#/$defs/a{number - 1}"}] * 2}
    with pytest.raises(ValueError, match="more than 200 schemas"):
        check_schema({"$defs": many, "$ref": "#/$defs/a19"})
