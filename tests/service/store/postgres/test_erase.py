import asyncio
import json
import re
from typing import get_args, get_type_hints

import msgspec
import pytest

from batkol.store.journal.record import Who
from batkol.store.journal.records import AnyRecord, OfStream
from batkol.store.postgres.address import Address
from batkol.store.postgres.batch import scrub
from batkol.store.postgres.connections import Database
from batkol.store.postgres.erase import Erased, complete_erasures, erase
from batkol.store.postgres.statements import ERASING
from support.postgres.records import CALLED, CALLER, began, heard, over, replied, replying, revised, sid, tool, who
from support.postgres.sql import KEPT, connection, everything, sql, texts
from support.postgres.store_parts import Kept, newest

OTHER = "+972509999999"
LATER = 4_000_000_000.0
"""Unix seconds, in a time to come."""


async def words(where: Address) -> str:
    """Everything that is kept, as text."""
    return str(await everything(where, (*KEPT, "summaries", "erasures")))


def answered(of: Who) -> list[AnyRecord]:
    """A call in which the agent said and did something."""
    return [began(of), heard(0, of), replying(1, 0, of), replied(1, of), replying(2, 1, of), tool(of), over(of)]


async def summarize(where: Address, call_sid: str, text: str = "סיכום") -> None:
    """Make the summary of a call, which is noted with its lead."""
    of = "SELECT $1, 'reception', 'done', $2, 1, now(), now()"
    await sql(
        where, f"INSERT INTO summaries (call_sid, agent, state, text, attempts, due_at, of_end) {of}", call_sid, text
    )
    await sql(where, "UPDATE leads SET last_summary = $2 WHERE last_call_sid = $1", call_sid, text)


async def test_nothing_that_the_agent_said_did_or_saved_is_left(kept: Kept) -> None:
    for of in (who(0), who(1, caller=OTHER)):
        kept.say(answered(of))
    await kept.written()
    for call in (0, 1):
        await summarize(kept.where, sid(call))

    erased = await erase(kept.database.reading, CALLER)
    assert erased == Erased(calls=1, utterances=1, leads=1, replies=2, tool_calls=1, summaries=1)
    counts = await sql(kept.where, """
        SELECT replies.call_sid, bool_or(intended || heard <> '') AS said, max(arguments || result) AS saved,
            max(text) AS text
        FROM replies JOIN tool_calls USING (call_sid) LEFT JOIN summaries USING (call_sid) GROUP BY 1 ORDER BY 1
    """)  # fmt: skip
    saved = tool().arguments + tool().result
    assert [tuple(row.values()) for row in counts] == [(sid(0), False, "", None), (sid(1), True, saved, "סיכום")]
    assert [lead["last_summary"] for lead in await sql(kept.where, "SELECT * FROM leads")] == ["סיכום"]
    figures = await sql(kept.where, "SELECT latency_ms, attempts, prompt_tokens FROM replies WHERE seq IS NOT NULL")
    assert [tuple(row.values()) for row in figures] == [(740.0, 2, 210)] * 2, "figures have no person"


async def test_what_an_erasure_by_an_older_version_leaves_is_erased_by_a_newer_one(kept: Kept) -> None:
    """That one knows no replies: it empties the texts of utterances, and marks the call."""
    kept.say([*answered(who(0)), *answered(who(1, caller=OTHER))])
    await kept.written()
    await summarize(kept.where, sid(0))
    await sql(kept.where, "UPDATE calls SET erased_at = now() WHERE call_sid = $1", sid(0))

    assert await complete_erasures(kept.database.reading) == 4
    assert await complete_erasures(kept.database.reading) == 0
    left = await sql(kept.where, "SELECT DISTINCT call_sid FROM replies WHERE intended || heard <> ''")
    assert [row["call_sid"] for row in left] == [sid(1)]
    assert await sql(kept.where, "SELECT * FROM summaries") == []


async def test_what_the_journal_still_has_of_the_agent_comes_without_words(kept: Kept) -> None:
    kept.say(answered(who(0)))
    await erase(kept.database.reading, CALLER)
    kept.say([began(who(1, caller=OTHER))])
    await kept.written()

    assert re.search("[א-ת]", await words(kept.where)) is None
    assert len(await sql(kept.where, "SELECT * FROM replies")) == 2
    assert [lead["fields"] for lead in await sql(kept.where, "SELECT * FROM leads")] == ["{}"]


