import asyncio
from collections import Counter
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict

from batkol.web.errors import ErrorMappingRoute, expect_disconnects, refuse_repeated
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
            async with speaking(port) as other:  # it comes behind the reset: once it is answered, that was read
                await other.send(get("/nothing"))
                assert (await other.answer()).status == 404
        go_on.set()
        await until(lambda: left == {"left": 1})
        async with speaking(port) as raw:
            await raw.send(post(b"a body"))
            assert (await raw.answer()).body == b"6"

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


async def test_a_parameter_that_is_there_twice_is_refused_and_not_half_taken() -> None:
    app = FastAPI()
    router = APIRouter(dependencies=[Depends(refuse_repeated)])

    @router.get("/calls")
    async def calls(agent: str = "") -> str:
        return agent

    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
        twice = await http.get("/calls?agent=front&agent=back")
        once = await http.get("/calls?agent=front")

    assert (twice.status_code, twice.json()["detail"]) == (422, "agent: it has 2 values, and takes one.")
    assert once.json() == "front"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"text": "\xd7"}', "the body: it is not UTF-8 from byte 10 on."),
        (b'{"text": "a", "more": ' + b"[" * 100_000, "the body: it is nested too deeply."),
        (b'{"text": %s}' % (b"7" * 5000), "the body: it has a number of too many digits."),
    ],
    ids=["not UTF-8", "deep", "digits"],
)
@pytest.mark.parametrize("path", ["/needed", "/optional"])
async def test_a_body_that_cannot_be_read_is_refused_as_other_bad_bodies_are(path: str, body: bytes, says: str) -> None:
    app = FastAPI()
    router = APIRouter(route_class=ErrorMappingRoute)

    @router.post("/needed")
    async def needed(_: Said) -> None: ...

    @router.post("/optional")
    async def optional(_: Annotated[Said | None, Body()] = None) -> None: ...

    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
        answer = await http.post(path, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(says)


async def test_a_client_that_is_gone_before_its_json_is_read_is_counted_as_well() -> None:
    app, left = FastAPI(), Counter[str]()
    expect_disconnects(app, lambda reason: left.update([str(reason)]))
    router = APIRouter(route_class=ErrorMappingRoute)

    @router.post("/")
    async def say(_: Said) -> None: ...

    app.include_router(router)

    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"9")]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    await app(scope, gone, send)

    assert left == {"left": 1}
