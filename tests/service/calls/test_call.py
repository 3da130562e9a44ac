"""How long a call's socket may wait with what it holds."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from batkol.audio import mulaw
from batkol.audio.ring import Ring
from batkol.calls.services import Services
from batkol.vad.scheduler import CROWD
from support.time.waiting import until
from support.twilio.calls import new_call, services

STREAM = "MZ" + "0" * 32


class Line:
    """A WebSocket on which nothing comes the long way, and a server that hands messages on at once."""

    def __init__(self) -> None:
        self.sink: Callable[[bytes], None]
        self.wanted: Callable[[], int]
        self.pulls = 0
        self.released = 0
        self.closed: list[int] = []
        self._sequence = 0

    def direct(self, sink: Callable[[bytes], None], wanted: Callable[[], int]) -> "Line":
        self.sink, self.wanted = sink, wanted
        return self

    def pull(self) -> None:
        self.pulls += 1

    def release(self) -> None:
        self.released += 1

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send_text(self, text: str) -> None:
        raise AssertionError(f"nobody was to answer {text}")

    async def close(self, code: int) -> None:
        self.closed.append(code)

    def say(self, event: str, **about: Any) -> None:
        self._sequence += 1
        message = {"event": event, "sequenceNumber": str(self._sequence), "streamSid": STREAM} | about
        self.sink(json.dumps(message).encode())

    def start(self) -> None:
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        about = {"streamSid": STREAM, "accountSid": "AC", "callSid": "CA", "tracks": ["inbound"], "mediaFormat": form}
        self.say("start", start=about | {"customParameters": {}})

    def media(self, *, ms: int = 20) -> None:
        chunk = self._sequence
        payload = b64encode(mulaw.silence(8 * ms)).decode()
        self.say("media", media={"track": "inbound", "chunk": str(chunk), "timestamp": "0", "payload": payload})


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