async def test_what_an_erased_call_saved_is_not_left_with_a_lead_that_has_a_later_call(kept: Kept) -> None:
    """The later stream of a call, and the other call, are delivered before the stream that began before the erasure."""
    first = who(0, after_erasure=await newest(kept))
    await erase(kept.database.reading, CALLER)
    known = await newest(kept)
    later, other = who(0, stream=1, after_erasure=known), who(1, after_erasure=known)
    kept.say([*answered(later), began(other), tool(other, arguments='{"day": "שני"}')])
    await kept.written()
    await summarize(kept.where, sid(0))
    await sql(kept.where, "UPDATE leads SET last_summary = 'סיכום'")
    kept.say([began(first)])
    await kept.written()

    (lead,) = await sql(kept.where, "SELECT * FROM leads")
    assert {name: field["value"] for name, field in json.loads(lead["fields"]).items()} == {"day": "שני"}
    assert lead["last_summary"] is None
    assert await sql(kept.where, "SELECT * FROM summaries") == []
    assert await sql(kept.where, "SELECT * FROM replies WHERE intended || heard <> ''") == []
    assert [
        row["arguments"] for row in await sql(kept.where, "SELECT arguments FROM tool_calls ORDER BY call_sid")
    ] == [
        "",
        '{"day": "שני"}',
    ]


async def test_nothing_that_was_said_and_no_number_is_left(kept: Kept) -> None:
    theirs, others = who(0), who(1, caller=OTHER)
    for of in (theirs, others):
        kept.say([began(of), heard(0, of), revised(0, of), over(of)])
    await kept.written()
    before = await sql(kept.where, "SELECT * FROM utterances WHERE call_sid = $1", sid(1))

    assert await erase(kept.database.reading, f" {CALLER} ") == Erased(calls=1, utterances=1, leads=1)
    assert CALLER not in await words(kept.where)
    assert [(text, number) for text, number in [(row[2], row[0]) for row in await texts(kept.where)]] == [
        ("", sid(0)), ("משפט 0", sid(1))
    ]  # fmt: skip
    assert await sql(kept.where, "SELECT * FROM utterances WHERE call_sid = $1", sid(1)) == before
    calls = await sql(kept.where, "SELECT * FROM calls ORDER BY call_sid")
    assert [call["erased_at"] is not None for call in calls] == [True, False]
    assert [call["called_number"] for call in calls] == [CALLED, CALLED]
    assert calls[0]["figures"] == calls[1]["figures"].replace(others.stream_sid, theirs.stream_sid)
    assert [lead["caller_number"] for lead in await sql(kept.where, "SELECT * FROM leads")] == [OTHER]


async def test_what_the_journal_still_has_comes_without_text_and_number(kept: Kept) -> None:
    kept.say([began(), heard(0), revised(0), over(), began(who(1, caller=OTHER)), heard(0, who(1, caller=OTHER))])
    await erase(kept.database.reading, CALLER)
    await kept.written()

    assert CALLER not in await words(kept.where)
    assert [text for *_, text in await texts(kept.where)] == ["", "משפט 0"]
    assert [lead["caller_number"] for lead in await sql(kept.where, "SELECT * FROM leads")] == [OTHER]


async def test_a_call_that_is_going_on_is_erased_to_its_end(kept: Kept) -> None:
    """Its first stream has been written; another pod takes it over after the erasure."""
    kept.say([began(), heard(0)])
    await kept.written()
    await erase(kept.database.reading, CALLER)
    later = who(0, stream=1, started_at=LATER, after_erasure=await newest(kept))
    kept.say([heard(1), over(), began(later), heard(0, later)])
    await kept.written()

    assert CALLER not in await words(kept.where)
    assert [text for *_, text in await texts(kept.where)] == ["", "", ""]
    assert await sql(kept.where, "SELECT * FROM leads") == []


