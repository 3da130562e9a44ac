import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from structlog.testing import capture_logs

from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres.address import Address
from batkol.store.postgres.open_calls import close_open
from batkol.store.store import NoStore
from batkol.web import history
from batkol.web.change_bodies import LARGEST_BODY
from support.network.ports import free_port
from support.postgres.history_api import TOKEN, fill, past, serving, whole
from support.postgres.records import (
    AT,
    CALLED,
    CALLER,
    began,
    heard,
    replied,
    replying,
    revised,
    sid,
    status,
    tool,
    who,
)
from support.postgres.server import Server
from support.postgres.sql import age, connection, sql
from support.postgres.store_parts import Kept
from support.time.waiting import eventually

FILES = ("history/calls", "history/utterances", "history/replies", "history/tool_calls", "leads")
PATHS = [
    "/v1/history/calls", "/v1/history/calls/CA0", "/v1/leads",
    *(f"/v1/{name}.{form}" for name in FILES for form in ("csv", "jsonl")),
]  # fmt: skip
INJECTIONS = ["'; DROP TABLE calls; --", "' OR '1'='1", "%", "\\", "$1", "a\x00b", "😀" * 100, "_" * 480, "+" * 480]


def _number(call_sid: str) -> int:
    return int(call_sid.removeprefix("CA"), 16)


async def test_without_the_token_nothing_is_shown_or_changed() -> None:
    async with serving(NoStore()) as (http, _):
        del http.headers["Authorization"]
        for path in PATHS:
            assert (await http.get(path)).status_code == 401
        for body, status in ((b"{}", 401), (b"no json", 401), (b"x" * (64 << 10), 401), (b"x" * (65 << 10), 413)):
            assert (await http.patch("/v1/leads/1", content=body)).status_code == status


async def test_a_service_that_keeps_nothing_says_so() -> None:
    async with serving(NoStore()) as (http, _):
        answers = [await http.get(path) for path in PATHS] + [await http.patch("/v1/leads/1", json={"name": "x"})]

    assert {answer.status_code for answer in answers} == {409}
    assert all("STORE=none" in answer.json()["detail"] for answer in answers)


async def test_calls_are_listed_the_newest_first_and_filtered(kept: Kept) -> None:
    other: Any = {"agent": "sales", "caller": "+972500000007"}
    kept.say([*whole(0), *whole(1, slow=1500.0), *whole(2, mode="single"), *whole(3, **other), *whole(4, slow=999.0)])
    await kept.written()

    async def listed(**asked: Any) -> list[int]:
        found = await house.read("/v1/history/calls", **asked)
        assert found["next"] is None
        return [_number(call["call_sid"]) for call in found["calls"]]

    def at(call: int) -> str:
        return datetime.fromtimestamp(AT + 60 * call, UTC).isoformat().replace("+00:00", "Z")

    async with past(kept) as house:
        assert await listed() == [4, 3, 2, 1, 0]
        assert await listed(agent="sales") == [3]
        assert await listed(agent="nobody") == []
        assert await listed(number="+972500000007") == [3]
        assert await listed(number=CALLER) == [4, 2, 1, 0]
        assert await listed(number=CALLED) == [4, 3, 2, 1, 0], "the other end's too"
        assert await listed(number=CALLED, agent="reception", mode="streaming") == [4, 1, 0]
        assert await listed(mode="single") == [2]
        assert await listed(slow_ms=1000) == [1]
        assert await listed(slow_ms=1500.5) == []
        assert await listed(from_=at(1), to=at(3)) == [2, 1], "from is in it, to is not"
        unescaped = await house.http.get(f"/v1/history/calls?number={CALLER}")  # a plus means a space there
        assert len(unescaped.json()["calls"]) == 4


