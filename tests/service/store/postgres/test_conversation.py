"""What was said in a call, for a pod that takes it over."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from batkol.answering.answerer import HistoryMessage, Role, ToolCall, ToolResult
from batkol.store.conversations import StoreUnavailableError
from batkol.store.journal.records import AnyRecord
from batkol.store.postgres.conversation import said_in
from batkol.store.postgres.conversation_queries import MOST
from batkol.store.postgres.erase import erase
from batkol.store.store import NoStore
from support.postgres.records import AT, CALLER, began, heard, over, replied, replying, revised, sid, tool, who
from support.postgres.sql import connection
from support.postgres.store_parts import Kept

CALL: Sequence[AnyRecord] = (
    began(),
    replied(0, started_at=AT + 0.1, heard="ברוכים הבאים", reply_kind="phrase"),
    heard(0, at=AT + 5.0, text="אני רוצה תור"),
    heard(1, at=AT + 7.0, text="רעש", unvoiced=True),
    replied(1, started_at=AT + 6.0, heard="בשמחה"),
    heard(2, at=AT + 9.0, text="ליום שני"),
    revised(2, text="ביום שני"),
    replied(2, started_at=AT + 10.0, heard=""),
    replying(3, 1),
    over(reason="drained"),
)
"""A greeting; a question that was answered until the caller interrupted; an answer that nobody heard, and one under way
when the pod was killed."""
LATER = who(stream=1, started_at=AT - 3600.0)
MOVED: Sequence[AnyRecord] = [began(LATER), heard(0, LATER, text="עוד משהו"), replied(1, LATER, heard="כן")]


async def test_it_is_what_the_caller_said_and_what_the_caller_heard_stream_after_stream(kept: Kept) -> None:
    """The call has moved to a pod whose clock is an hour behind; another call is no part of it."""
    records: list[AnyRecord] = [*CALL, *MOVED, began(who(1)), heard(0, who(1))]
    random.Random(5).shuffle(records)
    kept.say(records)
    await kept.written()

    said = await said_in(kept.database.reading, sid(0), within_s=10.0)
    assert said[:5] == (
        HistoryMessage(Role.AGENT, "ברוכים הבאים"),
        HistoryMessage(Role.CALLER, "אני רוצה תור"),
        HistoryMessage(Role.AGENT, "בשמחה"),
        HistoryMessage(Role.CALLER, "ביום שני"),
        HistoryMessage(Role.AGENT, "תשובה 0"),
    )
    assert [message.text for message in said[5:]] == ["עוד משהו", "כן"]


async def test_it_has_the_tools_of_each_reply_and_those_that_no_reply_came_of(kept: Kept) -> None:
    """A reply of which nothing was heard, a pod that died with a tool, a refusal, a row of an older version."""
    records: list[AnyRecord] = [
        began(),
        tool(seq=20, name="book", arguments='{"day": 1}', result="נקבע", at=AT + 5.5),
        tool(seq=21, name="book", arguments='{"day": 2}', result="Refused: no.", outcome="refused", at=AT + 5.5),
        replied(1, started_at=AT + 6.0, heard="בשמחה"),
        heard(2, at=AT + 9.0, text="ליום שני"),
        replied(2, started_at=AT + 10.0, heard=""),
        tool(seq=40, turn=2, name="look", arguments="{}", result="", at=AT + 9.5),
        tool(seq=50, turn=3, name="look", arguments="{}", result="x" * 9, at=AT + 11.0),
        over(reason="drained"),
        began(LATER),
        tool(LATER, seq=20, name="later", arguments="{}", result="r"),
    ]
    random.Random(7).shuffle(records)
    kept.say(records)
    await kept.written()

    assert await said_in(kept.database.reading, sid(0), within_s=10.0) == (
        HistoryMessage(
            Role.AGENT,
            "בשמחה",
            (
                ToolResult(ToolCall("", "book", '{"day": 1}'), "נקבע"),
                ToolResult(ToolCall("", "book", '{"day": 2}'), "Refused: no."),
            ),
        ),
        HistoryMessage(Role.CALLER, "ליום שני"),
        HistoryMessage(Role.AGENT, "", (ToolResult(ToolCall("", "look", "{}"), "done"),)),
        HistoryMessage(Role.AGENT, "", (ToolResult(ToolCall("", "look", "{}"), "x" * 9),)),
        HistoryMessage(Role.AGENT, "", (ToolResult(ToolCall("", "later", "{}"), "r"),)),
    )


async def test_it_has_the_newest_messages(kept: Kept) -> None:
    kept.say([began(), *(heard(index) for index in range(MOST + 7))])
    await kept.written()

    said = await said_in(kept.database.reading, sid(0), within_s=10.0)
    assert [message.text for message in said] == [f"משפט {index}" for index in range(7, MOST + 7)]


async def test_nothing_was_said_in_an_unknown_call_in_an_erased_one_and_without_a_store(kept: Kept) -> None:
    kept.say([*CALL, tool(), tool(seq=501, turn=9)])
    await kept.written()
    await erase(kept.database.reading, CALLER)

    assert await said_in(kept.database.reading, sid(0), within_s=10.0) == ()
    assert await said_in(kept.database.reading, sid(1), within_s=10.0) == ()
    assert await NoStore().conversation(sid(0), within_s=10.0) == ()


async def test_a_database_that_does_not_answer_in_time_is_named(kept: Kept) -> None:
    async with connection(kept.where) as other, other.transaction():
        await other.execute("LOCK TABLE utterances")
        with pytest.raises(StoreUnavailableError) as late:
            await said_in(kept.database.reading, sid(0), within_s=0.05)

    assert late.value.reason == "TimeoutError"
    assert await said_in(kept.database.reading, sid(0), within_s=10.0) == ()
