"""The JSON Schema of a tool's arguments: the part of it that is kept here, and the refusal of all else.

Draft 2020-12 (https://json-schema.org/draft/2020-12), without what tools do not need. A keyword that would be ignored
is refused where the schema is read. Nothing here fetches a schema. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from batkol.tools.patterns import check_pattern

DEEPEST: Final = 48
"""Levels of a value, and of references in a schema."""
MOST_CHOICES: Final = 200
"""Schemas that one value is compared with: those of `anyOf` and its like, and those that a `$ref` names."""

_ANNOTATIONS: Final = frozenset([
    "title", "description", "default", "examples", "format", "deprecated", "readOnly", "writeOnly", "$comment",
    "$schema",
])  # fmt: skip
_IN_EACH: Final = ("anyOf", "oneOf", "allOf")
_BY_NAME: Final = ("properties", "$defs", "definitions")
_NUMBERS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_COUNTS: Final = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_KNOWN: Final = _ANNOTATIONS.union(
    _IN_EACH, _BY_NAME, _NUMBERS, _COUNTS,
    ("type", "enum", "const", "required", "additionalProperties", "items", "pattern", "not", "$ref"),
)  # fmt: skip
_REFERENCE: Final = re.compile(r"#/(\$defs|definitions)/([^/~%]+)")


def is_number(value: Any) -> bool:
    """Whether it is a number of JSON."""
    return isinstance(value, int | float) and not isinstance(value, bool)


TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": is_number,
    "integer": lambda value: is_number(value) and (isinstance(value, int) or value.is_integer()),
}
"""Whether a value is of a type, by the type's name."""


def check_schema(schema: Any, where: str = "the schema") -> None:
    """Refuse what is no schema, or says more than is kept here. Raises `ValueError`, a sentence."""
    _check(schema, where, schema, 0)


def _check(schema: Any, where: str, root: Any, depth: int) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise ValueError(f"{where} is no JSON object")  # noqa: TRY004  one kind of error, whatever is wrong
    if depth > DEEPEST:
        raise ValueError(f"{where} is deeper than {DEEPEST} levels")
    if unknown := sorted(set(schema) - _KNOWN):
        raise ValueError(f"{where} has the keyword {unknown[0]}, which is not supported")
    _check_words(schema, where, root)
    _count_choices(schema, where, root, (), 0)
    for name in _NUMBERS:
        if name in schema and not is_number(schema[name]):
            raise ValueError(f"{name} of {where} is no number")
    for name in _COUNTS:
        if name in schema and not (type(schema[name]) is int and schema[name] >= 0):
            raise ValueError(f"{name} of {where} is no whole number from 0")
    for inner, place in _inner(schema, where):
        _check(inner, place, root, depth + 1)


def _count_choices(schema: Any, where: str, root: Any, under: tuple[int, ...], count: int) -> int:
    """Return how many schemas one value is compared with. Raises `ValueError` for too many, and for a ring of them."""
    if id(schema) in under:
        raise ValueError(f"{where} is made of itself by $ref")
    if count > MOST_CHOICES:
        raise ValueError(f"{where} compares one value with more than {MOST_CHOICES} schemas")
    count += 1
    if not isinstance(schema, dict):
        return count
    lists = [schema.get(name) for name in _IN_EACH]
    choices = [each for one in lists if isinstance(one, list) for each in one]  # what is no list is refused later
    choices += [schema["not"]] if "not" in schema else []
    choices += [referenced(schema["$ref"], root)] if "$ref" in schema else []
    for each in choices:
        count = _count_choices(each, where, root, (*under, id(schema)), count)
    return count


def _check_words(schema: dict[str, Any], where: str, root: Any) -> None:
    kinds = schema.get("type", "object")
    for kind in kinds if isinstance(kinds, list) and kinds else [kinds]:
        if not isinstance(kind, str) or kind not in TYPES:
            raise ValueError(f"type of {where} is none of {', '.join(TYPES)}")
    if not (isinstance(schema.get("enum", [0]), list) and schema.get("enum", [0])):
        raise ValueError(f"enum of {where} is no list of values")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(each, str) for each in required):
        raise ValueError(f"required of {where} is no list of names")
    for name, words in (("type", kinds), ("required", required)):
        if isinstance(words, list) and len(set(words)) < len(words):
            raise ValueError(f"{name} of {where} has a word twice")
    try:
        check_pattern(schema.get("pattern", ""))
    except ValueError as error:
        raise ValueError(f"pattern of {where} {error}") from None
    if "$ref" in schema and referenced(schema["$ref"], root) is None:
        raise ValueError(f"$ref of {where} names nothing under $defs")


def _inner(schema: dict[str, Any], where: str) -> Iterator[tuple[Any, str]]:
    for name in ("additionalProperties", "items", "not"):
        if name in schema:
            yield schema[name], f"{name} of {where}"
    for name in _IN_EACH:
        if name in schema:
            if not isinstance(schema[name], list) or not schema[name]:
                raise ValueError(f"{name} of {where} is no list of schemas")
            for each in schema[name]:
                yield each, f"{name} of {where}"
    for name in _BY_NAME:
        if not isinstance(schema.get(name, {}), dict):
            raise ValueError(f"{name} of {where} is no object")  # noqa: TRY004
        for key, each in schema.get(name, {}).items():
            yield each, f"{key} of {where}"


def referenced(reference: Any, root: Any) -> Any:
    """Return the schema of the root that `$ref` names; None if there is none."""
    found = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if found is None or not isinstance(root, dict):
        return None
    named = root.get(found.group(1))
    return named.get(found.group(2)) if isinstance(named, dict) else None
