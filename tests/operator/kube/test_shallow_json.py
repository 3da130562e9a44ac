"""Objects that are too deep for Python's reader: cut, and each other object as it is."""

from __future__ import annotations

import json
from typing import Any

import aiohttp.test_utils
import aiohttp.web
import kopf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol_operator.kube.kopf_session import KopfSessions
from batkol_operator.kube.shallow_json import DEEPEST, shallow

TRICKY = '} \\" { [ "'
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(TRICKY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=30,
)


def nested(levels: int, inner: str = "1") -> str:
    return '{"a":' * levels + inner + "}" * levels


@given(VALUES)
def test_what_is_not_deep_is_left_as_it_is(value: Any) -> None:
    written = json.dumps(value).encode()

    assert shallow(written) == written


@given(VALUES, VALUES, st.integers(DEEPEST, 1500), st.booleans())
def test_what_is_too_deep_is_null_and_nothing_else_is_touched(
    before: Any, after: Any, levels: int, lists: bool
) -> None:
    deep = "[" * levels + json.dumps(before) + "]" * levels if lists else nested(levels, json.dumps(before))
    rest = json.dumps({"before": before, "tricky": TRICKY})
    text = f'{rest[:-1]}, "deep": {deep}, "after": {json.dumps(after)}}}'

    read = json.loads(shallow(text.encode()))

    assert (read["before"], read["tricky"], read["after"]) == (before, TRICKY, after)
    depth, inside = 1, read["deep"]
    while isinstance(inside, list | dict) and inside and depth <= DEEPEST:
        (inside,), depth = inside if isinstance(inside, list) else inside.values(), depth + 1
    assert (inside, depth) == (None, DEEPEST)


async def test_kopf_gets_every_object_of_a_listing_and_of_a_watch() -> None:
    """Python's own reader ends the watch with a `RecursionError`, and kopf the operator."""
    deep = f'{{"metadata":{{"name":"deep"}},"spec":{nested(9000)}}}'
    flat = '{"metadata":{"name":"flat"},"spec":{}}'

    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        if "watch" in request.query:
            return aiohttp.web.Response(
                text=f'{{"type":"ADDED","object":{deep}}}\n{{"type":"ADDED","object":{flat}}}\n'
            )
        return aiohttp.web.Response(text=f'{{"items":[{deep},{flat}]}}', content_type="application/json")

    app = aiohttp.web.Application()
    app.router.add_get("/flags", answer)
    async with aiohttp.test_utils.TestServer(app) as server:
        with pytest.raises(RecursionError):
            json.loads(deep)
        session = KopfSessions().session(kopf.ConnectionInfo(server=str(server.make_url("")))).aiohttp_session
        async with session, session.get(server.make_url("/flags")) as listing:
            listed = await listing.json()
            async with session.get(server.make_url("/flags?watch=true")) as watch:
                lines = b"".join([chunk async for chunk in watch.content.iter_chunked(1000)]).splitlines()

    assert [each["metadata"]["name"] for each in listed["items"]] == ["deep", "flat"]
    assert [json.loads(line)["object"]["metadata"]["name"] for line in lines] == ["deep", "flat"]


async def test_credentials_that_were_refused_are_not_taken_for_new_ones() -> None:
    """kopf would ask for them and be refused for ever, without a pause."""
    sessions = KopfSessions()
    first = sessions.session(kopf.ConnectionInfo(server="https://127.0.0.1:1", token="a"))
    again = sessions.session(kopf.ConnectionInfo(server="https://127.0.0.1:1", token="a"))
    other = sessions.session(kopf.ConnectionInfo(server="https://127.0.0.1:1", token="b"))
    for each in (first, other):
        await each.aiohttp_session.close()

    assert first is again
    assert other != first
    assert other.aiohttp_session.headers["Authorization"] == "Bearer b"
