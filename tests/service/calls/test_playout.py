import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.calls.playout import LONGEST, Playout
from batkol.errors import CallError
from batkol.twilio.messages import encode_media
from support.properties import few_by_day

pytestmark = pytest.mark.virtual_time

SID = "MZ" + "0" * 32


@asynccontextmanager
async def playing(playout: Playout) -> AsyncIterator[list[dict[str, Any]]]:
    sent: list[dict[str, Any]] = []

    async def send(text: str) -> None:
        await asyncio.sleep(0)
        sent.append(json.loads(text))

    task = asyncio.create_task(playout.run(send))
    try:
        yield sent
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settle(playout: Playout) -> None:
    while playout._queue or playout._more.is_set():
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)


def described(messages: list[dict[str, Any]]) -> list[str]:
    return [m["mark"]["name"] if m["event"] == "mark" else m["event"] for m in messages]


@pytest.mark.real_time
async def test_sound_and_marks_go_out_in_the_order_they_were_asked_for() -> None:
    playout = Playout(SID)
    async with playing(playout) as sent:
        playout.play(b"\x01" * 160)
        playout.mark("one")
        playout.play(b"\x02" * 160)
        playout.mark("two")
        await settle(playout)

    assert described(sent) == ["media", "one", "media", "two"]
    assert {m["streamSid"] for m in sent} == {SID}


async def test_what_was_queued_before_anybody_wrote_is_written() -> None:
    playout = Playout(SID)
    playout.play(b"\x01" * 160)
    async with playing(playout) as sent:
        await settle(playout)

    assert sent == [json.loads(encode_media(SID, b"\x01" * 160))]


@few_by_day(30)
@given(st.lists(st.binary(min_size=1, max_size=20_000), max_size=5))
def test_all_of_the_sound_is_sent_once_in_pieces_of_at_most_half_a_second(sounds: list[bytes]) -> None:
    async def run() -> None:
        playout = Playout(SID)
        async with playing(playout) as sent:
            for sound in sounds:
                playout.play(sound)
            await settle(playout)
        pieces = [
            json.loads(encode_media(SID, sound[i : i + 4000])) for sound in sounds for i in range(0, len(sound), 4000)
        ]
        assert sent == pieces

    asyncio.run(run())


async def test_clear_drops_the_sound_and_keeps_the_marks() -> None:
    """Twilio echoes all pending marks on `clear`, so who waits for one of ours must not wait for ever."""
    playout = Playout(SID)
    playout.play(b"\x01" * 80_000)
    playout.mark("one")
    playout.play(b"\x02" * 80_000)
    playout.mark("two")
    playout.clear()
    playout.play(b"\x03" * 160)
    async with playing(playout) as sent:
        await settle(playout)

    assert described(sent) == ["one", "two", "clear", "media"]


async def test_clear_cuts_in_while_sound_is_being_written() -> None:
    playout = Playout(SID)
    async with playing(playout) as sent:
        playout.play(b"\x01" * LONGEST)
        while len(sent) < 3:
            await asyncio.sleep(0)
        playout.clear()
        written = len(sent)
        await settle(playout)

    assert described(sent)[-1] == "clear"
    assert len(sent) <= written + 2  # the one that was under way, and the clear


async def test_ten_minutes_of_sound_may_wait_and_not_one_sample_more() -> None:
    playout = Playout(SID)
    playout.play(b"\x01" * LONGEST)

    with pytest.raises(CallError, match="ten minutes"):
        playout.play(b"\x01")
    playout.mark("still possible")
    playout.clear()
    playout.play(b"\x01" * LONGEST)


async def test_sound_that_is_refused_is_refused_whole() -> None:
    playout = Playout(SID)
    playout.play(b"\x01" * (LONGEST - 160))
    before = len(playout._queue)

    with pytest.raises(CallError):
        playout.play(b"\x01" * 320)

    assert len(playout._queue) == before
    playout.play(b"\x01" * 160)


async def test_written_sound_makes_room() -> None:
    playout = Playout(SID)
    playout.play(b"\x01" * LONGEST)
    async with playing(playout):
        await settle(playout)

    playout.play(b"\x01" * LONGEST)

    assert playout._queued == LONGEST


async def test_a_socket_that_does_not_take_sound_holds_up_nobody_who_queues() -> None:
    playout = Playout(SID)

    async def stuck(_: str) -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(playout.run(stuck))
    playout.play(b"\x01" * 160)
    await asyncio.sleep(0)
    playout.mark("one")
    playout.clear()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert len(playout._queue) == 2


def test_a_mark_that_comes_back_counts_once_and_only_if_it_was_sent() -> None:
    """A peer that may open a stream may send any mark, and thousands of them."""
    playout = Playout(SID)
    playout.mark("greeting")
    playout.mark("greeting")

    assert not playout.acknowledge_mark("never sent")
    assert [playout.acknowledge_mark("greeting") for _ in range(3)] == [True, True, False]
