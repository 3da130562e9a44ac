"""Events against their JSON Schema, strictly: no field too many, none missing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import jsonschema  # type: ignore[import-untyped]

from batkol.events.events import Event, encode
from batkol.events.schema import event_schemas


@cache
def validator(struct: str) -> Any:
    """Return what holds an event to the schema of its struct. Later versions may add fields; this one has none more."""
    schema = event_schemas("#/{name}")[struct]
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema | {"additionalProperties": False})


def validate(events: Iterable[Event]) -> set[str]:
    """Validate events as they go out on the wire; return their names. Raises `jsonschema.ValidationError`."""
    names = set()
    for event in events:
        validator(type(event).__name__).validate(json.loads(encode(event)))
        names.add(str(event.__struct_config__.tag))
    return names
