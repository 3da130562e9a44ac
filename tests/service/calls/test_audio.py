"""The audio of a call against a clock: of a hold, silence; of a sample, how long ago it was spoken."""

import asyncio

import pytest

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.calls.audio import CallAudio
from batkol.calls.limits import HOLD_S
from batkol.twilio.stream import MediaStream

pytestmark = pytest.mark.virtual_time

SECOND = bytes(SAMPLE_RATE)


async def test_a_sample_was_spoken_when_the_newest_one_came_less_what_came_after_it() -> None:
    loop = asyncio.get_running_loop()
    audio = CallAudio(MediaStream(), loop)
    await asyncio.sleep(1)
    audio.append(SECOND)
    await asyncio.sleep(2)

    assert audio.since(audio.ring.end) == pytest.approx(2)
    assert audio.since(0) == pytest.approx(3)
    assert audio.ms == 1000


async def test_a_stall_shorter_than_a_hold_is_no_silence_and_a_hold_is_silence_of_its_whole_length() -> None:
    loop = asyncio.get_running_loop()
    stream = MediaStream()
    audio = CallAudio(stream, loop)
    await asyncio.sleep(HOLD_S - 0.01)
    before = audio.silence_of_hold(loop.time())
    await asyncio.sleep(0.51)
    silence = audio.silence_of_hold(loop.time())
    audio.append(silence)

    assert before == b""
    assert len(silence) == pytest.approx((HOLD_S + 0.5) * SAMPLE_RATE, abs=1)
    assert audio.silence_of_hold(loop.time()) == b"", "it is accounted for"
    assert stream.counters.filled_samples == len(silence)
