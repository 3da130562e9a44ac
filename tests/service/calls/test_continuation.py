"""The search for what was said in a call so far: this pod, its peers and the store, each within its bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest

from batkol.answering.answerer import HistoryMessage, Role
from batkol.calls.continuation import EXPECTED_S, STORE_S, Continuations
from batkol.calls.handovers import MOST, MOST_STREAMS, REMEMBERED_S, Handovers, StreamSoFar
from batkol.conversation.history import ConversationSoFar
from batkol.events.identity import Identity
from batkol.store.conversations import StoreUnavailableError

pytestmark = pytest.mark.virtual_time

SID = "CA" + "0" * 32
SAID = ConversationSoFar(messages=(HistoryMessage(Role.AGENT, "שלום"),), turns=1, greeted=True)
LOST = ConversationSoFar(greeted=True)


def stream(number: int, conversation: ConversationSoFar | None = SAID, agent: str = "reception") -> StreamSoFar:
    return StreamSoFar(agent=agent, stream_sid=f"MZ{number}", stream=number, conversation=conversation)


@dataclass
class World:
    """The other pods and the store, as they answer."""

    told: list[StreamSoFar] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    stored: Sequence[HistoryMessage] = ()
    peers_take_s: float = 0.01
    store_takes_s: float = 0.02
    asked: list[tuple[str, int]] = field(default_factory=list)
    read: int = 0

    async def streams_of(self, call_sid: str, newest: int) -> list[bytes]:
        self.asked.append((call_sid, newest))
        await asyncio.sleep(self.peers_take_s)
        return [msgspec.json.encode([each]) for each in self.told] + self.raw

    async def conversation(self, call_sid: str, within_s: float) -> tuple[HistoryMessage, ...]:
        assert call_sid in {SID, "CA1"}
        self.read += 1
        try:
            async with asyncio.timeout(within_s):
                await asyncio.sleep(self.store_takes_s)
        except TimeoutError:
            raise StoreUnavailableError("timeout") from None
        return tuple(self.stored)


class NoCalls:
    def get(self, call_sid: str) -> None: ...


@asynccontextmanager
async def continuing(world: World) -> AsyncIterator[Continuations]:
    own = Handovers(NoCalls(), "reception")  # type: ignore[arg-type]
    made = Continuations(own, world, "reception", world)
    try:
        yield made
    finally:
        await made.aclose()


async def found(world: World, *, newest: int = 1, marked: bool = True) -> ConversationSoFar | None:
    async with continuing(world) as made:
        best = await made.find(SID, stream_sid="MZ9", newest=newest, marked=marked)
    return None if best is None else best.conversation


def identity(number: int = 1, call_sid: str = SID, agent: str = "reception") -> Identity:
    return Identity(call_sid=call_sid, stream_sid=f"MZ{number}", account_sid="AC", agent=agent, stream=number)


async def test_the_newest_stream_that_a_pod_tells_of_counts() -> None:
    newer = ConversationSoFar(messages=(HistoryMessage(Role.CALLER, "כמה"),), turns=4, greeted=True)

    assert await found(World([stream(1), stream(2, newer)]), newest=2) == newer


async def test_a_pod_that_knows_makes_the_store_unnecessary_and_one_that_does_not_makes_it_wait() -> None:
    stored = [HistoryMessage(Role.AGENT, "תודה")]

    assert await found(World([stream(1)], stored=stored, store_takes_s=0.9)) == SAID
    by_store = await found(World(stored=stored))
    assert by_store is not None
    assert by_store.messages == (HistoryMessage(Role.AGENT, "תודה"),)
    assert (by_store.turns, by_store.greeted) == (1, True)


async def test_a_pod_that_knows_an_older_stream_alone_is_asked_after_the_store() -> None:
    """The pod that had the newest stream is gone."""
    stored = [HistoryMessage(Role.AGENT, "תודה")]

    found_in_store = await found(World([stream(1)], stored=stored), newest=2)
    assert found_in_store is not None
    assert found_in_store.messages == tuple(stored)
    assert await found(World([stream(1)]), newest=2) == SAID, "better than nothing"


async def test_a_search_for_a_call_that_is_announced_again_replaces_the_one_before() -> None:
    world = World(peers_take_s=10.0)
    async with continuing(world) as made:
        for call_sid in ("CA1", SID, SID):
            made.expect(call_sid, 1)
            await asyncio.sleep(0.1)
        searches = [each for each in asyncio.all_tasks() if each.get_name() == "call.continuation"]

        assert world.asked == [("CA1", 1), (SID, 1), (SID, 1)]
        assert len(searches) == 2


async def test_a_store_that_hangs_is_waited_for_a_second_and_the_call_goes_on() -> None:
    begun = asyncio.get_running_loop().time()

    assert await found(World(store_takes_s=60.0)) == LOST
    assert asyncio.get_running_loop().time() - begun == pytest.approx(STORE_S)


@pytest.mark.parametrize(
    "told", [[stream(1, agent="another")], [stream(9)], []], ids=["another agent", "this very stream", "nobody"]
)
async def test_what_is_not_of_this_agent_or_of_this_very_stream_is_no_history(told: list[StreamSoFar]) -> None:
    assert await found(World(told)) == LOST
    assert await found(World(told), marked=False) is None, "a caller who was not met is greeted"


@pytest.mark.parametrize("answer", [b"", b"{", b"\xff", b'[{"agent": 1}]', b"[" * 100_000, b"null"])
async def test_an_answer_that_is_none_is_ignored(answer: bytes) -> None:
    assert await found(World([stream(1)], raw=[answer])) == SAID


async def test_a_history_of_a_peer_is_bounded() -> None:
    long = ConversationSoFar(messages=(HistoryMessage(Role.AGENT, "x" * 1_000_000),), greeted=True)

    told = await found(World([stream(1, long)]))
    assert told is not None
    assert len(told.messages[0].text) == 4000


async def test_a_caller_whose_streams_were_all_refused_is_greeted() -> None:
    assert await found(World([stream(1, None)])) is None
    assert await found(World([stream(2, None)]), newest=2) == LOST, "the first one was heard"


async def test_the_search_begins_with_the_webhook_and_is_made_once() -> None:
    world = World([stream(1)])
    async with continuing(world) as made:
        made.expect(SID, 1)
        await asyncio.sleep(0.1)
        begun = asyncio.get_running_loop().time()
        best = await made.find(SID, stream_sid="MZ9", newest=1, marked=True)

        assert best == stream(1)
        assert asyncio.get_running_loop().time() == begun
        assert world.asked == [(SID, 1)]


async def test_an_old_search_is_made_again() -> None:
    world = World([stream(1)])
    async with continuing(world) as made:
        made.expect(SID, 1)
        await asyncio.sleep(EXPECTED_S + 1)

        assert await made.find(SID, stream_sid="MZ9", newest=1, marked=True) == stream(1)
        assert len(world.asked) == 2


async def test_what_this_pod_remembers_needs_no_peer() -> None:
    world = World()
    async with continuing(world) as made:
        made.own._remember(identity(1), SAID)

        assert await made.find(SID, stream_sid="MZ2", newest=1, marked=True) == stream(1)
        assert world.asked == []
        await asyncio.sleep(REMEMBERED_S + 1)
        assert made.own.of(SID) == []


async def test_few_calls_and_few_streams_of_each_are_remembered_and_none_of_another_agent() -> None:
    own = Handovers(NoCalls(), "reception")  # type: ignore[arg-type]
    for number in range(MOST + 5):
        own._remember(identity(call_sid=f"CA{number}"), SAID)
    for number in range(1, MOST_STREAMS + 3):
        own.refused(identity(number))
    own._remember(identity(7, call_sid="CA-other", agent="another"), SAID)

    assert len(own._ended) <= MOST + 1
    assert [each.stream for each in own.of(SID)] == list(range(3, MOST_STREAMS + 3))
    assert own.of("CA-other") == []
    assert own.of("CA0") == []