async def test_calls_are_found_by_what_was_said_and_heard_and_by_slow_replies(kept: Kept) -> None:
    kept.say([*whole(0), revised(0, who(0), text="רופא 100%_עור"), *whole(1), *whole(2)])
    kept.say([replied(1, who(1), heard="Good evening", latency_ms=2500.0), replied(1, who(2))])
    await kept.written()

    async def listed(**asked: Any) -> list[int]:
        return [_number(call["call_sid"]) for call in (await house.read("/v1/history/calls", **asked))["calls"]]

    async with past(kept) as house:
        assert await listed(words="רופא") == [0]
        assert await listed(words="100%_") == [0], "each character means itself"
        assert await listed(words="1%עור") == []
        assert await listed(words="good EVE") == [1]
        assert await listed(words="משפט") == [2, 1, 0]
        assert await listed(words="משפט 0") == [2, 1], "what was corrected is not what was said"
        assert await listed(words="משפט", number=CALLER, agent="sales") == []
        assert await listed(slow_reply_ms=2500) == [1]
        assert await listed(slow_reply_ms=700) == [2, 1]
        exported = await house.http.get("/v1/history/utterances.jsonl", params={"words": "good"})
        assert {_number(json.loads(line)["call_sid"]) for line in exported.text.splitlines()} == {1}


async def test_a_call_from_a_number_to_itself_is_listed_once(kept: Kept) -> None:
    kept.say([*whole(0, caller=CALLED), *whole(1)])
    await kept.written()
    async with past(kept) as house:
        found = await house.pages("/v1/history/calls", "calls", number=CALLED, limit=1)

    assert [call["call_sid"] for call in found] == [sid(1), sid(0)]


async def test_an_end_that_no_pod_recorded_is_shown_and_exported_with_who_said_so(kept: Kept) -> None:
    """Twilio told one; of the other, whose pod was killed too, nothing was heard for more than a day."""
    kept.say([began(), began(who(1)), status()])
    await kept.written()
    await age(kept.where, 30)
    await close_open(kept.database.reading, pause_s=0)
    async with past(kept) as house:
        listed = (await house.read("/v1/history/calls"))["calls"]
        lines = (await house.http.get("/v1/history/calls.csv")).text.splitlines()

    shown = [(call["end_reason"], call["duration_s"], call["ended_at"] is None) for call in listed]
    assert shown == [("lost", None, False), ("completed", 31, False)]
    assert ",lost,," in lines[1]
    assert ",completed,31," in lines[2]


async def test_one_call_is_shown_with_what_was_said_stream_after_stream(kept: Kept) -> None:
    first, second = who(1, 9), who(1, 1)
    later = second.started_at + 100
    kept.say([began(first), heard(1, first, unconfirmed=True), heard(0, first, unvoiced=True), revised(1, first)])
    kept.say([heard(0, who(1, 1, started_at=later), text="כן", recognizer="soniox/stt-rt-v5")])
    await kept.written()
    async with past(kept) as house:
        shown = await house.read(f"/v1/history/calls/{sid(1)}")
        nobody = await house.http.get(f"/v1/history/calls/{sid(2)}")

    assert shown["complete"] is True
    assert (shown["call"]["agent"], shown["call"]["caller_number"]) == ("reception", CALLER)
    assert shown["call"]["ended_at"] is None
    said = [(u["stream_sid"], u["index"], u["text"], u["revised_text"]) for u in shown["utterances"]]
    assert said == [
        (first.stream_sid, 0, "משפט 0", None),
        (first.stream_sid, 1, "משפט 1", "משפט מתוקן 1"),
        (second.stream_sid, 0, "כן", None),
    ]
    marks = [(u["unvoiced"], u["unconfirmed"]) for u in shown["utterances"]]
    assert marks == [(True, False), (False, False), (False, False)], "its revision is confirmed"
    assert [u["recognizer"] for u in shown["utterances"]] == [None, None, "soniox/stt-rt-v5"]
    assert nobody.status_code == 404
    assert nobody.json()["detail"].startswith("There is no call with this SID")


