"""What a batch does to the tables, on a real Postgres."""

import json
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.journal.record import LONGEST_TEXT, Who
from batkol.store.journal.records import AnyRecord, record_of
from batkol.store.postgres.address import Address
from batkol.store.postgres.batch import batch_of, save
from batkol.store.postgres.connections import Database
from support.postgres.emptying import empty
from support.postgres.records import (
    AT,
    CALLED,
    CALLER,
    began,
    final_event,
    heard,
    over,
    replied,
    replying,
    revised,
    sid,
    status,
    tool,
    who,
)  # fmt: skip
from support.postgres.sql import everything, sql, texts

NASTY = [
    "'); DROP TABLE utterances; --",
    '", "text": "somebody else"}], [{',
    "${jndi:ldap://x} %s %(rows)s :rows $1",
    "\\x00 \\u0000 \\",
    "a\tb\r\nc\u2028d",
    "👩‍👩‍👧 שלום 𝕏",
    "",
]


@pytest.fixture
async def engine(where: Address) -> AsyncIterator[AsyncEngine]:
    """The connection of one writer, as long as the test lasts."""
    database = Database(where)
    yield database.writing
    await database.close()


async def write(engine: AsyncEngine, records: Sequence[AnyRecord]) -> None:
    async with engine.begin() as open_:
        await save(open_, batch_of(records))


async def the_call(where: Address) -> dict[str, Any]:
    (row,) = await sql(where, "SELECT * FROM calls")
    return row


async def test_the_marks_of_an_utterance_are_kept_and_lifted_by_what_comes_later(
    where: Address, engine: AsyncEngine
) -> None:
    await write(engine, [began(), heard(0, unvoiced=True), heard(1, unconfirmed=True), revised(0, unconfirmed=True)])
    marks = "SELECT unvoiced, unconfirmed, revised_unconfirmed FROM utterances ORDER BY index"
    assert [tuple(row.values()) for row in await sql(where, marks)] == [(True, False, True), (False, True, None)]

    await write(engine, [revised(0, seq=50, text=""), revised(1, seq=51)])

    first, second = await sql(where, "SELECT revised_text, unconfirmed, revised_unconfirmed FROM utterances")
    assert tuple(first.values()) == ("", False, False)
    assert tuple(second.values()) == ("משפט מתוקן 1", True, False)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def test_a_call_with_its_utterances_is_kept_whole(where: Address, engine: AsyncEngine) -> None:
    await write(engine, [began(), heard(0), heard(1), revised(1), over(finals={"final": 2})])

    call = await the_call(where)
    assert (call["call_sid"], call["stream_sids"], call["pod"]) == (sid(), [who().stream_sid], "pod-1")
    assert (call["agent"], call["caller_number"], call["called_number"]) == ("reception", CALLER, CALLED)
    assert (call["started_at"], call["ended_at"], call["end_reason"]) == (at(AT), at(AT + 9), "stop")
    assert (call["mode"], call["slowest_final_ms"]) == ("streaming", 420.25)
    assert msgspec.json.decode(call["figures"]) == {
        who().stream_sid: {"duration_s": 9.0, "words": 4, "finals": {"final": 2}}
    }
    first, second = await sql(where, "SELECT * FROM utterances ORDER BY index")
    assert (first["text"], first["revised_text"], first["source"], first["words"]) == ("משפט 0", None, "final", 2)
    assert (first["begin_ms"], first["end_ms"], first["first_partial_ms"], first["final_ms"]) == (
        0,
        1200,
        310.5,
        420.25,
    )
    assert (first["started_at"], first["trace_id"]) == (at(AT + 2 - 1.62025), "ab" * 16)
    assert (second["text"], second["revised_text"], second["revised_ms"]) == ("משפט 1", "משפט מתוקן 1", 900.0)
    events = await sql(where, "SELECT kind, detail FROM events ORDER BY seq")
    assert [event["kind"] for event in events] == ["call.started", "revised", "call.ended"]
    assert not any("משפט" in event["detail"] or CALLER in event["detail"] for event in events)
    (lead,) = await sql(where, "SELECT * FROM leads")
    assert (lead["agent"], lead["caller_number"], lead["calls"]) == ("reception", CALLER, 1)
    assert (lead["first_call_at"], lead["last_call_at"], lead["last_call_sid"]) == (at(AT), at(AT), sid())


