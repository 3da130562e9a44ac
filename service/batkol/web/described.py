"""The description of the internal API in OpenAPI 3.1: what FastAPI knows, and the answers and rights it does not.

Answers that go out often are encoded by msgspec, past FastAPI, so FastAPI knows no shape of them: a route names the
struct with `answer`, and the schema comes from there. A route that a `guard` protects shows the rights that it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from batkol.web.schemas import PROBLEM, Problem

REF: Final = "#/components/schemas/{name}"
"""The place of a schema in a description."""

ABOUT: Final = """\
Status, live calls, events, the line of a call, the history and the leads.

Every request needs `Authorization: Bearer TOKEN`, unless the service has no token at all; press **Authorize** here.
Each route names the rights that the token needs. The events are described field by field in `asyncapi.json`, and
docs/agents.md begins with the smallest bot that works.
"""
_REFUSALS: Final = {
    "401": "The request has no valid token.",
    "403": "The token does not have the right that the request needs; `detail` names the right.",
}

Responses = dict[int | str, dict[str, Any]]


def answer(struct: type[msgspec.Struct], status: int = 200, description: str = "Successful Response") -> Responses:
    """Return `responses` of a route whose answer is a struct as JSON."""
    schema = {"$ref": REF.format(name=struct.__name__)}
    return {status: {"description": description, "content": {"application/json": {"schema": schema}}}}


def answer_of_either(*structs: type[msgspec.Struct]) -> Responses:
    """Return `responses` of a route whose answer is one of several structs as JSON."""
    schema = {"oneOf": [{"$ref": REF.format(name=each.__name__)} for each in structs]}
    return {200: {"description": "Successful Response", "content": {"application/json": {"schema": schema}}}}


def problem(status: int, description: str) -> Responses:
    """Return `responses` of a route that refuses with a sentence."""
    return {status: {**PROBLEM, "description": description}}


def openapi_of(app: FastAPI, structs: Sequence[type[msgspec.Struct]]) -> dict[str, Any]:
    """Return the description of the application. `structs` are those that routes name with `answer`.

    It takes some 0.1 s of CPU: make it once, and not on the event loop.
    """
    document = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= struct_schemas(structs)
    schemas.setdefault("Problem", Problem.model_json_schema())
    for route in iter_route_contexts(app.routes):
        described = getattr(route, "include_in_schema", False)  # a socket has no place in OpenAPI
        for method in (route.methods or ()) if described else ():
            operation = document["paths"].get(route.path_format, {}).get(method.lower())
            if operation is not None:
                _summarize(operation)
                _add_rights(operation, rights_of(route.dependant))
                _refuse_with_sentences(operation)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document


def struct_schemas(structs: Sequence[type[msgspec.Struct]]) -> dict[str, Any]:
    """Return the schema of each struct and of all that it has, by name.

    Every field is required: the service sends all of them. The exception is a struct of which some answers are short.
    """
    _, found = msgspec.json.schema_components(structs, ref_template=REF)
    known = {each.__name__: each for each in _with_parts(structs)}
    short = {base.__name__ for each in known.values() for base in _shortened(each)}
    for name, schema in found.items():
        for field in schema.get("properties", {}).values():
            field.pop("default", None)
        if name not in short:
            schema["required"] = list(schema.get("properties", {}))
    return found


def rights_of(dependant: Dependant) -> list[str] | None:
    """Return the rights that a route asks for, in order; None where it asks for no token."""
    asked = [call.rights for call in _calls(dependant) if hasattr(call, "rights")]
    return None if not asked else [str(right) for rights in asked for right in rights]


def _calls(dependant: Dependant) -> Iterator[Any]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)


def _summarize(operation: dict[str, Any]) -> None:
    """Show the first sentence of a route's description beside its path, and not the name of its function."""
    if text := operation.get("description"):
        operation["summary"] = text.partition("\n")[0].partition(". ")[0].removesuffix(".")


def _add_rights(operation: dict[str, Any], rights: list[str] | None) -> None:
    if rights is None:
        return
    named = " and ".join(f"`{right}`" for right in rights)
    sentence = f"Needs the right {named}." if rights else "Needs any token."
    operation["description"] = "\n\n".join(filter(None, [operation.get("description"), sentence]))
    operation["x-rights"] = rights
    schema = {"schema": {"$ref": REF.format(name="Problem")}}
    for status, text in _REFUSALS.items():
        refusal = {"description": text, "content": {"application/json": schema}}
        operation["responses"].setdefault(status, refusal)


def _refuse_with_sentences(operation: dict[str, Any]) -> None:
    """Put our own shape in the place of FastAPI's: see `batkol.web.errors`."""
    refusal = operation["responses"].get("422")
    if refusal is not None and "HTTPValidationError" in str(refusal):
        schema = {"schema": {"$ref": REF.format(name="Problem")}}
        text = "A parameter or the body is not valid; `detail` says why."
        operation["responses"]["422"] = {"description": text, "content": {"application/json": schema}}


def _with_parts(structs: Iterable[type[msgspec.Struct]]) -> set[type[msgspec.Struct]]:
    """Return the structs, and all that are in them."""
    found: set[type[msgspec.Struct]] = set()
    waiting: list[Any] = [msgspec.inspect.type_info(each) for each in structs]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, msgspec.inspect.StructType) and kind.cls not in found:
            found.add(kind.cls)
            waiting += [field.type for field in kind.fields]
        for part in ("types", "item_types"):
            waiting += getattr(kind, part, ())
        waiting += [each for name in ("item_type", "value_type", "type") if (each := getattr(kind, name, None))]
    return found


def _shortened(struct: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """Return the struct if some subclass of it is sent without its defaults: the reader must expect that."""
    return [struct] if any(each.__struct_config__.omit_defaults for each in struct.__subclasses__()) else []
