"""`batkol sinks`: what it says, what it sends again, and what it refuses."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from batkol.errors import ConfigurationError
from batkol.sinks.commands import ReplayRequest, carry_out_list, carry_out_replay, moment
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later, Refused
from batkol.sinks.feed import SinkFeed
from batkol.store.options import OutboxSettings
from batkol.store.postgres.address import Address
from support.network.ports import free_port
from support.postgres.records import AT, final_event
from support.postgres.server import Server, empty_database
from support.postgres.sql import sql
from support.sinks.pods import AGENT, draining, handed_on, ids_of, said, whole, write
from support.sinks.receiver import ScriptedSink
from support.time.waiting import eventually, until


class Answers:
    """A receiver's mood."""

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.busy: set[str] = set()

    def __call__(self, event: Envelope) -> DeliveryOutcome:
        if event.id in self.refuses:
            return Refused("410 Gone")
        return Later("429") if event.id in self.busy else Delivered()


class Heard:
    """What a command printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
async def delivered(where: Address) -> AsyncIterator[tuple[ScriptedSink, Answers, Heard]]:
    """A sink with five events, of which it refused two; it goes on."""
    answers = Answers()
    answers.refuses = set(ids_of(0, [1]) + ids_of(1, [0]))
    receiver = ScriptedSink(script=answers)
    await write(where, [said(0), said(1), said(2), said(0, 1), said(1, 1)])
    async with draining(where, receiver.door()) as pod:
        await until(lambda: (pod.statistics[0].delivered, pod.statistics[0].refused) == (3, 2))  # and it is noted
        yield receiver, answers, Heard()


async def none_to_send(where: Address) -> bool:
    return not await sql(where, "SELECT * FROM sink_letters WHERE again_at IS NOT NULL")


Delivery = tuple[ScriptedSink, Answers, Heard]


async def test_the_list_says_who_delivers_what_waits_and_what_was_refused(where: Address, delivered: Delivery) -> None:
    _, _, heard = delivered
    assert await carry_out_list(where.dsn, agent="", write_line=heard) == 0
    assert heard.lines[0].startswith("reception/crm: pod-1 delivers (seen ")
    assert "0 events wait; 0 streams wait" in heard.text
    assert "3 events delivered, 0 deleted" in heard.text
    assert "2 dead letters; 0 events to send again" in heard.text
    assert len(re.findall(r"MZ\w+-\d+ final 20\S+: 410 Gone", heard.text)) == 2
    assert "last fault: 410 Gone" in heard.text


async def test_the_list_says_that_nobody_delivers(where: Address) -> None:
    heard = Heard()
    assert await carry_out_list(where.dsn, agent="", write_line=heard) == 0
    assert "knows no sinks; a sink is known once" in heard.text
    await write(where, [said(0)])
    await sql(where, "UPDATE sinks SET pod = 'pod-7', seen_at = now() - interval '10 minutes'")
    await carry_out_list(where.dsn, agent=AGENT, write_line=heard)
    assert "reception/crm: no pod delivers; the last was pod-7 (seen 600 s ago)" in heard.text
    assert "1 event waits, the oldest for" in heard.text
    await carry_out_list(where.dsn, agent="sales", write_line=heard)
    assert "knows no sinks of the agent sales" in heard.lines[-1]


async def test_all_dead_letters_are_sent_again(where: Address, delivered: Delivery) -> None:
    receiver, answers, heard = delivered
    answers.refuses.clear()
    assert await carry_out_replay(where.dsn, ReplayRequest(), write_line=heard) == 0
    assert heard.lines[0] == "reception/crm: 2 events are sent again"
    await until(lambda: len(receiver.got) == 5)
    assert set(receiver.ids[3:]) == {*ids_of(0, [1]), *ids_of(1, [0])}
    await eventually(lambda: none_of(where))
    assert await carry_out_replay(where.dsn, ReplayRequest(), write_line=heard) == 1
    assert heard.lines[-1] == "there are no dead letters, so nothing is sent again"


async def none_of(where: Address) -> bool:
    return not await sql(where, "SELECT * FROM sink_letters")


async def test_one_that_is_refused_again_is_a_dead_letter_again(where: Address, delivered: Delivery) -> None:
    receiver, _, heard = delivered
    await carry_out_replay(where.dsn, ReplayRequest(sink="crm"), write_line=heard)
    await until(lambda: receiver.asked.count(ids_of(0, [1])[0]) == 2)
    await eventually(lambda: none_to_send(where))
    assert len(await sql(where, "SELECT * FROM sink_letters")) == 2


async def test_one_that_is_busy_is_tried_until_it_goes_and_what_is_behind_it_waits(
    where: Address, delivered: Delivery
) -> None:
    receiver, answers, heard = delivered
    answers.busy, answers.refuses = set(ids_of(0, [1])), set()
    ids = (*ids_of(0, [1, 2]), *ids_of(1, [0]))
    assert await carry_out_replay(where.dsn, ReplayRequest(sink="crm", ids=ids), write_line=heard) == 0
    await until(lambda: receiver.asked.count(ids[0]) > 3 and len(receiver.got) == 4)
    assert receiver.got[-1].id == ids[2]
    answers.busy.clear()
    await until(lambda: len(receiver.got) == 6)
    assert [event.id for event in receiver.got[-2:]] == list(ids[:2])


async def test_a_dead_letter_is_sent_again_by_its_id_alone_and_another_event_with_its_sink(
    where: Address, delivered: Delivery
) -> None:
    receiver, answers, heard = delivered
    answers.refuses.clear()
    assert await carry_out_replay(where.dsn, ReplayRequest(ids=tuple(ids_of(0, [1]))), write_line=heard) == 0
    await until(lambda: len(receiver.got) == 4)
    assert await carry_out_replay(where.dsn, ReplayRequest(ids=tuple(ids_of(0, [0]))), write_line=heard) == 1
    assert "no dead letter has such an id" in heard.lines[-1]
    assert (
        await carry_out_replay(where.dsn, ReplayRequest(sink="crm", ids=tuple(ids_of(0, [0]))), write_line=heard) == 0
    )
    await until(lambda: len(receiver.got) == 5)
    assert [event.id for event in receiver.got[-2:]] == ids_of(0, [1, 0])
    assert await carry_out_replay(where.dsn, ReplayRequest(sink="crm", ids=("MZ-1",)), write_line=heard) == 1
    assert "events are kept for 7 days" in heard.lines[-1]


async def test_an_event_that_still_waits_is_not_sent_again(where: Address) -> None:
    """It would arrive before those that it waits for."""
    heard, stuck = Heard(), ids_of(0, [1])
    receiver = ScriptedSink(script=lambda event: Later("busy") if event.id in stuck else Delivered())
    await write(where, [said(0), said(1), said(2)])
    async with draining(where, receiver.door()):
        await eventually(lambda: through(where))
        await until(lambda: receiver.asked.count(stuck[0]) > 1)
        asked = ReplayRequest(sink="crm", ids=tuple(ids_of(0, [2])))
        assert await carry_out_replay(where.dsn, asked, write_line=heard) == 1
        assert "still waits for the sink is not sent again" in heard.lines[-1]
        asked = ReplayRequest(sink="crm", ids=tuple(ids_of(0, [0, 1, 2])))
        assert await carry_out_replay(where.dsn, asked, write_line=heard) == 0
        assert heard.lines[-2] == "reception/crm: 1 event is sent again"
        await until(lambda: [event.id for event in receiver.got] == ids_of(0, [0, 0]))
        stuck.clear()
        await until(lambda: len(receiver.ids) == 3)
    assert receiver.ids == ids_of(0, [0, 1, 2])


async def test_a_time_is_sent_again_to_one_sink_as_far_as_it_wants_the_events(where: Address) -> None:
    ends, all_ = ScriptedSink("ends"), ScriptedSink("all")
    heard, both = Heard(), OutboxSettings(AGENT, ("ends", "all"))
    early = [handed_on(final_event(index, 5, at=AT), 5) for index in range(2)]
    await write(where, [*early, *whole(1)], both)
    feeds = SinkFeed(ends.door(), kinds=frozenset({"call.ended"})), SinkFeed(all_.door())
    async with draining(where, *feeds):
        await until(lambda: len(ends.got) == 1 and len(all_.got) == 6)
        await eventually(lambda: through(where))
        begin, end = datetime.fromtimestamp(AT - 1, UTC), datetime.fromtimestamp(AT + 1, UTC)
        for sink in ("ends", "all"):
            assert await carry_out_replay(where.dsn, ReplayRequest("", sink, (), begin, end), write_line=heard) == 0
        await until(lambda: len(all_.got) == 8)
        await eventually(lambda: none_of(where))
        assert (
            await carry_out_replay(where.dsn, ReplayRequest("", "all", (), end, datetime.now(UTC)), write_line=heard)
            == 0
        )
    assert len(ends.got) == 1
    assert [event.id for event in all_.got[6:8]] == ids_of(5, [0, 1])


async def through(where: Address) -> bool:
    behind = "(outbox.transaction, outbox.position) > (sinks.transaction, sinks.position)"
    return not await sql(where, f"SELECT 1 FROM outbox, sinks WHERE {behind}")


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (ReplayRequest(sink="crn"), "knows no sink crn; it knows reception/crm"),
        (ReplayRequest(agent="sales"), "knows no sinks of the agent sales"),
        (ReplayRequest(ids=("MZ1-1",), begin=datetime.now(UTC), end=datetime.now(UTC)), "not both"),
        (ReplayRequest(sink="crm", begin=datetime.now(UTC)), "both --from and --to"),
        (ReplayRequest(begin=datetime.now(UTC), end=datetime.now(UTC)), "need --sink"),
        (
            ReplayRequest(sink="crm", begin=datetime(2026, 2, 1, tzinfo=UTC), end=datetime(2026, 1, 1, tzinfo=UTC)),
            "earlier",
        ),
    ],
)
async def test_what_cannot_be_sent_again_is_refused_in_a_sentence(
    where: Address, wanted: ReplayRequest, why: str
) -> None:
    await write(where, [said(0)])
    with pytest.raises(ConfigurationError, match=re.escape(why)):
        await carry_out_replay(where.dsn, wanted, write_line=Heard())


async def test_a_database_that_cannot_be_used_is_named(server: Server) -> None:
    async with empty_database(server) as empty:
        with pytest.raises(ConfigurationError, match="no tables for sinks; run `batkol migrate`"):
            await carry_out_list(empty.dsn, agent="", write_line=Heard())
    with pytest.raises(ConfigurationError, match="cannot be used, and is unchanged: ConnectionRefusedError"):
        await carry_out_replay(
            f"postgresql://a:b@127.0.0.1:{free_port()}/c?sslmode=disable", ReplayRequest(), write_line=Heard()
        )
    with pytest.raises(ConfigurationError, match="there is no DATABASE_URL"):
        await carry_out_list("", agent="", write_line=Heard())


@pytest.mark.parametrize("text", ["yesterday", "2026-01-31T12:00:00", "2026-13-01T12:00:00Z"])
def test_a_time_has_a_zone(text: str) -> None:
    assert moment("2026-01-31T14:00:00+02:00") == moment("2026-01-31T12:00:00Z")
    with pytest.raises(ValueError, match="is no time with a zone"):
        moment(text)
