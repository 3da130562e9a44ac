"""Summaries of ended calls, on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from structlog.testing import capture_logs

from batkol.answering.answerer import Question
from batkol.store.journal.record import LONGEST_TEXT
from batkol.store.journal.records import AnyRecord
from batkol.store.postgres import summaries
from batkol.store.postgres.address import Address
from batkol.store.postgres.erase import erase
from batkol.store.summarizer import Summarizer, SummaryMaker
from batkol.telemetry.metrics import Metrics
from support.agent.scripted import ScriptedAnswerer
from support.postgres.records import CALLER, began, heard, over, replied, sid, who
from support.postgres.sql import connection, sql
from support.postgres.store_parts import Kept, newest
from support.time.waiting import eventually, until

PROMPT = "סכם את השיחה"
ENDED: Sequence[AnyRecord] = (began(), heard(0), replied(1), over())


class Asked(ScriptedAnswerer):
    """An answerer during whose answer something else happens."""

    def __init__(self, meanwhile: Callable[[], Awaitable[Any]] | None = None, **about: Any) -> None:
        super().__init__(lambda _: "רוצה תור", **{"first_s": 0.0, "word_s": 0.0, **about})
        self._meanwhile = meanwhile

    async def answer(self, question: Question):  # type: ignore[no-untyped-def]
        async for part in super().answer(question):
            if self._meanwhile is not None:
                await self._meanwhile()
            yield part


def summarizer(kept: Kept, answerer: ScriptedAnswerer | None, **about: Any) -> Summarizer:
    made = SummaryMaker(lambda _: answerer, PROMPT, **{"agent": "reception", "language": "he-IL", **about})
    return Summarizer(kept.database.reading, made)


async def let_time_pass(where: Address) -> None:
    """Let what is to be done later be due now."""
    await sql(where, "UPDATE summaries SET due_at = due_at - interval '1 day' WHERE state = 'waiting'")
    await sql(where, "UPDATE calls SET updated_at = now() - interval '30 s' WHERE updated_at > now() - interval '30 s'")


async def rows(where: Address) -> list[tuple[Any, ...]]:
    found = await sql(where, "SELECT call_sid, state, text, reason, attempts FROM summaries ORDER BY call_sid")
    return [tuple(row.values()) for row in found]


async def say(kept: Kept, *records: AnyRecord) -> None:
    kept.say(records)
    await kept.written()
    await let_time_pass(kept.where)


async def test_an_ended_call_is_summed_up_once_and_noted_with_its_caller(kept: Kept) -> None:
    """Not one that goes on, nor one of another agent; and not before its last words are sure to be there."""
    answerer, metrics = Asked(), Metrics()
    making = summarizer(kept, answerer)
    making.expose(metrics)
    kept.say([*ENDED, began(who(1)), heard(0, who(1)), *(over(who(2, agent="sales")), heard(0, who(2, agent="sales")))])
    await kept.written()
    await making.make_due()
    assert (answerer.asked, making.waiting) == ([], 1)
    await let_time_pass(kept.where)
    await making.make_due()
    await making.make_due()

    (question,) = answerer.asked
    assert (question.prompt, question.language, question.call_sid) == (PROMPT, "he-IL", sid(0))
    assert question.text == "Caller: משפט 0\nAgent: תשובה 0 תשובה 1 תשובה", "what was heard, not what was intended"
    assert await rows(kept.where) == [(sid(0), "done", "רוצה תור", None, 1)]
    leads = await sql(kept.where, "SELECT agent, last_summary FROM leads ORDER BY agent")
    assert [tuple(row.values()) for row in leads] == [("reception", None), ("sales", None)], "call 1 is the newest"
    families = {family.name: family.samples for family in text_string_to_metric_families(metrics.render().decode())}
    metrics.close()
    outcomes = {sample.labels["outcome"]: sample.value for sample in families["batkol_summaries"]}
    assert outcomes == {"done": 1, "failed": 0, "given_up": 0, "dropped": 0}
    assert [sample.value for sample in families["batkol_summaries_waiting"]] == [0]


async def test_the_summary_of_a_callers_newest_call_is_the_leads(kept: Kept) -> None:
    await say(kept, *ENDED)
    await summarizer(kept, Asked()).make_due()

    assert [row["last_summary"] for row in await sql(kept.where, "SELECT last_summary FROM leads")] == ["רוצה תור"]


@pytest.mark.parametrize(
    ("answerer", "reason"),
    [
        (Asked(fails=9), "scripted"),
        pytest.param(ScriptedAnswerer(lambda _: "", first_s=0.0), "empty", marks=pytest.mark.nightly),
        (ScriptedAnswerer(lambda _: "x", first_s=60.0), "too_slow"),
        (ScriptedAnswerer(lambda _: 1 / 0, first_s=0.0), "defect"),  # type: ignore[arg-type, return-value]
        pytest.param(None, "no_answerer", marks=pytest.mark.nightly),
    ],
    ids=["fails", "says nothing", "stalls", "is broken", "is not there"],
)
async def test_what_fails_is_tried_again_later_and_given_up_in_the_end_with_the_reason(
    kept: Kept, answerer: ScriptedAnswerer | None, reason: str
) -> None:
    await say(kept, *ENDED)
    making = summarizer(kept, answerer, answering_s=0.05)
    with capture_logs() as lines:
        for attempt in range(1, summaries.MOST_ATTEMPTS):
            await making.make_due()
            await making.make_due()
            assert await rows(kept.where) == [(sid(0), "waiting", None, reason, attempt)], "not at once"
            await let_time_pass(kept.where)
        await making.make_due()
        await let_time_pass(kept.where)
        await making.make_due()

    assert await rows(kept.where) == [(sid(0), "given_up", None, reason, summaries.MOST_ATTEMPTS)]
    assert (making.outcomes["failed"], making.outcomes["given_up"]) == (summaries.MOST_ATTEMPTS - 1, 1)
    assert making.waiting == 0
    assert [line["attempts"] for line in lines if "reason" in line] == [1, 2, 3, 4, 5]


async def test_a_summary_during_which_every_pod_dies_is_given_up_too(kept: Kept) -> None:
    await say(kept, *ENDED)
    making, engine = summarizer(kept, Asked()), kept.database.reading
    with capture_logs() as lines:
        for attempt in range(1, summaries.MOST_ATTEMPTS + 1):
            await summaries.want_summaries(engine, "reception")
            claim = await summaries.claim_summary(engine, "reception")
            assert claim is not None
            assert claim.attempts == attempt
            await let_time_pass(kept.where)  # and nothing came of it
        assert await summaries.claim_summary(engine, "reception") is None
        await making.make_due()
        await making.make_due()

    assert await rows(kept.where) == [(sid(0), "given_up", None, "pod_died", summaries.MOST_ATTEMPTS)]
    assert (making.outcomes["given_up"], making.waiting) == (1, 0)
    assert len([line for line in lines if line["log_level"] == "warning"]) == 1


async def test_the_pauses_grow(kept: Kept) -> None:
    await say(kept, *ENDED)
    making, pauses = summarizer(kept, None), []
    for _ in range(3):
        await making.make_due()
        (row,) = await sql(kept.where, "SELECT extract(epoch FROM due_at - updated_at)::int AS s FROM summaries")
        pauses.append(row["s"])
        await let_time_pass(kept.where)

    assert pauses == [30, 120, 480]


async def test_several_pods_make_each_summary_once(kept: Kept) -> None:
    await say(kept, *(record for call in range(6) for record in (heard(0, who(call)), over(who(call)))))
    answerers = [Asked(first_s=0.01) for _ in range(2)]
    await asyncio.gather(*(summarizer(kept, answerer).make_due() for answerer in answerers))

    asked = [question.call_sid for answerer in answerers for question in answerer.asked]
    assert sorted(asked) == [sid(call) for call in range(6)]
    assert {row[1] for row in await rows(kept.where)} == {"done"}


async def test_a_pod_that_looks_for_calls_takes_back_no_claim_of_another_pod(kept: Kept) -> None:
    """It reads before the other pod's rows are there, and writes after them."""
    await say(kept, *ENDED)
    others = await sql(kept.where, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    assert others[0]["count"] == 0
    engine, agent = kept.database.reading, "reception"
    given = {"agent": agent, "settled": 20, "hours": 1, "most": 1000}
    async with engine.begin() as claiming:
        await claiming.execute(summaries._WANT, given)
        await claiming.execute(text("UPDATE summaries SET attempts = 1, due_at = now() + interval '180 s'"))
        looking = asyncio.create_task(summaries.want_summaries(engine, agent))
        await eventually(lambda: sql(kept.where, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    await looking

    assert await summaries.claim_summary(engine, agent) is None
    assert [row[4] for row in await rows(kept.where)] == [1]


async def test_an_attempt_of_a_pod_that_died_is_made_again_by_another(kept: Kept) -> None:
    await say(kept, *ENDED)
    dying = asyncio.create_task(summarizer(kept, Asked(first_s=60.0)).make_due())
    await eventually(lambda: sql(kept.where, "SELECT 1 FROM summaries WHERE attempts = 1"))
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    answerer = Asked()
    await summarizer(kept, answerer).make_due()
    assert answerer.asked == [], "it may still be under way"
    await let_time_pass(kept.where)
    await summarizer(kept, answerer).make_due()

    assert await rows(kept.where) == [(sid(0), "done", "רוצה תור", None, 2)]


async def test_an_erasure_wins_over_a_summary_that_is_under_way(kept: Kept) -> None:
    await say(kept, *ENDED)
    making = summarizer(kept, Asked(lambda: erase(kept.database.reading, CALLER)))
    await making.make_due()
    await let_time_pass(kept.where)
    await making.make_due()

    assert await rows(kept.where) == []
    assert making.outcomes["dropped"] == 1


async def test_so_does_an_erasure_that_is_known_by_a_stream_that_comes_late(kept: Kept) -> None:
    first = who(0, after_erasure=await newest(kept))
    await erase(kept.database.reading, CALLER)
    later = who(0, stream=1, after_erasure=await newest(kept))
    await say(kept, began(later), heard(0, later), over(later))
    making = summarizer(kept, Asked(lambda: say(kept, began(first), heard(0, first))))
    await making.make_due()

    assert await rows(kept.where) == []
    assert await sql(kept.where, "SELECT * FROM leads") == []


async def test_a_call_that_goes_on_is_summed_up_again_at_its_end(kept: Kept) -> None:
    """It was handed over: its next stream begins while the first is summed up."""
    later = who(stream=1)
    await say(kept, *ENDED)
    making = summarizer(kept, Asked(lambda: say(kept, began(later), heard(0, later, text="ועוד משהו"))))
    await making.make_due()
    answerer = Asked()
    await summarizer(kept, answerer).make_due()
    assert answerer.asked == [], "it goes on"
    await say(kept, over(later))
    await summarizer(kept, answerer).make_due()

    assert [question.text.splitlines()[-1] for question in answerer.asked] == ["Caller: ועוד משהו"]
    assert [row[1] for row in await rows(kept.where)] == ["done"]


async def test_a_call_in_which_the_caller_said_nothing_costs_no_question(kept: Kept) -> None:
    await say(kept, began(), replied(1), over())
    answerer = Asked()
    await summarizer(kept, answerer).make_due()

    assert answerer.asked == []
    assert await rows(kept.where) == [(sid(0), "given_up", None, "nothing_said", 1)]


async def test_a_summary_without_an_end_is_cut(kept: Kept) -> None:
    await say(kept, *ENDED)
    await summarizer(kept, ScriptedAnswerer(lambda _: "מילה " * 9000, first_s=0.0, word_s=0.0)).make_due()

    (row,) = await rows(kept.where)
    assert len(row[2]) <= LONGEST_TEXT


async def test_a_database_that_is_away_is_waited_for(kept: Kept) -> None:
    await say(kept, *ENDED)
    made = SummaryMaker(lambda _: Asked(), PROMPT, "reception", "he-IL")
    making = Summarizer(kept.database.reading, made, every_s=0.01)
    async with connection(kept.where) as other, other.transaction():
        await other.execute("LOCK TABLE summaries")
        running = asyncio.create_task(making.run())
        await eventually(lambda: other.fetch("SELECT 1 FROM pg_locks WHERE NOT granted"))
    await until(lambda: making.outcomes["done"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert [row[1] for row in await rows(kept.where)] == ["done"]
