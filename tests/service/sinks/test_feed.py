"""What a sink is given, and what it is taken to have said."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import cast

import pytest

from batkol.events.events import encode
from batkol.events.outgoing import outgoing
from batkol.rights import Right
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused, Sink
from batkol.sinks.feed import SinkFeed
from batkol.sinks.stored import OutboxPosition, StoredEvent
from support.postgres.records import final_event
from support.sinks.receiver import ScriptedSink

pytestmark = pytest.mark.virtual_time
AT = datetime(2026, 1, 31, 14, 0, tzinfo=timezone(timedelta(hours=2)))
FINAL = final_event(0)


def event(position: int, data: str | None) -> StoredEvent:
    return StoredEvent(OutboxPosition(7, position), FINAL.call_sid, "MZ1", position, "reception", "final", AT, data)


class Broken(ScriptedSink):
    """A sink with a defect."""

    def __init__(self, says: object) -> None:
        super().__init__()
        self.says = says

    async def deliver(self, _: Envelope) -> DeliveryOutcome:
        if isinstance(self.says, Exception):
            raise self.says
        return cast("DeliveryOutcome", self.says)

    async def aclose(self) -> None:
        pass


async def test_a_sink_gets_the_events_that_it_wants_as_the_feed_of_events_has_them() -> None:
    receiver = ScriptedSink()
    feed = SinkFeed(receiver.door())
    assert await feed.deliver(event(1, outgoing(FINAL)), 5.0) == Delivered()

    (got,) = receiver.got
    assert got.data == encode(FINAL)
    assert (got.id, got.type, got.stream, got.seq, got.agent) == ("MZ1-1", "final", "MZ1", 1, "reception")
    assert got.time == datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    assert got.time.utcoffset() == timedelta(0)
    assert feed.at_once == receiver.at_once


async def test_a_sink_that_may_not_see_texts_sees_none() -> None:
    receiver = ScriptedSink()
    feed = SinkFeed(receiver.door(), may=frozenset({Right.NUMBERS}))
    newer = '{"type": "call.sang", "song": "שיר"}'
    outcomes = [await feed.deliver(event(1, newer), 5.0), await feed.deliver(event(2, outgoing(FINAL)), 5.0)]

    assert "משפט".encode() not in receiver.got[0].data
    assert [type(outcome) for outcome in outcomes] == [Refused, Delivered], "what cannot be read holds nothing back"


@pytest.mark.parametrize("broken", [RuntimeError("+972541234567"), None, [Delivered()]])
async def test_a_defect_of_a_sink_loses_nothing(broken: object) -> None:
    outcome = await SinkFeed(cast("Sink", Broken(broken))).deliver(event(1, outgoing(FINAL)), 5.0)

    assert isinstance(outcome, Later)
    assert "+972541234567" not in outcome.reason, "the text of a foreign error may quote anything"


async def test_a_sink_that_hangs_is_given_up_for_this_time() -> None:
    receiver = ScriptedSink()
    receiver.open.clear()
    begun = asyncio.get_running_loop().time()
    outcome = await SinkFeed(receiver.door()).deliver(event(1, outgoing(FINAL)), 5.0)

    assert isinstance(outcome, Later)
    assert asyncio.get_running_loop().time() - begun == 5.0
