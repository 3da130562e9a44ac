from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from batkol.audio import mulaw
from batkol.audio.ring import Ring
from batkol.recognizers.streaming.feed import AudioFeed
from batkol.speech.passage import Passage
from support.speech.memory_vendor import TIMED

pytestmark = pytest.mark.virtual_time


class Wire:
    """What a connection is asked to do: samples written, and the rest by name."""

    def __init__(self) -> None:
        self.asked: list[int | str] = []

    async def write(self, audio: bytes) -> None:
        await asyncio.sleep(0.2)  # a slow one: more is offered meanwhile
        self.asked.append(len(audio))

    async def flush(self) -> None:
        self.asked.append("flush")

    async def half_close(self) -> None:
        self.asked.append("half_close")


async def test_a_final_is_asked_for_behind_the_audio_offered_by_then_though_more_waits() -> None:
    ring, wire = Ring(capacity=80_000), Wire()
    ring.append(mulaw.silence(8000))
    traits = replace(TIMED, longest_message=1600)
    feed = AudioFeed(Passage(0, 0, "a"), ring=ring, traits=traits, on_written=lambda _seconds: None)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed.run(wire))  # type: ignore[arg-type]
        feed.offer(2000)
        feed.flush()
        feed.offer(4000)
        feed.flush()
        feed.offer(4500)
        await asyncio.sleep(2)
        feed.offer(5000)
        feed.flush()
        await asyncio.sleep(1)
        feed.flush()
        feed.offer(5600)
        await asyncio.sleep(1)
        feed.finish()

    assert wire.asked == [1600, 400, "flush", 1600, 400, "flush", 500, 500, "flush", "flush", 600, "half_close"]
