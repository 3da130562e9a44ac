import asyncio
from collections import Counter

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, ConfigDict

from batkol.web.errors import ErrorMappingRoute, expect_disconnects
from batkol.web.server import listening
from support.http.raw_client import get, post, speaking
from support.time.waiting import until


async def test_a_client_that_is_gone_before_its_request_is_read_is_counted_and_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, left = FastAPI(), Counter[str]()
    expect_disconnects(app, lambda reason: left.update([str(reason)]))
    asked, go_on = asyncio.Event(), asyncio.Event()

    @app.post("/")
    async def slow(request: Request) -> int:
        asked.set()
        await go_on.wait()
        return len(await request.body())

    async with listening(app, "127.0.0.1", 0) as port:
        async with speaking(port) as raw:
            await raw.send(post(b"a body"))
            await asked.wait()
            raw.vanish()
            await asyncio.sleep(0.05)  # the reset is on its way
        go_on.set()
        await until(lambda: left == {"left": 1})
        async with speaking(port) as raw:
            await raw.send(post(b"a body"))
            assert (await raw.answer()).body == b"6"
        async with speaking(port) as raw:
            await raw.send(get("/nothing"))
            assert (await raw.answer()).status == 404

    assert not caplog.records


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str


async def test_a_body_that_is_not_what_it_should_be_is_named_in_plain_words() -> None:
    app = FastAPI()
    router = APIRouter(route_class=ErrorMappingRoute)

    @router.post("/say")
    async def say(_: Said) -> None: ...

    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
        plain = await http.post("/say", content=b'{"text": "a"}', headers={"Content-Type": "text/plain"})
        broken = await http.post("/say", content=b"{", headers={"Content-Type": "application/json"})
        unknown = await http.post("/say", json={"text": "a", "voice": "b"})

    assert plain.json()["detail"] == ("the body: it must be a JSON object, sent with `Content-Type: application/json`.")
    assert broken.json()["detail"] == "the body: it is not JSON."
    assert unknown.json()["detail"] == "voice: there is no such parameter or field here."