async def test_one_call_is_shown_with_what_the_agent_said_and_did_in_the_order_of_the_call(kept: Kept) -> None:
    """Its second stream is of a pod whose clock is an hour behind; in that one the pod was killed."""
    later = who(stream=1, started_at=AT - 3600.0)
    kept.say([began(later), replying(1, 1, later), heard(0, later)])
    kept.say([tool(seq=320, at=AT + 5.6), heard(0, at=AT + 4.0), replied(1, started_at=AT + 4.5), began()])
    await kept.written()
    async with past(kept) as house:
        shown = await house.read(f"/v1/history/calls/{sid()}")

    assert [(entry["kind"], entry["id"], entry["text"]) for entry in shown["conversation"]] == [
        ("utterance", f"{sid()}-0", "משפט 0"),
        ("reply", f"{who().stream_sid}-r1", "תשובה 0 תשובה 1 תשובה"),
        ("tool_call", f"{who().stream_sid}-320", None),
        ("utterance", f"{sid()}-0", "משפט 0"),
        ("reply", f"{later.stream_sid}-r1", "תשובה 0"),
    ]
    whole, cut = shown["replies"]
    assert (whole["intended"], whole["latency_ms"], whole["event_id"]) == (replied().intended, 740.0, replied().id)
    assert (cut["intended"], cut["ended_at"], cut["interrupted"]) == ("תשובה 0 תשובה 1", None, None)
    (called,) = shown["tool_calls"]
    assert (called["tool"], called["arguments"], called["outcome"]) == ("save_lead", tool().arguments, "done")
    assert called["result"] == "saved"
    assert shown["complete"] is True


async def test_fields_that_an_agent_saved_are_shown_and_exported_with_the_lead(kept: Kept) -> None:
    kept.say([began(), tool(), tool(seq=501, arguments='{"party": null, "day": "שני"}')])
    await kept.written()
    async with past(kept) as house:
        (lead,) = (await house.read("/v1/leads"))["leads"]
        changed = await house.http.patch(f"/v1/leads/{lead['id']}", json={"notes": "n"})
        lines = (await house.http.get("/v1/leads.jsonl")).text.splitlines()

    assert lead["fields"] == changed.json()["fields"] == msgspec.json.decode(lines[0])["fields"]
    assert lead["fields"] == {"name": "דנה", "day": "שני"}


async def test_the_name_that_an_agent_saved_is_the_leads_until_another_one_is_set(kept: Kept) -> None:
    kept.say([began(), tool(arguments='{"name": " דנה ", "day": "שני"}')])
    await kept.written()
    async with past(kept) as house:
        (lead,) = (await house.read("/v1/leads"))["leads"]
        path = f"/v1/leads/{lead['id']}"
        names = [(await house.http.patch(path, json={"name": name})).json()["name"] for name in ("דנה לוי", None)]
        line, *_ = (await house.http.get("/v1/leads.jsonl")).text.splitlines()

    assert (lead["name"], lead["fields"]["name"]) == ("דנה", " דנה ")
    assert names == ["דנה לוי", "דנה"]
    assert msgspec.json.decode(line)["name"] == "דנה"


async def test_a_field_name_that_is_no_text_is_no_name(kept: Kept) -> None:
    saved = ['{"name": 5}', '{"name": null}', '{"name": "  "}', '{"name": ["דנה"]}', "{}"]
    for call, arguments in enumerate(saved):
        of = who(call, caller=f"+97254123456{call}")
        kept.say([began(of), tool(of, arguments=arguments)])
    await kept.written()
    async with past(kept) as house:
        leads = (await house.read("/v1/leads"))["leads"]

    assert [lead["name"] for lead in leads] == [None] * len(saved)