HANDED_OVER: list[AnyRecord] = [
    began(),
    heard(0),
    heard(1, text="מה שהובן", source="interim", final_ms=1300.0),
    revised(1),
    over(reason="drained"),
    began(who(stream=1, pod="pod-2"), mode="single"),
    heard(0, who(stream=1, pod="pod-2")),
    over(who(stream=1, pod="pod-2"), words=7),
    began(who(1)),
    heard(0, who(1)),
]
"""A call that went on on another pod, and a second call of the same caller, which is going on."""

ANSWERED: list[AnyRecord] = [
    began(),
    replying(1, 0),
    replying(1, 1),
    replying(1, 2),
    replied(1),
    replying(2, 0),
    replying(2, 1),
    tool(seq=320, arguments='{"name": "דנה", "party": 4, "day": "שני"}'),
    tool(seq=330, arguments='{"party": 5, "day": null}'),
    over(reason="drained"),
    began(who(stream=1, started_at=AT - 3600.0)),
    tool(who(stream=1, started_at=AT - 3600.0), seq=20, arguments='{"party": 6}'),
    replied(1, who(stream=1, started_at=AT - 3600.0)),
    began(who(1)),
    tool(who(1), seq=10, arguments='{"name": "דנה לוי"}'),
    tool(who(1), seq=20, arguments='{"party": 9}', outcome="refused"),
    tool(who(1), seq=30, name="transfer", arguments='{"party": 7}'),
]
"""What the agent said and did: a reply that ended, one whose pod was killed; a call that moved to a pod with a clock
that is an hour behind; another call of the caller later."""

TOLD: list[AnyRecord] = [
    began(),
    heard(0),
    over(),
    status(0),
    began(who(1)),
    heard(0, who(1)),
    status(1),
    status(1, ended_at=who(1).started_at + 31.0),
    status(2, status="no-answer", duration_s=None),
]
"""What Twilio told of a call that ended, of one whose pod was killed, and of one that had no stream."""


@pytest.mark.parametrize(
    ("records", "seeds"),
    [
        pytest.param(HANDED_OVER, range(3), id="handed over"),
        pytest.param(TOLD, range(2), id="told"),
        pytest.param(ANSWERED, range(2), id="answered"),
        pytest.param(HANDED_OVER, range(3, 12), id="handed over, many times", marks=pytest.mark.nightly),
        pytest.param(TOLD, range(2, 4), id="told, many times", marks=pytest.mark.nightly),
        pytest.param(ANSWERED, range(2, 12), id="answered, many times", marks=pytest.mark.nightly),
    ],
)
async def test_in_any_order_in_any_batches_and_any_number_of_times_the_record_is_the_same(
    where: Address, engine: AsyncEngine, records: list[AnyRecord], seeds: Iterable[int]
) -> None:
    """Pods deliver when they can, and again when they are not sure."""
    for record in records:
        await write(engine, [record])
    expected = await everything(where)
    for seed in seeds:
        await empty(where)
        chance = random.Random(seed)
        shuffled = records + chance.sample(records, 5)
        chance.shuffle(shuffled)
        while shuffled:
            count = chance.randint(1, 4)
            await write(engine, shuffled[:count])
            del shuffled[:count]
        got = await everything(where)
        for table in expected:
            assert [_unordered(row) for row in got[table]] == [_unordered(row) for row in expected[table]], (
                seed,
                table,
            )


