"""How long a call's socket may wait with what it holds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from batkol.audio.ring import Ring
from batkol.calls.services import Services
from batkol.vad.scheduler import CROWD
from support.time.waiting import until
from support.twilio.calls import new_call, services
from support.twilio.line import Line


@asynccontextmanager
async def talking(shared: Services) -> AsyncIterator[Line]:
    call, line = new_call(shared), Line()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(call.run(line, line.direct))
        await until(lambda: hasattr(line, "sink"))
        line.start()
        yield line
        call.end("stop")
        call.limit_to(0.1)
        await running


async def test_a_call_waits_for_a_batch() -> None:
    async with services(streaming=True) as shared, talking(shared) as line:
        line.media()
        after_one = line.wanted()
        line.media()
        after_two = line.wanted()
        for _ in range(6):
            line.media()

        assert (after_one, after_two) == (7, 6)  # of eight, 160 ms: seven are not yet the 150 of a batch
        assert line.wanted() == 7  # 10 ms were left over


async def test_longer_messages_are_fewer() -> None:
    async with services(streaming=True) as shared, talking(shared) as line:
        line.media(ms=40)

        assert line.wanted() == 3


async def test_in_a_crowd_nothing_is_held_back() -> None:
    async with services(streaming=True) as shared, talking(shared) as line:
        line.media()
        alone = line.wanted()
        others = [shared.vad.open(Ring(capacity=8000), lambda _: None) for _ in range(CROWD)]
        crowded = line.wanted()
        for ear in others:
            ear.close()

        assert (alone, crowded) == (7, 1)


async def test_the_detector_pulls_and_the_end_releases() -> None:
    async with services(streaming=True) as shared:
        async with talking(shared) as line:
            line.media()
            await until(lambda: line.pulls > 2)
            before = line.released
            line.say("stop", stop={"accountSid": "AC", "callSid": "CA"})
            await until(lambda: line.released)

            assert before == 0
            assert line.wanted() == 1
        assert line.closed == [1000]


async def test_a_call_that_breaks_releases_too() -> None:
    class Broken(Line):
        async def receive(self) -> dict[str, Any]:
            raise ConnectionError("the server is broken")

    async with services() as shared:
        call, line = new_call(shared), Broken()
        with pytest.raises(ExceptionGroup):
            await call.run(line, line.direct)

    assert line.released == 1


async def test_while_sound_plays_nothing_is_held_back_and_the_first_sound_pulls() -> None:
    """A mark that comes back, or a caller who interrupts, would wait in the socket."""

    class Listening(Line):
        def __init__(self) -> None:
            super().__init__()
            self.sent: list[str] = []

        async def send_text(self, text: str) -> None:
            self.sent.append(text)

    async with services(streaming=True) as shared:
        call, line = new_call(shared), Listening()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(call.run(line, line.direct))
            await until(lambda: hasattr(line, "sink"))
            line.start()
            line.media()
            silent, before = line.wanted(), line.pulls
            call.playout.play(b"\x01" * 160)
            queued = line.wanted()
            await until(lambda: len(line.sent) == 3)  # the sound between the two marks that measure the path
            written, pulls = line.wanted(), line.pulls
            call.end("stop")
            call.limit_to(0.1)
            await running

    assert (silent, queued, written) == (7, 1, 1)
    assert pulls > before
