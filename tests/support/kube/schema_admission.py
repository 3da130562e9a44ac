"""What an API server does with a custom resource before it keeps it: prune, fill in defaults, check schema and rules.

Small and partial on purpose: for quick tests. The real one is asked in `make e2e`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import celpy.adapter
import jsonschema  # type: ignore[import-untyped]  # has no types

from batkol_operator.model.crd import crd
from support.kube.cel import program

Json = Any
SCHEMA: dict[str, Any] = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
_PRESERVING = "x-kubernetes-preserve-unknown-fields"
_KEPT_OF_ROOT = ("apiVersion", "kind", "metadata")


def admitted(document: Json, *, rules: bool = True) -> Json:
    """Return what would be kept. Raises `AssertionError` with every complaint. `rules`: evaluate CEL, which is slow."""
    kept = defaulted(
        SCHEMA, {**pruned(SCHEMA, document), **{key: document[key] for key in _KEPT_OF_ROOT if key in document}}
    )
    found = list(complaints(kept) if rules else misfits(kept))
    assert not found, found
    return kept


def complaints(document: Json) -> Iterator[str]:
    """Yield what is wrong with a document that has its defaults, as `spec.twilio.publicBaseUrl: must be …`."""
    yield from misfits(document)
    yield from broken_rules(SCHEMA, document, "")


def misfits(document: Json) -> Iterator[str]:
    """Yield what is wrong with it by the schema alone."""
    for error in _VALIDATOR.iter_errors(document):
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message}"


def pruned(schema: Json, value: Json) -> Json:
    """Leave out the fields that the schema does not know."""
    if isinstance(value, list):
        return [pruned(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict) or schema.get(_PRESERVING):
        return value
    if isinstance(schema.get("additionalProperties"), dict):
        return {key: pruned(schema["additionalProperties"], inner) for key, inner in value.items()}
    known = schema.get("properties", {})
    return {key: pruned(known[key], inner) for key, inner in value.items() if key in known}


def defaulted(schema: Json, value: Json) -> Json:
    """Fill in defaults, outermost first: those inside an absent object apply only if it has a default itself."""
    if isinstance(value, list):
        return [defaulted(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for key, inner in schema.get("properties", {}).items():
        if key not in filled and "default" in inner:
            filled[key] = copy.deepcopy(inner["default"])
    inner_of = schema.get("properties", {})
    every = schema.get("additionalProperties")
    return {
        key: defaulted(inner_of.get(key) or (every if isinstance(every, dict) else {}), inner)
        for key, inner in filled.items()
    }


def broken_rules(schema: Json, value: Json, path: str) -> Iterator[str]:
    """Yield `path: message` for every CEL rule that does not hold, at every place that the schema has it.

    Raises `celpy.CELEvalError`, as a real one refuses the object.
    """
    rules = schema.get("x-kubernetes-validations", ())
    given = {"self": celpy.adapter.json_to_cel(value)} if rules else {}
    for rule in rules:
        if not program(rule["rule"]).evaluate(given):
            yield f"{path}{rule.get('fieldPath', '')}: {rule['message']}".lstrip(".")
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from broken_rules(schema.get("items", {}), item, f"{path}[{index}]")
    elif isinstance(value, dict):
        every = schema.get("additionalProperties")
        for key, inner in value.items():
            below = schema.get("properties", {}).get(key) or (every if isinstance(every, dict) else {})
            yield from broken_rules(below, inner, f"{path}.{key}")