def _unordered(row: str) -> str:
    """Which stream was heard of first, and of which the first mode came, is all that the order may decide."""
    for stream in (0, 1):
        row = row.replace(who(stream=stream).stream_sid, "MZ")
    return row.replace("'mode': 'single', 'pod'", "'mode': 'streaming', 'pod'")


async def test_a_call_that_was_handed_over_is_one_call_of_two_streams_and_lives_until_the_last_ends(
    where: Address,
    engine: AsyncEngine,
) -> None:
    later = who(stream=1, pod="pod-2")
    await write(engine, [began(later), heard(0, later)])
    await write(engine, [began(), heard(0), over(reason="drained")])

    call = await the_call(where)
    assert (call["started_at"], call["stream_started_at"]) == (at(AT), at(AT + 10))
    assert (call["pod"], call["stream_sid"]) == ("pod-2", later.stream_sid)
    assert (call["ended_at"], call["end_reason"]) == (None, None), "the first stream's end is not the call's"
    assert sorted(call["stream_sids"]) == [who().stream_sid, later.stream_sid]
    assert await texts(where) == [(sid(), 0, "משפט 0"), (sid(), 0, "משפט 0")], "each stream counts from 0"
    await write(engine, [over(later)])
    call = await the_call(where)
    assert (call["ended_at"], call["end_reason"]) == (at(AT + 19), "stop")
    assert set(msgspec.json.decode(call["figures"])) == {who().stream_sid, later.stream_sid}
    assert [lead["calls"] for lead in await sql(where, "SELECT calls FROM leads")] == [1]


async def test_an_older_value_never_replaces_a_newer_one(where: Address, engine: AsyncEngine) -> None:
    newer, older = heard(0, seq=9, text="חדש"), heard(0, seq=5, text="ישן")
    last, first = revised(0, seq=12, text="אחרון"), revised(0, seq=11, text="ראשון")
    told: list[list[AnyRecord]] = [[newer, last], [older, first], [first, older], [newer]]
    for records in told:
        await write(engine, records)

    (row,) = await sql(where, "SELECT text, seq, revised_text, revised_seq FROM utterances")
    assert tuple(row.values()) == ("חדש", 9, "אחרון", 12)
    await write(engine, [heard(0, seq=10, text="חדש ממנו")])
    assert await texts(where) == [(sid(), 0, "חדש ממנו")]


async def test_a_final_needs_no_call_and_a_revision_no_final(where: Address, engine: AsyncEngine) -> None:
    records: list[AnyRecord] = [began(), heard(0), revised(0)]
    for order in permutations(records):
        await empty(where)
        for record in order:
            await write(engine, [record])

        (row,) = await sql(where, "SELECT text, revised_text, started_at FROM utterances")
        assert (row["text"], row["revised_text"]) == ("משפט 0", "משפט מתוקן 0")
        assert row["started_at"] == at(AT + 2 - 1.62025)
        assert (await the_call(where))["mode"] == "streaming"


async def test_a_lead_counts_calls_and_not_what_is_told_of_them(where: Address, engine: AsyncEngine) -> None:
    for call in (2, 0, 1):
        for record in (began(who(call)), heard(0, who(call)), over(who(call)), over(who(call))):
            await write(engine, [record])

    (lead,) = await sql(where, "SELECT * FROM leads")
    assert (lead["calls"], lead["first_call_at"], lead["last_call_at"]) == (3, at(AT), at(AT + 120))
    assert lead["last_call_sid"] == sid(2)


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_a_lead_knows_when_its_calls_began_in_whatever_order_their_streams_are_written(
    where: Address, engine: AsyncEngine, order: tuple[int, ...]
) -> None:
    streams = [who(1, stream=0), who(1, stream=1), who(1, stream=2)]
    await write(engine, [began(who(3, caller="+97250"))])
    for index in order:
        await write(engine, [began(streams[index]), heard(0, streams[index]), over(streams[index])])

    (lead,) = await sql(where, "SELECT * FROM leads WHERE caller_number = $1", CALLER)
    assert (lead["calls"], lead["last_call_sid"]) == (1, sid(1))
    assert (lead["first_call_at"], lead["last_call_at"]) == (at(AT + 60), at(AT + 60))


