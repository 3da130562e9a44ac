"""Conversion of the models to a *structural* OpenAPI v3 schema, as the API server requires it.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
Pydantic's JSON Schema has `$ref`, `anyOf` with null, titles; a CustomResourceDefinition may have none of them. The
conversion refuses what it does not know, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from batkol_operator.model.part import ResourcePart

Schema: TypeAlias = dict[str, Any]

INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_KEPT: Final = (
    "type",
    "format",
    "description",
    "default",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "anyOf",
    "items",
    "properties",
    "required",
    "additionalProperties",
)
_DROPPED: Final = frozenset({"title", "$ref", "propertyNames"})
_NULL: Final = {"type": "null"}
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {}, ())


def schema_of(part: type[ResourcePart]) -> Schema:
    """Return the schema of a part and of all parts below it. Raises `TypeError` for what a schema cannot express."""
    written = part.model_json_schema()
    return _part(part, written, written.get("$defs", {}))


def parts_of(part: type[ResourcePart]) -> Iterator[type[ResourcePart]]:
    """Yield a part and all parts below it, each as often as it occurs."""
    yield part
    for field in part.model_fields.values():
        if inner := _model_in(field.annotation):
            yield from parts_of(inner)


def _part(part: type[ResourcePart], written: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Write a model; its rules come last."""
    fields = {field.alias or name: field for name, field in part.model_fields.items()}
    properties = {alias: _field(field, written["properties"][alias], definitions) for alias, field in fields.items()}
    schema: Schema = {"type": "object", "description": _first_paragraph(written), "properties": properties}
    if required := [alias for alias, field in fields.items() if field.is_required()]:
        schema["required"] = required
    if part.rules:
        schema["x-kubernetes-validations"] = [rule.to_schema() for rule in part.rules]
    return schema


def _field(field: FieldInfo, written: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Write a field. `default: {}` on a part makes the API server look for the defaults inside it."""
    schema = _value(written, field.annotation, definitions)
    if not field.description:
        raise TypeError(f"a field has no description: {written}")
    schema["description"] = field.description
    if schema.get("default") in _NOTHING:
        schema.pop("default", None)
    if field.default_factory is not None and _model_in(field.annotation):
        schema["default"] = {}
    return _in_order(schema)


def _value(written: Schema, annotation: Any, definitions: Mapping[str, Schema]) -> Schema:
    written = _without_null(written)
    if INT_OR_STRING in written:
        return dict(written)
    if "$ref" in written:
        definition = definitions[written["$ref"].rsplit("/", 1)[-1]]
        model = _model_in(annotation)
        schema = _part(model, definition, definitions) if model else dict(definition)
        schema |= {key: value for key, value in written.items() if key != "$ref"}
    else:
        schema = dict(written)
    if schema.get("type") == "integer":
        schema.setdefault("format", "int32")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            schema[inner] = _in_order(_value(schema[inner], annotation, definitions))
    if schema.get(preserving := "x-kubernetes-preserve-unknown-fields"):
        schema.pop("additionalProperties", None)
        schema[preserving] = True
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    return schema


def _without_null(written: Schema) -> Schema:
    """Remove null from the choices: the API server does not store nulls."""
    if INT_OR_STRING in written or "anyOf" not in written:
        return written
    choices = [choice for choice in written["anyOf"] if choice != _NULL]
    if len(choices) != 1:
        raise TypeError(f"a structural schema has one type for a field: {written}")
    return {**choices[0], **{key: value for key, value in written.items() if key != "anyOf"}}


def _model_in(annotation: Any) -> type[ResourcePart] | None:
    """Find the one model in `ResourcePart`, `Part | None`, `tuple[Part, ...]`, `dict[str, Part]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation if issubclass(annotation, ResourcePart) else None
    found = {model for inner in get_args(annotation) if (model := _model_in(inner))}
    if len(found) > 1:
        raise TypeError(f"a field holds parts of more than one kind: {found}")
    return found.pop() if found else None


def _first_paragraph(written: Schema) -> str:
    return str(written.get("description", "")).split("\n\n", 1)[0]


def _in_order(schema: Schema) -> Schema:
    """Sort the keys in the usual order, and refuse keys that a structural schema does not have."""
    extensions = [key for key in schema if key.startswith("x-kubernetes-")]
    unknown = schema.keys() - {*_KEPT, *extensions} - _DROPPED
    if unknown:
        raise TypeError(f"a structural schema has no {sorted(unknown)}")
    return {key: schema[key] for key in (*_KEPT, *extensions) if key in schema}
