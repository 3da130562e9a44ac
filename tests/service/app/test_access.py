"""Every route of the internal API, and the right that it needs: by requests to a whole service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from fastapi import FastAPI

from batkol.app.http import internal_app
from batkol.rights import ALL_RIGHTS, Grant, Right
from batkol.web.access import Access
from batkol.web.fleet import FleetRoute
from support.http.phone import bearer
from support.http.references import at, refs
from support.service.stack import Stack, stack

OPEN: Final = None
"""Answers without a token."""
ANY: Final = frozenset[Right]()
"""Answers to every token."""
STATUS, LEADS, DRAIN = frozenset({Right.STATUS}), frozenset({Right.LEADS}), frozenset({Right.DRAIN})
LINE: Final = frozenset({Right.LINE})

TABLE: dict[tuple[str, str], frozenset[Right] | None] = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/asyncapi.json"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/docs/start.js"): OPEN,
    ("GET", "/docs/{name}"): OPEN,
    ("GET", "/redoc"): OPEN,
    ("GET", "/"): OPEN,
    ("GET", "/console"): OPEN,
    ("GET", "/console/{name:path}"): OPEN,
    ("GET", "/v1/console"): ANY,
    ("GET", "/v1/console/sentences/{number}.wav"): ANY,
    ("WEBSOCKET", "/v1/phone"): LINE,
    ("GET", "/v1/pod"): ANY,
    ("GET", "/v1/status"): STATUS,
    ("GET", "/v1/calls"): STATUS,
    ("GET", "/v1/calls/{call_sid}"): STATUS,
    ("GET", "/v1/calls/{call_sid}/events"): STATUS,
    ("GET", "/v1/events"): STATUS,
    ("GET", "/v1/history/calls"): LEADS,
    ("GET", "/v1/history/calls/{call_sid}"): LEADS,
    ("GET", "/v1/history/calls.csv"): LEADS,
    ("GET", "/v1/history/calls.jsonl"): LEADS,
    ("GET", "/v1/history/utterances.csv"): LEADS,
    ("GET", "/v1/history/utterances.jsonl"): LEADS,
    ("GET", "/v1/history/replies.csv"): LEADS,
    ("GET", "/v1/history/replies.jsonl"): LEADS,
    ("GET", "/v1/history/tool_calls.csv"): LEADS,
    ("GET", "/v1/history/tool_calls.jsonl"): LEADS,
    ("PUT", "/v1/history/calls/{call_sid}/utterances/{stream_sid}/{index}/correction"): LEADS | {Right.TEXTS},
    ("GET", "/v1/leads"): LEADS,
    ("PATCH", "/v1/leads/{lead_id}"): LEADS,
    ("GET", "/v1/leads.csv"): LEADS,
    ("GET", "/v1/leads.jsonl"): LEADS,
    ("POST", "/v1/calls/{call_sid}/say"): LINE,
    ("POST", "/v1/calls/{call_sid}/play"): LINE,
    ("POST", "/v1/calls/{call_sid}/clear"): LINE,
    ("POST", "/v1/calls/{call_sid}/mark"): LINE,
    ("POST", "/v1/calls/{call_sid}/hangup"): LINE,
    ("POST", "/v1/calls/{call_sid}/transfer"): LINE,
    ("POST", "/v1/drain"): DRAIN,
}
"""The rights of each route. What a client sees of numbers and texts is tested where it is shown."""


FOR_PODS: Final = {("GET", "/v1/pod/conversations/{call_sid}"), ("PUT", "/v1/pod/ends/{call_sid}")}
"""Answers to the agent's other pods, which know its auth token, and to no client."""

UNDESCRIBED: Final = ("/docs", "/redoc", "/openapi.json", "/asyncapi.json", "/console", "/v1/phone")
"""The descriptions themselves, the pages, and the socket, which AsyncAPI describes."""


HANDSHAKE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def named(token: str) -> str:
    """Return the name of a token."""
    return token.removeprefix("a-token-that-")


ONLY: Final = {right: f"a-token-that-may-{right}" for right in Right}
BUT: Final = {right: f"a-token-that-may-all-but-{right}" for right in Right}
GRANTS: Final = (
    *(Grant(named(token), token, frozenset({right})) for right, token in ONLY.items()),
    *(Grant(named(token), token, ALL_RIGHTS - {right}) for right, token in BUT.items()),
)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Stack, httpx.AsyncClient]]:
    async with (
        stack(folder, api_token="a-token-that-may-all", api_tokens=GRANTS) as up,
        httpx.AsyncClient(base_url=up.internal, timeout=20, verify=False) as http,
    ):
        yield up, http


