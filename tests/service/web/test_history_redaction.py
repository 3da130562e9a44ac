"""The history as readers without `numbers` or `texts` get it: what they may not see is in no byte of an answer."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from batkol.rights import ALL_RIGHTS, Right
from batkol.store.journal.records import AnyRecord
from batkol.store.postgres import queries
from batkol.store.postgres.conversation_queries import conversation_of
from batkol.store.postgres.corrections import UtteranceKey, correct
from batkol.store.postgres.reply_queries import all_replies, all_tool_calls, replies_of, tool_calls_of
from batkol.store.store import NoStore
from batkol.web.access import Reader
from batkol.web.history_redaction import RIGHTS, shown
from support.postgres.history_api import READERS, TOKEN, Past, past, serving
from support.postgres.records import CALLED, CALLER, began, heard, over, replied, revised, sid, tool, who
from support.postgres.sql import sql
from support.postgres.store_parts import Kept

WORDS, CORRECTED, NAME, NOTES, SUMMARY = "תור לרופא", "תור לרופאה", "דנה לוי", "בבוקר", "ביטול"
INTENDED, HEARD, FIELD, SUMMED_UP = "בשמחה מתי נוח", "בשמחה מתי", "משה כהן", "רצתה תור"
RESULT = "פנוי בשש"
SAID = "תור לרופא שיניים דחוף"
PLANTED: dict[str, frozenset[Right]] = {
    CALLER: frozenset({Right.NUMBERS}),
    CALLED: frozenset({Right.NUMBERS}),
    WORDS: frozenset({Right.TEXTS}),
    CORRECTED: frozenset({Right.TEXTS}),
    NAME: frozenset({Right.NUMBERS, Right.TEXTS}),
    NOTES: frozenset({Right.TEXTS}),
    SUMMARY: frozenset({Right.TEXTS}),
    INTENDED: frozenset({Right.TEXTS}),
    HEARD: frozenset({Right.TEXTS}),
    SUMMED_UP: frozenset({Right.TEXTS}),
    RESULT: frozenset({Right.TEXTS}),
    SAID: frozenset({Right.TEXTS}),
}
"""What is planted, and the rights that show it."""
LEAD = {CALLER, NAME, NOTES, SUMMARY, FIELD}
SHOWN: dict[str, set[str]] = {
    "/v1/history/calls": {CALLER, CALLED, SUMMED_UP},
    f"/v1/history/calls/{sid()}": {CALLER, CALLED, WORDS, CORRECTED, INTENDED, HEARD, SUMMED_UP, FIELD, RESULT, SAID},
    "/v1/leads": LEAD,
    "/v1/history/calls.csv": {CALLER, CALLED, SUMMED_UP},
    "/v1/history/calls.jsonl": {CALLER, CALLED, SUMMED_UP},
    "/v1/history/utterances.csv": {WORDS, CORRECTED, SAID},
    "/v1/history/utterances.jsonl": {WORDS, CORRECTED, SAID},
    "/v1/history/replies.csv": {INTENDED, HEARD},
    "/v1/history/replies.jsonl": {INTENDED, HEARD},
    "/v1/history/tool_calls.csv": {FIELD, RESULT},
    "/v1/history/tool_calls.jsonl": {FIELD, RESULT},
    "/v1/leads.csv": LEAD,
    "/v1/leads.jsonl": LEAD,
}
"""What an answer has for a client with every right."""

OPEN = {
    "call_sid", "stream_sids", "account_sid", "agent", "direction", "started_at", "ended_at", "end_reason",
    "duration_s", "mode", "pod", "slowest_final_ms", "figures", "erased_at", "stream_sid", "index", "utterance_id",
    "begin_ms", "end_ms", "source", "recognizer", "words", "partials", "first_partial_ms", "final_ms", "revised_ms",
    "trace_id", "unvoiced", "unconfirmed", "event_id", "revised_event_id", "id", "first_call_at", "last_call_at",
    "last_call_sid", "calls", "updated_at", "reply_id", "turn", "kind", "phrase", "interrupted", "latency_ms",
    "text_ms",
    "first_token_ms", "first_piece_ms", "first_sound_ms", "commit_ms", "attempts", "answerer", "voice",
    "answerer_variant", "voice_variant", "prompt_tokens", "completion_tokens", "fault", "at", "tool", "outcome",
    "duration_ms", "corrected_by", "corrected_at",
}  # fmt: skip
"""The columns that every client of the history sees."""


def rights_to(text: str, path: str) -> frozenset[Right]:
    """What an agent saved wants more with the lead, whom it names, than as a part of the conversation."""
    if text == FIELD:
        return frozenset({Right.TEXTS}) if "history" in path else frozenset({Right.NUMBERS, Right.TEXTS})
    return PLANTED[text]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def planted(kept: Kept) -> None:
    said: list[AnyRecord] = [heard(0, text=WORDS), heard(1, text="", source="none"), revised(0, text=CORRECTED)]
    saved = tool(arguments=f'{{"name": "{FIELD}"}}', result=RESULT)
    kept.say([began(), *said, replied(1, intended=INTENDED, heard=HEARD), saved, over()])
    await kept.written()
    of = "SELECT call_sid, agent, 'done', $1, 1, now(), now() FROM calls"
    into = "INSERT INTO summaries (call_sid, agent, state, text, attempts, due_at, of_end)"
    await sql(kept.where, f"{into} {of}", SUMMED_UP)
    assert await correct(kept.database.reading, UtteranceKey(sid(), who().stream_sid, 0), SAID, "dana")


async def lead_of(house: Past) -> int:
    (lead,) = (await house.read("/v1/leads"))["leads"]
    return int(lead["id"])


async def test_what_a_client_may_not_see_is_in_no_byte_of_an_answer(kept: Kept) -> None:
    await planted(kept)
    async with past(kept) as house:
        lead = f"/v1/leads/{await lead_of(house)}"
        change = {"name": NAME, "notes": NOTES, "last_summary": SUMMARY}
        assert (await house.http.patch(lead, json=change)).status_code == 200
        for token, may in {TOKEN: ALL_RIGHTS, **READERS}.items():
            if Right.LEADS not in may:
                continue
            answers = {path: await house.http.get(path, headers=bearer(token)) for path in SHOWN}
            answers[lead] = await house.http.patch(lead, json={"notes": NOTES}, headers=bearer(token))
            for path, answer in answers.items():
                assert answer.status_code == 200, answer.text
                there = {text for text in (*PLANTED, FIELD) if text in answer.text}
                wanted = SHOWN.get(path, SHOWN["/v1/leads"])
                assert there == {text for text in wanted if rights_to(text, path) <= may}, (path, token)


async def test_the_form_of_an_answer_is_the_same_whatever_is_hidden(kept: Kept) -> None:
    """A hidden text is empty, one that is null stays null, and a file keeps its columns."""
    await planted(kept)
    async with past(kept) as house:
        blind = bearer("a-token-of-leads")
        call = (await house.http.get(f"/v1/history/calls/{sid()}", headers=blind)).json()
        paths = [f"/v1/history/utterances.{form}" for form in ("csv", "jsonl")]
        files = [(await house.http.get(path, headers=blind)).text for path in paths]

    said = [(each["text"], each["revised_text"], each["words"]) for each in call["utterances"]]
    assert said == [("", "", 2), ("", None, 2)]
    assert (call["call"]["caller_number"], call["call"]["called_number"]) == ("", "")
    read: list[dict[str, Any]] = [json.loads(line) for line in files[1].splitlines()]
    rows = list(csv.DictReader(io.StringIO(files[0])))
    assert [row["event_id"] for row in rows] == [f"{who().stream_sid}-5", f"{who().stream_sid}-15"]
    assert rows[0].keys() == read[0].keys()
    assert [row["revised_text"] for row in read] == ["", None]


@pytest.mark.parametrize("path", ["/v1/history/calls", "/v1/leads", *(path for path in SHOWN if "." in path)])
async def test_a_number_cannot_be_asked_for_without_the_right_to_numbers(path: str) -> None:
    """A filter by number tells whether that number called."""
    async with serving(NoStore()) as (http, _):
        for token, status in {"a-token-of-leads-and-texts": 403, "a-token-of-leads-and-numbers": 409}.items():
            answer = await http.get(path, params={"number": CALLER}, headers=bearer(token))
            assert answer.status_code == status, answer.text
            assert CALLER not in answer.text
            assert (status == 403) == ("needs the right `numbers`, which the token 'a-token" in answer.json()["detail"])


@pytest.mark.parametrize("path", [path for path in SHOWN if path.startswith("/v1/history/calls") and sid() not in path])
async def test_words_cannot_be_looked_for_without_the_right_to_texts(path: str) -> None:
    """A filter by words tells whether they were said."""
    async with serving(NoStore()) as (http, _):
        for token, status in {"a-token-of-leads-and-numbers": 403, "a-token-of-leads-and-texts": 409}.items():
            answer = await http.get(path, params={"words": WORDS}, headers=bearer(token))
            assert answer.status_code == status, answer.text
            assert (status == 403) == ("needs the right `texts`, which the token 'a-token" in answer.json()["detail"])


async def test_without_the_right_to_leads_nothing_of_the_history_is_shown() -> None:
    async with serving(NoStore()) as (http, _):
        for path in SHOWN:
            answer = await http.get(path, headers=bearer("a-token-of-all-but-leads"))
            assert answer.status_code == 403
            assert "needs the right `leads`" in answer.json()["detail"]


def test_every_column_is_open_or_wants_a_right() -> None:
    """A new column has to be put on one of the lists."""
    statements = (
        queries.one_call(sid()), queries.utterances_of(sid(), 1), queries.all_leads(None, None),
        queries.all_utterances(queries.CallFilter()), conversation_of(sid(), 1), replies_of(sid(), 1),
        tool_calls_of(sid(), 1), all_replies(queries.CallFilter()), all_tool_calls(queries.CallFilter()),
    )  # fmt: skip
    columns = {column.name for statement in statements for column in statement.selected_columns}

    assert columns == OPEN | RIGHTS.keys()
    assert not OPEN & RIGHTS.keys()


def test_a_client_with_every_right_gets_the_row_as_it_is() -> None:
    row = {"caller_number": CALLER, "text": WORDS, "name": None, "words": 2, "fields": {"name": NAME}}

    assert shown(row, Reader("all", ALL_RIGHTS)) == row


async def test_the_history_has_the_ids_of_the_events(kept: Kept) -> None:
    kept.say([began(), heard(0), revised(0), revised(1)])
    await kept.written()
    async with past(kept) as house:
        call = await house.read(f"/v1/history/calls/{sid()}")

    stream = who().stream_sid
    ids = [(each["event_id"], each["revised_event_id"]) for each in call["utterances"]]
    assert ids == [(heard(0).id, revised(0).id), (None, revised(1).id)]
    assert ids == [(f"{stream}-5", f"{stream}-7"), (None, f"{stream}-17")]
