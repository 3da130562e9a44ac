"""The descriptions of the API and the page that shows them, from a real socket."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import get_args

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest
from fastapi import FastAPI

from batkol.events.described import EVENTS, FEED
from batkol.events.schema import FEED_STRUCTS, STRUCTS
from batkol.rights import Right
from batkol.twilio.messages import Inbound
from batkol.web import reference
from batkol.web.asyncapi import asyncapi
from batkol.web.phone import PATH
from batkol.web.server import listening
from support.http.references import at, refs


@asynccontextmanager
async def serving() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(title="Batkol <internal>", openapi_url=None)
    app.include_router(reference.routes(app))
    async with (
        listening(app, "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, verify=False) as http,
    ):
        yield http


class Links(HTMLParser):
    """Everything that a page asks for, and the scripts and styles that stand in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.inline: list[str] = []
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in = tag
        self.asked += [value or "" for name, value in attrs if name in {"src", "href", "action", "data", "srcset"}]
        self.inline += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self._in in {"script", "style"} and data.strip():
            self.inline.append(data)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_page_asks_for_nothing_from_another_host_and_its_policy_lets_nothing(path: str) -> None:
    async with serving() as http:
        page = await http.get(path)
        links = Links(page.text)
        files = {link: await http.get(f"/{link}") for link in links.asked}
        start = files["docs/start.js"].text

    assert links.inline == [], "the policy lets no script run that stands in the page"
    assert [link for link in links.asked if "//" in link or link.startswith("/")] == []
    assert {link: answer.status_code for link, answer in files.items()} == dict.fromkeys(links.asked, 200)
    assert {answer.headers["x-content-type-options"] for answer in files.values()} == {"nosniff"}
    policy = dict(each.split(" ", 1) for each in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {source for sources in policy.values() for source in sources.split()} <= {
        "'none'", "'self'", "data:", "'unsafe-inline'",
    }  # fmt: skip
    assert "unsafe" not in policy["script-src"]
    assert 'url: "openapi.json"' in start
    assert "validatorUrl: null" in start, "or Swagger UI would send the address of the description to a public server"
    assert "<internal>" not in page.text


async def test_the_carried_swagger_ui_reads_the_version_of_openapi_that_is_described() -> None:
    async with serving() as http:
        script = (await http.get("/docs/swagger-ui-bundle.js")).text
        described = (await http.get("/openapi.json")).json()

    assert described["openapi"].startswith("3.1.")
    assert re.search(r"\b5\.\d+\.\d+\b", script), "Swagger UI 4 shows no OpenAPI 3.1"


@pytest.mark.parametrize("name", ["__init__.py", "..%2F__init__.py", "%2e%2e/main.py", "nothing.js"])
async def test_no_other_file_of_the_package_is_served(name: str) -> None:
    async with serving() as http:
        assert (await http.get(f"/docs/{name}")).status_code == 404


async def test_asyncapi_describes_every_event_and_every_reference_leads_somewhere() -> None:
    async with serving() as http:
        answer = await http.get("/asyncapi.json")
    document = answer.json()

    assert document == json.loads(json.dumps(asyncapi()))
    assert document["asyncapi"] == "3.0.0"
    phone = {name for name in document["components"]["messages"] if name.startswith("phone.")}
    assert set(document["components"]["messages"]) == {*EVENTS, *FEED, *phone}
    assert {struct.__name__ for struct in (*STRUCTS, *FEED_STRUCTS)} <= set(document["components"]["schemas"])
    for ref in refs(document):
        at(document, ref)
    of_phone = document["channels"].pop("phone")
    assert (of_phone["address"], set(of_phone["messages"])) == (PATH, phone)
    for channel in document["channels"].values():
        assert set(channel["messages"]) == {*EVENTS, *FEED}
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    assert len(phone) == len({*get_args(Inbound)}) + 4, "each that either side sends"
    fields = [field for each in document["components"]["schemas"].values() for field in each["properties"].values()]
    assert {field["x-right"] for field in fields if "x-right" in field} == {Right.NUMBERS, Right.TEXTS}