async def status_of(http: httpx.AsyncClient, route: tuple[str, str], token: str = "") -> int:
    """Return the status of a route; a refusal is a sentence. A feed is not read."""
    method, path = route[0], route[1].replace("{name:path}", "index.html")
    path = path.format(call_sid="CA0", stream_sid="MZ0", index=0, lead_id=1, name="swagger-ui.css", number=0)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if method == "WEBSOCKET":
        offered = ["batkol.phone", *([bearer(token)] if token else [])]
        method, headers = "GET", HANDSHAKE | {"Sec-WebSocket-Protocol": ", ".join(offered)}
    async with http.stream(method, path, headers=headers) as answer:
        if answer.status_code in {401, 403}:
            unknown = "a token with the right" if headers.keys() & HANDSHAKE.keys() else "Bearer TOKEN"
            said = unknown if answer.status_code == 401 else f"which the token '{named(token)}' does not have"
            assert said in (await answer.aread()).decode()
        return answer.status_code


async def test_the_description_of_the_api_names_the_rights_and_the_shape_of_every_answer(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, http):
        described = (await http.get("/openapi.json")).json()
    operations = {
        (method.upper(), path): operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }

    assert operations.keys() == {route for route in TABLE if route[1] != "/" and not route[1].startswith(UNDESCRIBED)}
    for route, operation in operations.items():
        rights = TABLE[route]
        assert operation.get("x-rights") == (None if rights is None else sorted(rights)), route
        assert bool(operation.get("security")) == (rights is not None), route
        assert ({"401", "403"} <= operation["responses"].keys()) == (rights is not None), route
        assert operation["summary"][0].isupper(), route
        for status, answer in operation["responses"].items():
            shapes = [each["schema"] for each in answer.get("content", {}).values()]
            assert status == "204" or (shapes and all(shapes)), f"{route} answers {status} in no known shape"
    assert next(iter(described["components"]["securitySchemes"].values()))["scheme"] == "bearer"
    for ref in refs(described):
        at(described, ref)


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route of an application, with those of the routers in it."""
    for route in app.routes:
        inner = getattr(route, "effective_route_contexts", None)
        found: Iterable[Any] = [route] if inner is None else inner()
        for each in found:
            if isinstance(getattr(each, "original_route", each), FleetRoute):
                continue  # `scope=fleet` on the path of a pod's own route, whose rights hold
            yield from ((method, each.path) for method in getattr(each, "methods", None) or {"WEBSOCKET"})


async def test_every_route_has_a_row_and_every_row_a_route(tmp_path: Path) -> None:
    """A new route has to be put into the table: what it needs is decided there."""
    async with serving(tmp_path) as (up, _):
        there = set(routes(internal_app(up.service, Access())))

    assert {(method, path) for method, path in there if method != "HEAD"} == TABLE.keys() | FOR_PODS
    assert {("GET", path) for method, path in there if method == "HEAD"} <= TABLE.keys()


async def wrong(http: httpx.AsyncClient, route: tuple[str, str]) -> list[str]:
    """Return the clients that a route lets in and should not, or the other way round."""
    rights = TABLE[route]
    known = {"": rights is None, "another-token": rights is None, "a-token-that-may-all": True}
    known |= {BUT[right]: right not in (rights or ANY) for right in Right}
    known |= {ONLY[right]: (rights or ANY) <= {right} for right in Right}
    return [token for token, may in known.items() if (await status_of(http, route, token) not in {401, 403}) != may]


async def test_a_route_answers_to_those_who_may_and_to_nobody_else(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, http):
        assert {route: clients for route in TABLE if (clients := await wrong(http, route))} == {}


async def test_what_is_for_pods_answers_to_no_token(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, http):
        for method, path in FOR_PODS:
            for token in ("another-token", "a-token-that-may-all"):
                given = {"Authorization": f"Bearer {token}"}
                answer = await http.request(method, path.format(call_sid="CA0"), headers=given)
                assert answer.status_code == 403
                assert "Only a pod of the same agent" in answer.json()["detail"]


async def test_a_client_with_any_token_may_send_the_larger_body(tmp_path: Path) -> None:
    """What it may do with it is asked next."""
    body = b"x" * (65 << 10)
    tokens = {"": 413, "another-token": 413, ONLY[Right.STATUS]: 403, ONLY[Right.LEADS]: 409}
    async with serving(tmp_path) as (_, http):
        for token, status in tokens.items():
            answer = await http.patch("/v1/leads/1", content=body, headers={"Authorization": f"Bearer {token or 'x'}"})
            assert answer.status_code == status
