"""What a sink is given, and what it is taken to have said."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest

from batkol.events.events import encode
from batkol.events.outgoing import outgoing
from batkol.rights import Right
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused
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

    def __init__(self, outcomes: Sequence[DeliveryOutcome] | Exception) -> None:
        super().__init__()
        self.outcomes = outcomes

    async def deliver(self, events: Sequence[Envelope]) -> Sequence[DeliveryOutcome]:
        if isinstance(self.outcomes, Exception):
            raise self.outcomes
        return self.outcomes

    async def aclose(self) -> None:
        pass


async def test_a_sink_gets_the_events_that_it_wants_as_the_feed_of_events_has_them() -> None:
    receiver = ScriptedSink()
    tried = await SinkFeed(receiver.door()).deliver([event(1, outgoing(FINAL)), event(2, None)], 5.0)

    (got,) = receiver.got
    assert got.data == encode(FINAL)
    assert (got.id, got.type, got.stream, got.seq, got.agent) == ("MZ1-1", "final", "MZ1", 1, "reception")
    assert got.time == datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    assert got.time.utcoffset() == timedelta(0)
    assert [(each.seq, outcome) for each, outcome in tried] == [(1, Delivered())]


async def test_a_sink_that_may_not_see_texts_sees_none() -> None:
    receiver = ScriptedSink()
    feed = SinkFeed(receiver.door(), may=frozenset({Right.NUMBERS}))
    newer = '{"type": "call.sang", "song": "שיר"}'
    tried = await feed.deliver([event(1, newer), event(2, outgoing(FINAL))], 5.0)

    assert "משפט".encode() not in receiver.got[0].data
    assert [type(outcome) for _, outcome in tried] == [Refused, Delivered], "what cannot be read holds nothing back"


@pytest.mark.parametrize("broken", [RuntimeError("+972541234567"), [Delivered()], []])
async def test_a_defect_of_a_sink_loses_nothing(broken: Sequence[DeliveryOutcome] | Exception) -> None:
    tried = await SinkFeed(Broken(broken)).deliver([event(1, outgoing(FINAL)), event(2, outgoing(FINAL))], 5.0)

    assert [type(outcome) for _, outcome in tried] == [Later, Later]
    assert "+972541234567" not in str(tried), "the text of a foreign error may quote anything"


async def test_a_sink_that_hangs_is_given_up_for_this_time() -> None:
    receiver = ScriptedSink()
    receiver.open.clear()
    begun = asyncio.get_running_loop().time()
    tried = await SinkFeed(receiver.door()).deliver([event(1, outgoing(FINAL))], 5.0)

    assert isinstance(tried[0][1], Later)
    assert asyncio.get_running_loop().time() - begun == 5.0