async def test_a_late_stream_makes_no_lead_of_a_caller_whose_lead_is_gone(where: Address, engine: AsyncEngine) -> None:
    await write(engine, [began(who(0, stream=1))])
    await sql(where, "DELETE FROM leads")
    await write(engine, [began(who(0, stream=0))])

    assert await sql(where, "SELECT * FROM leads") == []


async def test_a_caller_is_a_lead_of_each_agent_that_was_called(where: Address, engine: AsyncEngine) -> None:
    await write(engine, [began(who(0)), began(who(1, agent="clinic")), began(who(2, caller="+97250"))])

    rows = await sql(where, "SELECT agent, caller_number FROM leads ORDER BY 1, 2")
    assert [tuple(row.values()) for row in rows] == [
        ("clinic", CALLER), ("reception", "+97250"), ("reception", CALLER)
    ]  # fmt: skip


async def test_who_is_called_by_us_is_the_lead_of_that_call(where: Address, engine: AsyncEngine) -> None:
    await write(engine, [began(who(direction="outbound-api", caller=CALLED, called=CALLER))])

    assert [lead["caller_number"] for lead in await sql(where, "SELECT * FROM leads")] == [CALLER]


async def test_a_withheld_number_makes_no_lead(where: Address, engine: AsyncEngine) -> None:
    numbers = ("", "anonymous", "+266696687")
    for call, number in enumerate(numbers):
        await write(engine, [began(who(call, caller=number)), heard(0, who(call, caller=number))])

    assert await sql(where, "SELECT * FROM leads") == []
    assert len(await texts(where)) == len(numbers)


async def test_what_an_agent_noted_of_a_lead_stays(where: Address, engine: AsyncEngine) -> None:
    await write(engine, [began()])
    await sql(where, "UPDATE leads SET name = 'Anna', notes = 'calls back', last_summary = 's'")
    await write(engine, [began(who(1))])

    (lead,) = await sql(where, "SELECT * FROM leads")
    assert (lead["name"], lead["notes"], lead["last_summary"], lead["calls"]) == ("Anna", "calls back", "s", 2)


async def test_whatever_is_said_is_data(where: Address, engine: AsyncEngine) -> None:
    for text in NASTY:
        await empty(where)
        odd = who(agent=text or "x", called=text)
        await write(engine, [began(odd), heard(0, odd, text=text), revised(0, odd, text=text), over(odd, reason=text)])

        (row,) = await sql(where, "SELECT text, revised_text FROM utterances")
        assert (row["text"], row["revised_text"]) == (text, text)
        call = await the_call(where)
        assert (call["agent"], call["called_number"], call["end_reason"]) == (odd.agent, text, text)


async def test_nul_and_oversize_are_data_too(where: Address, engine: AsyncEngine) -> None:
    for index, text in enumerate(("a\x00b", "ם" * (LONGEST_TEXT + 5), "x\ud800y")):
        record = record_of(final_event(index, text=text), who(), None)
        assert record is not None
        await write(engine, [record])

    kept = [text for *_, text in await texts(where)]
    assert kept[0] == "a\ufffdb"
    assert (kept[1] or "")[:-1] == "ם" * (LONGEST_TEXT - 1)
    assert kept[2] == "x?y"


async def test_names_of_any_length_find_their_way_into_the_indexes(where: Address, engine: AsyncEngine) -> None:
    longest: Who = who(agent="א" * 480, caller="9" * 480, called="ב" * 480)
    await write(engine, [began(longest)])

    assert (await the_call(where))["agent"] == "א" * 480