async def test_a_call_with_more_than_is_shown_says_so(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 3)
    kept.say([*whole(0, finals=3), *whole(1, finals=4)])
    await kept.written()
    async with past(kept) as house:
        shown = [await house.read(f"/v1/history/calls/{sid(call)}") for call in (0, 1)]

    assert [(one["complete"], len(one["utterances"])) for one in shown] == [(True, 3), (False, 3)]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"number": "+97230000001"},
        *(pytest.param(each, marks=pytest.mark.nightly) for each in ({"agent": "agent-1"}, {"slow_ms": 1000})),
    ],
)
async def test_pages_have_no_gap_and_no_repeat_while_calls_are_written(
    where: Address, kept: Kept, asked: dict[str, Any]
) -> None:
    await fill(where, 60, 1)
    # Calls of one moment, and both ends of a number in one call and in two.
    await sql(where, "UPDATE calls SET called_number = '+97230000001'")
    await sql(where, "UPDATE calls SET caller_number = '+97230000001' WHERE right(call_sid, 1) IN ('1', '5')")
    await sql(where, "UPDATE calls SET started_at = '2026-01-01T00:00:00.123456Z' WHERE right(call_sid, 1) < '6'")
    await sql(where, "UPDATE calls SET agent = 'agent-1', slowest_final_ms = 1200")
    there = [row["call_sid"] for row in await sql(where, "SELECT call_sid FROM calls ORDER BY started_at, call_sid")]
    async with past(kept) as house:
        found, rest, call = [], "", 100
        while rest is not None:
            page = await house.read("/v1/history/calls", limit=7, **asked, **({"cursor": rest} if rest else {}))
            found += [shown["call_sid"] for shown in page["calls"]]
            rest = page["next"]
            kept.say(whole(call, slow=1300.0, agent="agent-1", caller="+97230000001"))
            await kept.written()
            call += 1

    assert found == there[::-1]


async def test_a_full_last_page_is_the_last(where: Address, kept: Kept) -> None:
    await fill(where, 10, 1)
    async with past(kept) as house:
        page = await house.read("/v1/history/calls", limit=10)

    assert (len(page["calls"]), page["next"]) == (10, None)


async def test_leads_are_listed_by_pages_whoever_called_last_first(kept: Kept) -> None:
    kept.say([r for call in range(7) for r in whole(call, agent=f"a{call % 2}", caller=f"+97250000000{call}")])
    kept.say(whole(8, agent="a0", caller="+972500000000"))
    await kept.written()
    async with past(kept) as house:
        everybody = await house.pages("/v1/leads", "leads", limit=2)
        one_agents = await house.pages("/v1/leads", "leads", limit=1, agent="a1")
        one = await house.read("/v1/leads", number="+972500000000")

    assert [lead["caller_number"][-1] for lead in everybody] == ["0", "6", "5", "4", "3", "2", "1"]
    assert [lead["caller_number"][-1] for lead in one_agents] == ["5", "3", "1"]
    assert [(lead["calls"], lead["last_call_sid"], lead["name"]) for lead in one["leads"]] == [(2, sid(8), None)]


async def test_what_an_agent_knows_of_a_lead_is_kept_and_what_it_does_not_name_stays(kept: Kept) -> None:
    kept.say(whole(0))
    await kept.written()
    async with past(kept) as house:
        (lead,) = (await house.read("/v1/leads"))["leads"]
        path = f"/v1/leads/{lead['id']}"
        named = await house.http.patch(path, json={"name": "דנה\x00'); DROP TABLE leads; --", "notes": "n" * 20_000})
        cleared = await house.http.patch(path, json={"notes": None, "last_summary": "רוצה פגישה"})
        nothing = await house.http.patch(path, json={})
        (shown,) = (await house.read("/v1/leads"))["leads"]
        absent = await house.http.patch("/v1/leads/999999999999", json={"name": "x"})

    assert named.json()["name"] == "דנה\ufffd'); DROP TABLE leads; --"
    assert (named.json()["notes"], named.json()["calls"]) == ("n" * 20_000, 1)
    assert named.json()["updated_at"] > lead["updated_at"]
    assert cleared.json() == nothing.json() == shown
    assert (shown["name"], shown["notes"], shown["last_summary"]) == (named.json()["name"], None, "רוצה פגישה")
    assert (absent.status_code, absent.json()["detail"][:13]) == (404, "There is no l")


