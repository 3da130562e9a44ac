"""A peer cannot keep the loop busy with frames, and what a phone call sends always passes."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.calls.socket import PeerFault
from batkol.web.frame_budget import A_SECOND, AT_ONCE, ODD_FRAME, TURN, FrameBudget
from batkol.web.protocol import MediaProtocol
from support.http.media_listener import Listener, serving
from support.http.raw_websocket import BINARY, CONT, PING, PONG, RawWebSocket, connected, frame, text
from support.properties import few_by_day
from support.time.waiting import until

MEDIA = text("x" * 370)
"""As long as Twilio's messages of 20 ms."""

MINUTE = 3_000


class Counting(MediaProtocol):
    """Counts what uvicorn parses, and the most in one turn of the loop."""

    parsed = 0
    most = 0
    _turn = 0

    def handle_events(self) -> None:
        events = len(self.conn.events)
        if not Counting._turn:
            self.loop.call_soon(self._new_turn)
        Counting.parsed += events
        Counting._turn += events
        Counting.most = max(Counting.most, Counting._turn)
        super().handle_events()

    def _new_turn(self) -> None:
        Counting._turn = 0


@pytest.fixture(autouse=True)
def count_from_nothing() -> None:
    Counting.parsed = Counting.most = Counting._turn = 0


async def flood(raw: RawWebSocket, piece: bytes, pieces: int) -> int | None:
    """Send for as long as it goes; return the code of the server's close frame."""

    async def pour() -> None:
        for _ in range(pieces):
            await raw.send(piece)

    pouring = asyncio.create_task(pour())
    code = await raw.closed()
    pouring.cancel()
    await asyncio.gather(pouring, return_exceptions=True)
    return code


FLOODS = {
    "empty fragments": (frame(0x1, fin=False), frame(CONT, fin=False)),
    "small fragments": (frame(0x1, b"a", fin=False), frame(CONT, b"a", fin=False)),
    "pings": (b"", frame(PING)),
    "pongs": (b"", frame(PONG)),
    "empty texts": (b"", text("")),
    "empty binaries": (b"", frame(BINARY)),
}


@pytest.mark.parametrize(
    ("flooding", "admitted"),
    [
        *((flooding, True) for flooding in FLOODS),
        ("pings", False),
        *(pytest.param(flooding, False, marks=pytest.mark.nightly) for flooding in FLOODS if flooding != "pings"),
    ],
)
async def test_a_flood_of_frames_is_closed_with_1008_and_said(flooding: str, admitted: bool) -> None:
    """Nearly all of them before the close are left unparsed; as uvicorn has it, 2.4 million were 5 s of the loop."""
    first, each = FLOODS[flooding]
    listener = Listener(pause=not admitted)
    async with serving(listener, Counting) as port, connected(port) as raw:
        await raw.send(first)
        assert await flood(raw, each * 40_000, 60) == 1008
        listener.go_on.set()
        await until(lambda: listener.codes)

    assert listener.codes == [1008]
    assert listener.faults == [PeerFault.FLOOD]
    assert Counting.parsed + len(listener.texts) < 1.2 * AT_ONCE


@pytest.mark.parametrize("late", [True, False])
async def test_one_turn_of_the_loop_takes_few_frames_of_one_peer(late: bool) -> None:
    """`late`: where a frame begins is not known any more, for there was a frame of 64 KiB."""
    listener = Listener()
    async with serving(listener, Counting) as port, connected(port) as raw:
        if late:
            await raw.send(text("x" * 70_000))
        await raw.send(frame(0x1, b"a", fin=False) + frame(CONT, fin=False) * 2_000 + frame(CONT))
        await until(lambda: listener.texts[-1:] == [b"a"])

    assert Counting.parsed >= 2_000
    assert Counting.most <= 2_048 // 6 + TURN // ODD_FRAME + 2


async def test_a_minute_of_sound_at_once_passes_and_so_does_what_follows_it() -> None:
    """A stall of the network ends with everything that Twilio, or TCP, has kept."""
    listener = Listener()
    async with serving(listener) as port, connected(port) as raw:
        await raw.send(MEDIA * MINUTE)
        await until(lambda: len(listener.texts) == MINUTE)
        await raw.send(MEDIA, text("after it"))
        await until(lambda: listener.said[-1] == "after it")

        assert listener.codes == []


async def test_the_order_holds_over_the_turns() -> None:
    listener = Listener()
    async with serving(listener) as port, connected(port) as raw:
        stream = b"".join(text(f"{number:03} " * 40) + frame(PING) * (number % 3) for number in range(2_000))
        await raw.send_cut(stream, range(77, len(stream), 33_333))
        await until(lambda: len(listener.texts) == 2_000)

    assert [message[:4] for message in listener.said] == [f"{number:03} "[:4] for number in range(2_000)]


@few_by_day(30)
@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=200))
def test_ten_times_twilios_rate_goes_on_for_ever_however_it_is_bunched(gaps: list[float]) -> None:
    budget, now = FrameBudget(0.0), 0.0
    for gap in gaps:
        now += gap
        assert budget.spend(int(gap * A_SECOND), now) == TURN


def test_what_was_not_used_does_not_add_up() -> None:
    budget = FrameBudget(0.0)

    assert budget.spend(0, 3_600.0) == TURN
    assert budget.spend(AT_ONCE, 3_600.0) == TURN
    assert budget.spend(1, 3_600.0) == 0