async def test_who_calls_again_later_is_a_caller_as_any_other(kept: Kept) -> None:
    await erase(kept.database.reading, CALLER)
    later = who(5, after_erasure=await newest(kept))
    kept.say([began(later), heard(0, later)])
    await kept.written()

    assert [text for *_, text in await texts(kept.where)] == ["משפט 0"]
    assert [lead["caller_number"] for lead in await sql(kept.where, "SELECT * FROM leads")] == [CALLER]


async def test_a_line_of_our_own_is_not_a_person(kept: Kept) -> None:
    """Every caller has called it: to erase it would be to erase them all."""
    kept.say([began(), heard(0)])
    await kept.written()

    assert await erase(kept.database.reading, CALLED) == Erased(calls=0, utterances=0, leads=0)
    assert [text for *_, text in await texts(kept.where)] == ["משפט 0"]


async def test_who_was_called_by_us_is_one(kept: Kept) -> None:
    outbound = who(direction="outbound-api", caller=CALLED, called=CALLER)
    kept.say([began(outbound), heard(0, outbound)])
    await kept.written()

    assert await erase(kept.database.reading, CALLER) == Erased(calls=1, utterances=1, leads=1)
    assert CALLER not in await words(kept.where)
    assert [call["caller_number"] for call in await sql(kept.where, "SELECT * FROM calls")] == [CALLED]


async def test_no_writer_passes_an_erasure_that_is_under_way(kept: Kept) -> None:
    async with connection(kept.where) as other:
        await other.execute("SELECT pg_advisory_lock($1)", ERASING)
        kept.say([began(), heard(0)])
        kept.write()
        while not await other.fetch("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            await asyncio.sleep(0.01)
        assert await texts(kept.where) == []
        await other.execute("SELECT pg_advisory_unlock($1)", ERASING)
    await kept.written()

    assert len(await texts(kept.where)) == 1


async def test_an_injection_is_a_number_that_nobody_has(where: Address) -> None:
    database = Database(where)

    assert await erase(database.reading, "' OR 1=1; --") == Erased(0, 0, 0)
    await database.close()


async def test_every_identity_that_is_stored_can_be_erased(kept: Kept) -> None:
    identities = ("sip:dana@example.com", "client:Dana", "*7788", "972541234567", "+972541234567")
    for call, stored in enumerate(identities):
        of = who(call, caller=stored, after_erasure=await newest(kept))
        kept.say([began(of), heard(0, of), began(who(100 + call, caller=OTHER))])
        await kept.written()

        assert await erase(kept.database.reading, stored) == Erased(calls=1, utterances=1, leads=1), stored
        assert stored not in await words(kept.where)


async def test_a_number_is_found_however_it_is_written(kept: Kept) -> None:
    for call, typed in enumerate(("972541234567", "00972541234567", "+972 54-123-4567", "+(972) 54.123.4567")):
        of = who(call, after_erasure=await newest(kept))
        kept.say([began(of), heard(0, of)])
        await kept.written()

        assert await erase(kept.database.reading, typed) == Erased(calls=1, utterances=1, leads=1), typed


NO_WORDS = {
    "answerer", "answerer_variant", "fault", "mode", "name", "outcome", "phrase", "reason", "reply_id", "reply_kind",
    "recognizer", "source", "trace_id", "utterance_id", "voice", "voice_variant",
}  # fmt: skip
"""The texts of records that are not words of a call. Any other is, so a new one must be scrubbed or stand here."""


@pytest.mark.parametrize(
    "record",
    [began(), heard(0), revised(0), replying(1, 1), replied(1), tool(), over()],
    ids=lambda one: type(one).__name__,
)
def test_a_scrubbed_record_has_neither_number_nor_text(record: OfStream) -> None:
    texts_of = [name for name, kind in get_type_hints(type(record)).items() if kind in (str, str | None)]
    words_of = dict.fromkeys(set(texts_of) - NO_WORDS, "מילה")
    shown = repr(scrub(msgspec.structs.replace(record, **words_of)))

    assert CALLER not in shown
    assert re.search("[א-ת]", shown) is None
    assert sid() in shown


def test_every_record_of_a_stream_is_scrubbed_in_a_test() -> None:
    assert {type(each) for each in (*answered(who()), revised(0))} == set(get_args(OfStream))
