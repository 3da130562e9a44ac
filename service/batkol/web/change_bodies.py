"""Bodies of changes to the history: bounded, and decoded strictly."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from fastapi import HTTPException, Request
from pydantic import ValidationError

from batkol.web.errors import sentence
from batkol.web.schemas import StrictModel

LARGEST_BODY: Final = 512 << 10
"""Bytes of a change: three texts at their longest, each character escaped."""

Change = TypeVar("Change", bound=StrictModel)


def described(model: type[StrictModel]) -> dict[str, Any]:
    """Return the description of a body that the route reads itself."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


async def read_change(request: Request, model: type[Change]) -> Change:
    """Read the body. Raises `HTTPException` for a body that is too large or not valid."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"The body is larger than {LARGEST_BODY} bytes, the limit for a change.")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(422, sentence(error.errors(include_input=False, include_url=False))) from None
