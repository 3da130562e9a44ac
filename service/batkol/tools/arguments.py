"""The arguments that a model gives a tool: JSON that keeps to a schema, or what is wrong with them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from batkol.tools.patterns import LONGEST_MATCHED
from batkol.tools.schema import DEEPEST, TYPES, is_number, referenced

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
MOST: Final = 5
"""Things that are said to be wrong with one value."""


class ArgumentsError(Exception):
    """Arguments that a tool cannot be given. The text is for the model: it names places and rules, and no value."""


def read_arguments(written: str, schema: Any) -> dict[str, Any]:
    """Read the arguments as the model wrote them. Nothing at all is no arguments. Raises `ArgumentsError`."""
    try:
        found = msgspec.json.decode(written) if written.strip() else {}
    except _UNREADABLE:
        raise ArgumentsError("the arguments are not valid JSON") from None
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise ArgumentsError("the arguments are no JSON object")
    if wrong := violations(found, schema):
        raise ArgumentsError("; ".join(wrong))
    return found


def violations(value: Any, schema: Any) -> list[str]:
    """Return what is wrong with a value of JSON: clauses that name the place and the rule, and quote no value."""
    found: list[str] = []
    for each in _violations(value, schema, schema, "", 0):
        found.append(each)
        if len(found) == MOST:
            break
    return found


def _violations(value: Any, schema: Any, root: Any, at: str, depth: int) -> Iterator[str]:
    where = at or "the object"
    if depth > DEEPEST:
        yield f"{where} is too deep"
        return
    if isinstance(schema, bool):
        if not schema:
            yield f"{where} is not allowed"
        return
    yield from _of_value(value, schema, where)
    yield from _of_choices(value, schema, root, at, depth)
    if isinstance(value, str):
        yield from _of_text(value, schema, where)
    elif isinstance(value, dict):
        yield from _of_object(value, schema, root, at, depth)
    elif isinstance(value, list):
        yield from _counted(len(value), schema, where, "Items", "elements")
        for index, each in enumerate(value if "items" in schema else ()):
            yield from _violations(each, schema["items"], root, f"{at}[{index}]", depth + 1)
    elif is_number(value):
        yield from _of_number(value, schema, where)


def _of_value(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds is not None and not any(TYPES[kind](value) for kind in kinds):
        yield f"{where} is not of the type {' or '.join(kinds)}"
    if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
        shown = ", ".join(str(each) for each in schema["enum"][:20])
        yield f"{where} is none of: {shown}"
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{where} is not {schema['const']}"


def _of_choices(value: Any, schema: dict[str, Any], root: Any, at: str, depth: int) -> Iterator[str]:
    def fits(each: Any) -> bool:
        return next(_violations(value, each, root, at, depth + 1), None) is None

    where = at or "the object"
    if "$ref" in schema:
        yield from _violations(value, referenced(schema["$ref"], root), root, at, depth + 1)
    for each in schema.get("allOf", ()):
        yield from _violations(value, each, root, at, depth + 1)
    if "anyOf" in schema and not any(fits(each) for each in schema["anyOf"]):
        yield f"{where} fits none of the schemas of anyOf"
    if "oneOf" in schema and sum(fits(each) for each in schema["oneOf"]) != 1:
        yield f"{where} does not fit exactly one of the schemas of oneOf"
    if "not" in schema and fits(schema["not"]):
        yield f"{where} is what it must not be"


def _of_text(value: str, schema: dict[str, Any], where: str) -> Iterator[str]:
    yield from _counted(len(value), schema, where, "Length", "characters")
    if "pattern" in schema and (len(value) > LONGEST_MATCHED or re.search(schema["pattern"], value) is None):
        yield f"{where} does not match the pattern {schema['pattern']}"


def _of_object(value: dict[str, Any], schema: dict[str, Any], root: Any, at: str, depth: int) -> Iterator[str]:
    where, begin = at or "the object", f"{at}." if at else ""
    yield from _counted(len(value), schema, where, "Properties", "properties")
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{begin}{name} is missing"
    properties = schema.get("properties", {})
    for name, each in value.items():
        if name in properties:
            yield from _violations(each, properties[name], root, f"{begin}{name}", depth + 1)
        elif schema.get("additionalProperties") is False:
            yield f"{where} has a property that there is not; there are: {', '.join(properties) or 'none'}"
        elif "additionalProperties" in schema:
            yield from _violations(each, schema["additionalProperties"], root, f"{begin}{name}", depth + 1)


def _of_number(value: float, schema: dict[str, Any], where: str) -> Iterator[str]:
    if "minimum" in schema and not value >= schema["minimum"]:
        yield f"{where} is less than {schema['minimum']}"
    if "maximum" in schema and not value <= schema["maximum"]:
        yield f"{where} is more than {schema['maximum']}"
    if "exclusiveMinimum" in schema and not value > schema["exclusiveMinimum"]:
        yield f"{where} is not more than {schema['exclusiveMinimum']}"
    if "exclusiveMaximum" in schema and not value < schema["exclusiveMaximum"]:
        yield f"{where} is not less than {schema['exclusiveMaximum']}"


def _counted(count: int, schema: dict[str, Any], where: str, what: str, word: str) -> Iterator[str]:
    if count < schema.get(f"min{what}", 0):
        yield f"{where} has fewer than {schema[f'min{what}']} {word}"
    if count > schema.get(f"max{what}", count):
        yield f"{where} has more than {schema[f'max{what}']} {word}"


def _same(one: Any, other: Any) -> bool:
    """Whether two values of JSON are equal: true is not 1, and 1.0 is."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(each, other[name]) for name, each in one.items())
    return bool(one == other)
