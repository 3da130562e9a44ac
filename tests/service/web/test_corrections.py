"""Corrections over the history API: who may write them, what is kept, and what an erasure leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from batkol.store.postgres.erase import erase
from batkol.store.store import NoStore
from batkol.web.change_bodies import LARGEST_BODY
from support.postgres.history_api import Past, past, serving
from support.postgres.records import CALLER, began, heard, revised, sid, who
from support.postgres.sql import sql
from support.postgres.store_parts import Kept

SAID = "רציתי לקבוע תור"


def path(index: int = 0, call: int = 0, stream: int = 0) -> str:
    of = who(call, stream)
    return f"/v1/history/calls/{of.call_sid}/utterances/{of.stream_sid}/{index}/correction"


async def utterances(house: Past) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await house.read(f"/v1/history/calls/{sid()}"))["utterances"]
    return found


async def test_a_correction_stands_beside_what_was_heard_with_who_wrote_it(kept: Kept) -> None:
    kept.say([began(), heard(0), revised(0), heard(1), heard(0, who(0, 1))])
    await kept.written()
    async with past(kept) as house:
        with capture_logs() as lines:
            answer = await house.http.put(path(), json={"text": f"{SAID}\x00"})
        assert answer.status_code == 200, answer.text
        first, second, other = await utterances(house)

        assert answer.json() == first
        assert (first["text"], first["revised_text"], first["correction"]) == (
            heard(0).text,
            revised(0).text,
            f"{SAID}\ufffd",
        )
        assert (first["corrected_by"], first["corrected_at"] is None) == ("test", False)
        for each in (second, other):
            assert (each["correction"], each["corrected_by"], each["corrected_at"]) == (None, None, None)
        (line,) = (each for each in lines if each["event"] == "[API] utterance corrected")
        assert (line["token"], line["call_sid"], line["utterance"]) == ("test", sid(), 0)
        assert SAID not in str(lines)

        leads = {"Authorization": "Bearer a-token-of-leads-and-texts"}
        assert (await house.http.put(path(), json={"text": ""}, headers=leads)).json()["correction"] == ""
        assert (await utterances(house))[0]["corrected_by"] == "a-token-of-leads-and-texts"
        removed = (await house.http.put(path(), json={"text": None})).json()
        assert (removed["correction"], removed["corrected_by"]) == (None, None)
    assert await sql(kept.where, "SELECT * FROM corrections") == []


@pytest.mark.parametrize(
    ("asked", "body", "status"),
    [
        (path(1), {"text": SAID}, 404),
        (path(call=1), {"text": SAID}, 404),
        (path(stream=1), {"text": SAID}, 404),
        (path(-1), {"text": SAID}, 422),
        (path(2**31), {"text": SAID}, 422),
        (path(), {}, 422),
        (path(), {"text": SAID, "by": "me"}, 422),
        (path(), {"text": 5}, 422),
        (path(), {"text": "א" * 20_001}, 422),
        (path(), {"text": "א" * LARGEST_BODY}, 413),
    ],
)
async def test_what_is_no_correction_of_an_utterance_is_refused_and_changes_nothing(
    kept: Kept, asked: str, body: dict[str, Any], status: int
) -> None:
    kept.say([began(), heard(0)])
    await kept.written()
    async with past(kept) as house:
        answer = await house.http.put(asked, json=body)

    assert answer.status_code == status, answer.text
    assert await sql(kept.where, "SELECT * FROM corrections") == []


async def test_a_correction_wants_the_rights_to_the_history_and_to_texts() -> None:
    async with serving(NoStore()) as (http, _):

        async def put(token: str) -> httpx.Response:
            return await http.put(path(), json={"text": SAID}, headers={"Authorization": f"Bearer {token}"})

        assert (await put("no-token-at-all")).status_code == 401
        answers = {token: await put(f"a-token-of-{token}") for token in ("leads", "leads-and-numbers", "all-but-leads")}
        assert {answer.status_code for answer in answers.values()} == {403}
        assert "needs the right `texts`" in answers["leads"].json()["detail"]
        assert "needs the right `leads`" in answers["all-but-leads"].json()["detail"]
        assert (await put("a-token-of-leads-and-texts")).status_code == 409, "which a service without a store says"


async def test_an_erasure_takes_corrections_along_and_none_comes_after_it(kept: Kept) -> None:
    kept.say([began(), heard(0), began(who(1, caller="+972509999999")), heard(0, who(1, caller="+972509999999"))])
    await kept.written()
    async with past(kept) as house:
        for call in (0, 1):
            assert (await house.http.put(path(call=call), json={"text": SAID})).status_code == 200
        erased = await erase(kept.database.reading, CALLER)
        after = await house.http.put(path(), json={"text": SAID})

    assert (erased.utterances, erased.corrections) == (1, 1)
    assert (after.status_code, "An erased call has none" in after.json()["detail"]) == (404, True)
    assert [row["call_sid"] for row in await sql(kept.where, "SELECT * FROM corrections")] == [sid(1)]


async def test_corrections_and_an_erasure_at_the_same_time_leave_nothing(kept: Kept) -> None:
    kept.say([began(), *(heard(index) for index in range(8))])
    await kept.written()
    async with past(kept) as house:
        writing = [house.http.put(path(index), json={"text": SAID}) for index in range(8)]
        erased, answers = await asyncio.gather(erase(kept.database.reading, CALLER), asyncio.gather(*writing))

    assert erased.calls == 1
    assert {answer.status_code for answer in answers} <= {200, 404}
    assert await sql(kept.where, "SELECT * FROM corrections") == []
