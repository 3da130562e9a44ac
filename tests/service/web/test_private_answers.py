"""What browsers are told about the API's answers."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Response

from batkol.web.private_answers import PrivateAnswers


@pytest.mark.parametrize(
    ("path", "cache", "type_"),
    [
        ("/v1/calls", "no-store", "nosniff"),
        ("/v1/refused", "no-store", "nosniff"),
        ("/v1/nothing", "no-store", "nosniff"),
        ("/v1/kept", "private, max-age=60", "nosniff"),
        ("/metrics", None, None),
    ],
)
async def test_an_answer_of_the_api_is_kept_in_no_cache(path: str, cache: str | None, type_: str | None) -> None:
    app = FastAPI()
    app.add_middleware(PrivateAnswers)

    @app.get("/metrics")
    @app.get("/v1/calls")
    async def calls() -> dict[str, str]:
        return {}

    @app.get("/v1/refused")
    async def refused() -> None:
        raise HTTPException(403, "No.")

    @app.get("/v1/kept")
    async def kept() -> Response:
        return Response(headers={"Cache-Control": "private, max-age=60"})

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        answer = await http.get(path)

    assert answer.headers.get_list("cache-control") == ([] if cache is None else [cache])
    assert answer.headers.get("x-content-type-options") == type_
