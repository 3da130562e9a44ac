"""The order of calls and erasures is the database's, whatever the clocks of the pods say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batkol.store.journal import Journal
from batkol.store.journal.confirmed import Confirmed
from batkol.store.journal.record import Who
from batkol.store.journal.recorder import JournalRecorder
from batkol.store.journal.records import AnyRecord, CallBegan, decode, encode
from batkol.store.postgres import writer
from batkol.store.postgres.address import Address
from batkol.store.postgres.batch import batch_of, save
from batkol.store.postgres.connections import Database
from batkol.store.postgres.erase import erase
from batkol.store.postgres.numbers import digest
from batkol.store.postgres.order import confirm, look
from batkol.store.postgres.retention import retain
from support.postgres.emptying import empty
from support.postgres.records import (
    CALLER,
    began,
    heard,
    identity,
    over,
    replied,
    replying,
    sid,
    started_event,
    tool,
    who,
)  # fmt: skip
from support.postgres.server import Server, database
from support.postgres.sql import everything, sql, texts
from support.postgres.store_parts import Kept, newest
from support.time.waiting import eventually, until

HOUR, DAY = 3600.0, 86400.0
OFF = [-DAY, DAY, *(pytest.param(s, marks=pytest.mark.nightly) for s in (-HOUR, -2.0, 0.0, 2.0, HOUR))]
"""Seconds by which a pod's clock is ahead of the database's."""


async def unix_time(kept: Kept) -> float:
    (row,) = await sql(kept.where, "SELECT extract(epoch FROM clock_timestamp())::float8 AS at")
    return float(row["at"])


async def numbers(where: Address) -> str:
    return str(await everything(where, ("calls", "utterances", "events", "leads")))


@pytest.mark.parametrize("ahead_s", OFF)
async def test_a_call_that_began_before_the_erasure_does_not_come_back_by_a_clock_that_is_off(
    kept: Kept, ahead_s: float
) -> None:
    known = await newest(kept)
    of = who(started_at=await unix_time(kept) + ahead_s, after_erasure=known)
    await erase(kept.database.reading, CALLER)
    kept.say([began(of), heard(0, of), over(of)])
    await kept.written()

    assert CALLER not in await numbers(kept.where)
    assert [text for *_, text in await texts(kept.where)] == [""]


@pytest.mark.parametrize("ahead_s", OFF)
async def test_a_call_that_began_after_the_erasure_is_kept_by_a_clock_that_is_off(kept: Kept, ahead_s: float) -> None:
    await erase(kept.database.reading, CALLER)
    of = who(started_at=await unix_time(kept) + ahead_s, after_erasure=await newest(kept))
    kept.say([began(of), heard(0, of), over(of)])
    await kept.written()

    assert [text for *_, text in await texts(kept.where)] == ["משפט 0"]
    assert [lead["calls"] for lead in await sql(kept.where, "SELECT calls FROM leads")] == [1]


async def test_a_record_of_a_version_without_numbers_is_read_and_is_older_than_every_erasure(kept: Kept) -> None:
    """No one knows when its call began: what was said is erased rather than kept."""
    await erase(kept.database.reading, CALLER)
    old = msgspec.msgpack.decode(encode(heard(0, who(started_at=4e9))))
    del old["who"]["after_erasure"]
    kept.journal.append(msgspec.msgpack.encode(old))
    kept.say([heard(0, who(1, caller="+972500000000"))])
    await kept.written()

    assert CALLER not in await numbers(kept.where)
    assert [text for *_, text in await texts(kept.where)] == ["", "משפט 0"]


async def test_an_erasure_of_a_version_without_numbers_is_ordered_by_the_databases_time(kept: Kept) -> None:
    before = await newest(kept)
    await sql(kept.where, "INSERT INTO erasures VALUES ($1, clock_timestamp())", digest(CALLER))
    of_old, of_new = who(0, after_erasure=before), who(1, after_erasure=await newest(kept))
    kept.say([heard(0, of_old), heard(0, of_new)])
    await kept.written()

    assert [text for *_, text in await texts(kept.where)] == ["", "משפט 0"]


async def test_the_newest_erasure_stays_known_when_all_of_them_are_forgotten(kept: Kept) -> None:
    await sql(kept.where, "INSERT INTO erasures VALUES ($1, now() - interval '91 days')", digest(CALLER))
    known = await newest(kept)
    await retain(kept.database.reading, 0, pause_s=0)

    assert await sql(kept.where, "SELECT * FROM erasures") == []
    assert await newest(kept) == known


async def test_numbers_grow_though_the_databases_clock_goes_back(kept: Kept) -> None:
    """By an erasure that seems to have been made tomorrow."""
    await sql(kept.where, "INSERT INTO erasures VALUES ($1, now() + interval '1 day')", digest("+1"))
    known = await newest(kept)
    await erase(kept.database.reading, CALLER)

    assert await newest(kept) == known + 1
    kept.say([heard(0, who(after_erasure=known))])
    await kept.written()
    assert [text for *_, text in await texts(kept.where)] == [""]


async def test_a_number_that_the_database_has_not_given_yet_says_nothing_about_when_a_call_began(kept: Kept) -> None:
    """It is of another database, or of one that was restored from a backup since."""
    await erase(kept.database.reading, CALLER)
    kept.say([heard(0, who(after_erasure=await newest(kept) + 10**12))])
    await kept.written()

    assert [text for *_, text in await texts(kept.where)] == [""]


async def test_a_later_stream_that_was_delivered_first_is_erased_with_its_call(kept: Kept) -> None:
    """The call was handed to another pod after the erasure, and that pod delivers first."""
    first = who(0, after_erasure=await newest(kept))
    await erase(kept.database.reading, CALLER)
    later = who(0, stream=1, after_erasure=await newest(kept))
    kept.say([began(later), heard(0, later)])
    await kept.written()
    assert len(await sql(kept.where, "SELECT * FROM leads")) == 1
    kept.say([began(first), heard(0, first)])
    await kept.written()
    kept.say([heard(1, later), over(later)])
    await kept.written()

    assert CALLER not in await numbers(kept.where)
    assert [text for *_, text in await texts(kept.where)] == ["", "", ""]
    assert await sql(kept.where, "SELECT * FROM leads") == []


async def test_a_lead_that_has_another_call_since_the_erasure_stays(kept: Kept) -> None:
    first = who(0, after_erasure=await newest(kept))
    await erase(kept.database.reading, CALLER)
    known = await newest(kept)
    kept.say([began(who(1, after_erasure=known)), began(who(0, stream=1, after_erasure=known)), began(first)])
    await kept.written()

    assert [lead["caller_number"] for lead in await sql(kept.where, "SELECT * FROM leads")] == [CALLER]
    erased = await sql(kept.where, "SELECT call_sid FROM calls WHERE erased_at IS NOT NULL")
    assert [row["call_sid"] for row in erased] == [sid(0)]


async def test_a_writer_that_waits_for_another_one_does_not_miss_its_erasure(server: Server, where: Address) -> None:
    """Both streams of a call are written at once: the one that is erased holds the row until it is done."""
    pods = Database(where), Database(where)
    async with pods[0].reading.connect() as connection:
        first = who(0, after_erasure=(await look(connection, "")).erasure)
    await erase(pods[0].reading, CALLER)
    async with pods[0].reading.connect() as connection:
        later = who(0, stream=1, after_erasure=(await look(connection, "")).erasure)

    async def deliver(of: Who) -> None:
        async with pods[1].writing.begin() as connection:
            await save(connection, batch_of([began(of), heard(0, of)]))

    async with pods[0].writing.begin() as connection:
        await save(connection, batch_of([began(first), heard(0, first)]))
        second = asyncio.create_task(deliver(later))
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
        await eventually(lambda: sql(where, waiting))
    await second
    for each in pods:
        await each.close()

    assert CALLER not in await numbers(where)
    assert [text for *_, text in await texts(where)] == ["", ""]


async def test_a_pod_stamps_each_stream_with_the_newest_erasure_that_it_knows(tmp_path: Path) -> None:
    journal, confirmed = Journal(tmp_path / "journal", max_bytes=1 << 20), Confirmed(tmp_path)
    await journal.open()
    recorder = JournalRecorder(journal, "pod", confirmed)
    for call, known in enumerate((0, 7)):
        confirmed.erasure = known
        recorder.keep(identity(call), started_event(call))
    records = [decode(frame.payload) for frame in await journal.read(10)]
    stamps = [record.who.after_erasure for record in records if isinstance(record, CallBegan)]
    await journal.close()

    assert stamps == [0, 7]


async def test_an_idle_pod_learns_of_an_erasure_before_the_next_call(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SETTLE_S", 0.01)
    kept.write()
    await until(lambda: kept.confirmed.erasure > 0)
    before = kept.confirmed.erasure
    await erase(kept.database.reading, CALLER)

    await until(lambda: kept.confirmed.erasure > before)
    assert kept.confirmed.erasure == await newest(kept)


# -- a property: pods with clocks of their own, and erasures between what they hear and what they deliver ------------


@dataclass
class Pod:
    """What a pod knows, and what it has not delivered."""

    ahead_s: float
    known: int = 0
    waiting: list[AnyRecord] = field(default_factory=list)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(0, 1)),
        st.tuples(st.just("speak"), st.integers(0, 1)),
        st.tuples(st.just("hand over"), st.integers(0, 1)),
        st.tuples(st.just("learn"), st.integers(0, 1)),
        st.tuples(st.just("deliver"), st.integers(0, 1)),
        st.tuples(st.just("jump"), st.integers(0, 1)),
        st.tuples(st.just("erase"), st.just(0)),
    ),
    min_size=4,
    max_size=14,
)
SKEWS = st.sampled_from([-DAY, -HOUR, -2.0, 0.0, 2.0, HOUR, DAY])


BY_THE_AGENT = """
SELECT call_sid FROM replies WHERE intended || heard <> ''
UNION SELECT call_sid FROM tool_calls WHERE arguments || result <> ''
UNION SELECT value ->> 'call' FROM leads, jsonb_each(fields)
"""
"""The calls of which there is something that the agent said, did or saved."""


class Story:
    """Carries out the steps, and knows which calls must not be readable and which must."""

    def __init__(self, kept: Kept, skews: tuple[float, float]) -> None:
        self.kept = kept
        self.pods = [Pod(skew) for skew in skews]
        self.calls = 0
        self.newest_of: dict[int, tuple[int, int]] = {}  # the live call of a pod: number, stream
        self.index: dict[int, int] = {}
        self.erased: set[int] = set()
        self.kept_for_certain: set[int] = set()
        self.erasures = 0
        self.known_erasures = [0, 0]  # as many as each pod knows of
        self.whose: dict[tuple[int, int], Who] = {}

    def _who(self, pod: int, call: int, stream: int) -> Who:
        of = self.pods[pod]
        return who(call, stream, started_at=1.79e9 + of.ahead_s + call, after_erasure=of.known)

    def _begin(self, pod: int, call: int, stream: int) -> None:
        self.newest_of[pod] = call, stream
        self.whose[call, stream] = self._who(pod, call, stream)
        self.pods[pod].waiting.append(began(self.whose[call, stream]))
        self._speak(pod)

    def _speak(self, pod: int) -> None:
        if pod in self.newest_of:
            call, stream = self.newest_of[pod]
            index = self.index[call] = self.index.get(call, -1) + 1
            of = self.whose[call, stream]
            said: list[AnyRecord] = [replying(index, 1, of), replied(index, of), tool(of, seq=500 + index)]
            self.pods[pod].waiting += [heard(index, of), said[index % 3]]

    async def step(self, what: str, pod: int) -> None:
        match what:
            case "call":
                self.calls += 1
                if self.known_erasures[pod] == self.erasures and self.pods[pod].known:
                    self.kept_for_certain.add(self.calls)
                self._begin(pod, self.calls, 0)
            case "speak":
                self._speak(pod)
            case "hand over" if pod in self.newest_of:
                call, stream = self.newest_of.pop(pod)
                if self.known_erasures[1 - pod] < self.erasures:  # that pod cannot know that it began after them
                    self.kept_for_certain.discard(call)
                self._begin(1 - pod, call, stream + 1)
            case "jump":
                self.pods[pod].ahead_s *= -1
            case "erase":
                await erase(self.kept.database.reading, CALLER)
                self.erasures += 1
                self.erased |= set(range(1, self.calls + 1))
            case "learn" | "deliver":
                await self._reach(pod)

    async def _reach(self, pod: int) -> None:
        of = self.pods[pod]
        async with self.kept.database.writing.begin() as connection:
            if of.waiting:
                await save(connection, batch_of(of.waiting))
            of.known = (await confirm(connection, f"pod {pod}", 0, len(of.waiting))).erasure
        of.waiting, self.known_erasures[pod] = [], self.erasures

    async def wrong(self) -> tuple[set[str], set[str]]:
        """Return the erased calls that can be read, and the others that cannot. A lead is there with a call."""
        for pod in (0, 1):
            await self._reach(pod)
        readable = {call_sid for call_sid, _, text in await texts(self.kept.where) if text}
        with_number = await sql(self.kept.where, "SELECT call_sid FROM calls WHERE caller_number <> ''")
        readable |= {row["call_sid"] for row in with_number}
        readable |= {row["call_sid"] for row in await sql(self.kept.where, BY_THE_AGENT)}
        leads = await sql(self.kept.where, "SELECT 1 FROM leads")
        assert bool(leads) == bool(readable)
        came_back = readable & {sid(call) for call in self.erased}
        return came_back, {sid(call) for call in self.kept_for_certain - self.erased} - readable


@pytest.fixture
def story_loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def story_kept(story_loop: asyncio.Runner, server: Server, tmp_path: Path) -> Iterator[Kept]:
    stack = AsyncExitStack()

    async def made() -> Kept:
        found = Kept(await stack.enter_async_context(database(server)), tmp_path)
        await found.open()
        stack.push_async_callback(found.close)
        return found

    yield story_loop.run(made())
    story_loop.run(stack.aclose())


def tell(
    loop: asyncio.Runner, kept: Kept, skews: tuple[float, float], steps: list[tuple[str, int]]
) -> tuple[set[str], set[str]]:
    """Return what came back though it was erased, and what went though it was not."""

    async def told() -> tuple[set[str], set[str]]:
        await empty(kept.where)
        story = Story(kept, skews)
        for what, pod in steps:
            await story.step(what, pod)
        return await story.wrong()

    return loop.run(told())


FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=12, suppress_health_check=FIXTURES)
@example(skews=(0.0, 0.0), steps=[("call", 0), ("erase", 0), ("speak", 0), ("speak", 0)])  # a tool's call, erased
@given(skews=st.tuples(SKEWS, SKEWS), steps=STEPS)
def test_whatever_the_clocks_and_the_order_of_delivery_nothing_erased_comes_back_and_nothing_else_goes(
    story_loop: asyncio.Runner, story_kept: Kept, skews: tuple[float, float], steps: list[tuple[str, int]]
) -> None:
    came_back, gone = tell(story_loop, story_kept, skews, steps)

    assert came_back == set()
    assert gone == set()


@pytest.mark.nightly
@pytest.mark.timeout(900)
@settings(suppress_health_check=FIXTURES)
@given(skews=st.tuples(SKEWS, SKEWS), steps=STEPS)
def test_so_it_is_in_a_thousand_stories(
    story_loop: asyncio.Runner, story_kept: Kept, skews: tuple[float, float], steps: list[tuple[str, int]]
) -> None:
    came_back, gone = tell(story_loop, story_kept, skews, steps)

    assert came_back == set()
    assert gone == set()