MEANINGLESS_CHANGES = [
    (b'{"nmae": "x"}', 422, "nmae"),
    (b'{"calls": 5}', 422, "calls"),
    (b'{"name": 5}', 422, "name"),
    (b'{"name": "%s"}' % (b"x" * 481), 422, "480"),
    (b'{"notes": "%s"}' % (b"x" * 20_001), 422, "20000"),
    (b'{"name": "\\ud800"}', 422, "the body"),
    (b"[]", 422, "the body"),
    (b"", 422, "the body"),
    (b"\xff\xfe", 422, "the body"),
    (b'{"name": "%s"}' % (b"x" * LARGEST_BODY), 413, "larger"),
]


async def test_a_change_that_cannot_be_meant_is_refused_in_a_sentence(kept: Kept) -> None:
    kept.say(whole(0))
    await kept.written()
    async with past(kept) as house:
        before = await house.read("/v1/leads")
        for body, status_code, said in MEANINGLESS_CHANGES:
            answer = await house.http.patch(f"/v1/leads/{before['leads'][0]['id']}", content=body)
            assert answer.status_code == status_code, body[:50]
            assert said in answer.json()["detail"], body[:50]
            assert len(answer.json()["detail"]) < 300, "it does not repeat what it was given"
        assert before == await house.read("/v1/leads")


MEANINGLESS_QUESTIONS = [
    "limit=0", "limit=501", "limit=x", "slow_ms=999", "slow_ms=nan", "slow_ms=inf", "mode=fast", "from=yesterday",
    "words=x", "slow_reply_ms=0",
    "from=1700000000", "from=2026-01-01T00:00:00", "to=0001-01-01T00:00:00%2B14:00", "cursor=", "cursor=x",
    "cursor=%F0%9F%98%80", "agnet=x", "agent=" + "x" * 481, "cursor=" + "A" * 1001, "cursor=ktMAAAAAAAAAAAE",
]  # fmt: skip


async def test_a_question_that_cannot_be_meant_is_refused_in_a_sentence(kept: Kept) -> None:
    async with past(kept) as house:
        for asked in MEANINGLESS_QUESTIONS:
            answer = await house.http.get(f"/v1/history/calls?{asked}")
            assert answer.status_code == 422, (asked, answer.text)
            assert asked.partition("=")[0] in answer.json()["detail"], asked


async def test_a_cursor_of_another_list_is_refused(where: Address, kept: Kept) -> None:
    await fill(where, 5, 1)
    async with past(kept) as house:
        of_calls = (await house.read("/v1/history/calls", limit=1))["next"]
        of_leads = (await house.read("/v1/leads", limit=1))["next"]
        answers = [
            await house.http.get("/v1/leads", params={"cursor": of_calls}),
            await house.http.get("/v1/history/calls", params={"cursor": of_leads}),
        ]

    assert [answer.status_code for answer in answers] == [422, 422]


async def test_whatever_is_asked_for_is_data(kept: Kept) -> None:
    kept.say([*whole(0), *whole(1, agent="a\ufffdb", caller="' OR '1'='1")])
    await kept.written()
    async with past(kept) as house:
        for given in INJECTIONS:
            for name in ("agent", "number"):
                found = await house.read("/v1/history/calls", **{name: given})
                assert len(found["calls"]) == ((name, given) in {("agent", "a\x00b"), ("number", "' OR '1'='1")})
                await house.read("/v1/leads", **{name: given})
            assert (await house.http.get("/v1/history/calls/" + quote(given, safe=""))).status_code in {404, 422}
        assert len((await house.read("/v1/history/calls"))["calls"]) == 2


