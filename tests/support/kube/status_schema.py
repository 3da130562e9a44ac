"""What the definition's schema makes of a status that is written: quick, for every pass of an operator writes one."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # has no types

from batkol_operator.model.crd import crd


def refused_status(status: Any) -> list[str]:
    """Return the complaints about a status; a field that the schema does not have is one, as it is in an apply."""
    validator, known = _validator()
    found = [
        f"status.{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(status)
    ]
    return found + [f"status.{name}: field not declared in schema" for name in status if name not in known]


@cache
def _validator() -> tuple[Any, frozenset[str]]:
    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    return jsonschema.Draft202012Validator(schema), frozenset(schema["properties"])