async def test_a_reply_is_kept_whole(where: Address, engine: AsyncEngine) -> None:
    await write(engine, [began(), replying(1, 0), replying(1, 1), replied(1)])

    (row,) = await sql(where, "SELECT * FROM replies")
    assert (row["call_sid"], row["reply_id"], row["turn"], row["kind"]) == (
        sid(),
        f"{who().stream_sid}-r1",
        1,
        "answer",
    )
    assert (row["intended"], row["heard"], row["interrupted"]) == (
        "תשובה 0 תשובה 1 תשובה 2",
        "תשובה 0 תשובה 1 תשובה",
        True,
    )
    assert (row["started_at"], row["ended_at"]) == (at(AT + 2.9), at(AT + 5.5))
    assert (row["latency_ms"], row["text_ms"], row["commit_ms"]) == (740.0, 100.0, 104.0)
    assert (row["attempts"], row["answerer"], row["voice"], row["answerer_variant"]) == (2, "openai", "google", "b")
    assert (row["prompt_tokens"], row["completion_tokens"], row["fault"]) == (210, 17, None)


async def test_of_a_reply_without_an_end_all_but_the_sentence_under_way_was_heard(
    where: Address, engine: AsyncEngine
) -> None:
    """In whatever order its sentences are told; an interruption adds words of the sentence that it cut."""
    for order in permutations([replying(1, 0), replying(1, 1), replying(1, 2)]):
        await empty(where)
        for record in order:
            await write(engine, [record])
        (row,) = await sql(where, "SELECT heard, intended, ended_at, latency_ms FROM replies")
        assert tuple(row.values()) == ("תשובה 0 תשובה 1", "תשובה 0 תשובה 1 תשובה 2", None, 740.0)
    interrupted = msgspec.structs.replace(replying(1, 3), heard="תשובה 0 תשובה 1 תשובה", sentence="")
    await write(engine, [interrupted])

    (row,) = await sql(where, "SELECT heard, intended FROM replies")
    assert tuple(row.values()) == ("תשובה 0 תשובה 1 תשובה", "תשובה 0 תשובה 1 תשובה 2")


async def test_fields_of_a_lead_are_the_newest_of_each_by_the_order_of_events(
    where: Address, engine: AsyncEngine
) -> None:
    """Neither by when they are written, nor by the clock of the pod that the call moved to."""
    await write(engine, ANSWERED)

    (lead,) = await sql(where, "SELECT fields FROM leads")
    values = {name: field["value"] for name, field in msgspec.json.decode(lead["fields"]).items()}
    assert values == {"name": "דנה לוי", "party": 6, "day": None}


@pytest.mark.parametrize(
    "arguments",
    ["", "{", "[1]", "null", '{"a": ' * 2000, '{"a": NaN}'],
    ids=["nothing", "cut", "a list", "null", "deep", "no number"],
)
async def test_arguments_that_are_no_object_save_nothing_and_are_kept(
    where: Address, engine: AsyncEngine, arguments: str
) -> None:
    await write(engine, [began(), tool(arguments=arguments)])

    (row,) = await sql(where, "SELECT arguments, fields FROM tool_calls JOIN leads ON true")
    assert (row["arguments"], row["fields"]) == (arguments, "{}")


async def test_whatever_a_model_saves_is_data(where: Address, engine: AsyncEngine) -> None:
    odd = {text: {"a\x00": [text, 1.5, None]} for text in NASTY} | {"deep": [[[[[[[[[1]]]]]]]]], "big": 10**400}
    await write(engine, [began(), tool(arguments=json.dumps(odd))])

    (lead,) = await sql(where, "SELECT fields FROM leads")
    values = {name: field["value"] for name, field in msgspec.json.decode(lead["fields"]).items()}
    assert values == {text: {"a\ufffd": [text, 1.5, None]} for text in NASTY} | {
        "deep": [[[[[[[[None]]]]]]]],
        "big": "1" + 400 * "0",
    }