async def test_a_database_that_is_stopped_is_503_and_answers_again_when_it_is_back(server: Server, kept: Kept) -> None:
    kept.say(whole(0))
    await kept.written()
    async with past(kept, server.over_tcp(kept.where)) as house:
        assert len((await house.read("/v1/history/calls"))["calls"]) == 1
        await asyncio.to_thread(server.stop)
        try:
            with capture_logs() as lines:
                away = [await house.http.get(path) for path in PATHS]
                away.append(await house.http.patch("/v1/leads/1", json={"name": "דנה"}))
        finally:
            await asyncio.to_thread(server.start)

        async def answers() -> bool:
            return (await house.http.get("/v1/history/calls")).status_code == 200

        await eventually(answers)
        assert len((await house.http.get("/v1/history/calls.jsonl")).text.splitlines()) == 1

    assert [answer.status_code for answer in away] == [503] * len(away)
    assert all(int(answer.headers["retry-after"]) > 0 for answer in away)
    assert all("cannot be read now" in answer.json()["detail"] for answer in away)
    refused = [line for line in lines if line["event"].startswith("[API] the database refused a query")]
    assert len(refused) == len(away)
    assert all("check both, and the server" in line["remedy"] for line in refused)
    assert CALLER not in str(lines)
    assert "דנה" not in str(lines)


async def test_a_database_that_was_restarted_meanwhile_is_not_noticed(server: Server, kept: Kept) -> None:
    kept.say(whole(0))
    await kept.written()
    async with past(kept, server.over_tcp(kept.where)) as house:
        assert len((await house.read("/v1/history/calls"))["calls"]) == 1
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)

        assert len((await house.read("/v1/history/calls"))["calls"]) == 1


async def test_a_database_that_was_never_there_is_503(server: Server, kept: Kept) -> None:
    async with past(kept, server.over_tcp(kept.where, free_port())) as house:
        assert (await house.http.get("/v1/leads")).status_code == 503


async def test_an_address_that_the_driver_chokes_on_is_503(kept: Kept) -> None:
    nowhere = msgspec.structs.replace(kept.where, dsn="postgresql://postgres@127.0.0.1:70000/none")
    async with past(kept, nowhere) as house:
        for path in ("/v1/leads", "/v1/leads.csv"):
            answer = await house.http.get(path)

            assert answer.status_code == 503
            assert "OverflowError in the driver" in answer.json()["detail"]


async def test_a_query_that_hangs_is_ended_by_the_database_and_says_so(kept: Kept) -> None:
    async with connection(kept.where) as other, past(kept, patience=DatabaseTimeouts(5.0, 0.2, 10.0)) as house:
        async with other.transaction():
            await other.execute("LOCK TABLE calls, leads")
            answers = [await house.http.get(path) for path in PATHS]
        after = await house.http.get("/v1/history/calls")

    assert [answer.status_code for answer in answers] == [503] * len(PATHS)
    assert all("took longer" in answer.json()["detail"] for answer in answers)
    assert after.status_code == 200


async def test_a_full_pool_is_503_and_not_a_wait_without_end(kept: Kept) -> None:
    async with past(kept, patience=DatabaseTimeouts(1.0, 5.0, 5.0), pool_size=1) as house:
        async with house.database.reading.connect():
            answer = await house.http.get("/v1/leads")

        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert (await house.http.get("/v1/leads")).status_code == 200


async def test_the_token_is_not_in_the_description_of_the_api_and_each_path_has_examples() -> None:
    async with serving(NoStore()) as (http, _):
        answer = await http.get("/openapi.json")

    described = answer.json()
    assert TOKEN not in answer.text
    assert set(described["paths"]) >= {path.replace("CA0", "{call_sid}") for path in PATHS} | {"/v1/leads/{lead_id}"}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert {"401", "409", "422", "503"} <= set(operation["responses"]), path
            for parameter in operation.get("parameters", []):
                if parameter["name"] not in {"cursor", "authorization"}:
                    assert parameter["schema"].get("examples") or parameter.get("examples"), parameter
