"""Tokens with rights: who a client is by its headers, what it is refused, and what is logged of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from structlog.testing import capture_logs

from batkol.rights import ALL_RIGHTS, READ_RIGHTS, Grant, Right
from batkol.web.access import Access, CurrentReader, Reader, guard, trusted

ALL, READ = "a-token-for-all-of-it", "a-token-for-reading"
ACCESS = [Grant("API_TOKEN", ALL, ALL_RIGHTS), Grant("console", READ, READ_RIGHTS)]


def asking(given: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), (b"authorization", given.encode("latin-1"))]


def test_a_client_is_known_by_its_token() -> None:
    access = Access(ACCESS)

    assert access.who(asking(f"Bearer {ALL}")) == Reader("API_TOKEN", ALL_RIGHTS)
    assert access.who(asking(f"bearer  {READ} ")) == Reader("console", READ_RIGHTS)
    assert [trusted(access)(asking(f"Bearer {token}")) for token in (ALL, READ, "x")] == [True, True, False]


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", ALL, f"Basic {ALL}", f"Bearer {ALL[:-1]}", f"Bearer {ALL} x", "Bearer é"]
)
def test_another_header_is_nobodys(given: str) -> None:
    assert Access(ACCESS).who(asking(given)) is None
    assert Access(ACCESS).who([]) is None


def test_without_tokens_everybody_may_everything() -> None:
    access = Access()

    assert not access.asks
    assert access.who([]) == access.who(asking("Bearer x")) == Reader("", ALL_RIGHTS)


def test_every_token_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the time of an answer would tell how many tokens stand before the one that fits."""
    compared: list[tuple[int, int]] = []

    def digests(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("batkol.web.access.hmac.compare_digest", digests)
    for token in (ALL, READ, "x", ""):
        Access(ACCESS).who(asking(f"Bearer {token}"))

    assert compared == [(32, 32)] * 8


def served(access: Access, *rights: Right) -> httpx.AsyncClient:
    router = APIRouter(dependencies=[Depends(guard(access, *rights))])

    @router.get("/")
    async def answer(reader: CurrentReader) -> dict[str, Any]:
        return {"name": reader.name, "may": sorted(reader.may)}

    app = FastAPI()
    app.include_router(router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")


async def test_an_endpoint_knows_the_client_that_the_guard_let_through() -> None:
    async with served(Access(ACCESS), Right.STATUS) as http:
        answer = await http.get("/", headers={"Authorization": f"Bearer {READ}"})

    assert answer.json() == {"name": "console", "may": ["status", "texts"]}


async def test_an_endpoint_that_asks_for_the_client_and_has_no_guard_does_not_answer() -> None:
    app = FastAPI()

    @app.get("/")
    async def answer(reader: CurrentReader) -> str:
        return reader.name

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        with pytest.raises(KeyError):
            await http.get("/")


async def test_who_sends_no_token_learns_what_to_send() -> None:
    async with served(Access(ACCESS), Right.STATUS) as http:
        answer = await http.get("/", headers={"Authorization": "Bearer x"})

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "needs `Authorization: Bearer TOKEN` with a token of API_TOKENS" in answer.json()["detail"]


async def test_a_client_without_the_right_learns_which_and_the_log_has_the_name_of_its_token_once_a_second() -> None:
    with capture_logs() as lines:
        async with served(Access(ACCESS), Right.LINE, Right.NUMBERS, Right.TEXTS) as http:
            answers = [await http.get("/", headers={"Authorization": f"Bearer {READ}"}) for _ in range(3)]
            allowed = await http.get("/", headers={"Authorization": f"Bearer {ALL}"})

    assert {answer.status_code for answer in answers} == {403}
    detail = answers[0].json()["detail"]
    assert detail.startswith("This request needs the right `line` and `numbers`, which the token 'console' does not")
    assert allowed.status_code == 200
    (line,) = lines
    assert (line["token"], line["missing"], line["log_level"]) == ("console", [Right.LINE, Right.NUMBERS], "warning")
    assert READ not in str(line)
