"""A session that waits: for audio, for a last final, for another stream, for one that opens. In virtual time."""

import asyncio
from contextlib import suppress

import grpc
import pytest
from structlog.testing import capture_logs

from batkol.audio import mulaw
from batkol.recognizers.streaming.errors import SpeechError
from support.google.scripted import ServedStream, result, until_the_end
from support.google.session_rig import BATCH, ends, in_memory, says
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time

CODE = grpc.StatusCode


async def test_a_gap_in_the_audio_is_not_the_end_of_the_call() -> None:
    """Trap: a queue with a time-out takes 50 ms without audio for the end."""
    async with in_memory() as rig:
        running = rig.run()
        said = rig.speak(BATCH)
        await asyncio.sleep(0.5)
        said += rig.speak(BATCH)
        await rig.session.close()
        await running

        assert len(rig.google.streams) == 1
        assert rig.google.streams[0].linear16 == mulaw.decode_to_bytes(said)


async def test_the_last_final_is_read_after_the_half_close() -> None:
    """Trap: reading the finals before Google has sent them. Its p50 is 0.9 s, and it comes after the half-close."""

    async def late(stream: ServedStream) -> None:
        await stream.read_to_end()
        await asyncio.sleep(0.5)
        await stream.say(result("שלום", 150, final=True))

    async with in_memory(late) as rig:
        running = rig.run()
        rig.speak(BATCH)
        await rig.session.close()

        assert [h.text for h in rig.heard] == ["שלום"]
        await running


async def test_a_google_that_does_not_end_a_half_closed_stream_is_not_waited_for_for_ever() -> None:
    async def never(stream: ServedStream) -> None:
        await stream.read_to_end()
        await asyncio.Event().wait()

    async with in_memory(never, close_timeout=0.2) as rig:
        running = rig.run()
        rig.speak(BATCH)
        with capture_logs() as logs:
            await rig.session.close()
            await running

        assert [line["log_level"] for line in logs] == ["info", "warning", "info"]
        await rig.google.streams[0].ended.wait()


async def test_a_stream_that_answers_makes_up_for_those_that_failed() -> None:
    dies = says("כן", 100, after=BATCH, then=ends(CODE.UNAVAILABLE))
    async with in_memory(dies) as rig:
        running = rig.run()
        while len(rig.google.streams) < 8 and not running.done():
            rig.speak(BATCH)
            await asyncio.sleep(0.01)
        assert not running.done(), "eight streams died, more than a session bears in a row, but each had answered"
        assert len(rig.owner.failures) >= 7 > rig.options.attempts
        rig.google.stream = until_the_end
        await rig.session.close()
        with suppress(SpeechError):  # the last one may die on the way out
            await running


async def test_closing_ends_the_wait_for_another_stream() -> None:
    async with in_memory(ends(CODE.UNAVAILABLE)) as rig:
        object.__setattr__(rig.options, "first_retry", 60.0)
        running = rig.run()
        await until(lambda: rig.owner.failures)
        await rig.session.close()
        with pytest.raises(SpeechError):
            await running


async def test_an_open_that_hangs_is_given_up_for_good_and_tried_on_another_connection() -> None:
    """An HTTP/2 connection at its stream limit says nothing at all."""
    async with in_memory(most_streams=1) as rig:
        first = rig.run()
        await rig.google.opened(1)
        late = rig.again()
        rig.recognizer.open_timeout = 0.3
        running = late.run()
        said = late.speak(BATCH)
        await rig.google.opened(2)
        rig.recognizer.open_timeout = 20
        await rig.session.close()  # there is room on the first connection now: what was given up must not take it
        await first
        await late.session.close()
        await running

        assert late.owner.failures[0] == "deadline"
        assert rig.channels.connections == 2
        heard = [stream for stream in rig.google.streams if stream.config is not None]
        assert len(heard) == 2
        assert heard[1].linear16 == mulaw.decode_to_bytes(said)


async def test_closing_while_an_open_hangs_ends_with_it() -> None:
    async with in_memory(most_streams=1) as rig:
        first = rig.run()
        await rig.google.opened(1)
        rig.recognizer.open_timeout = 0.3
        late = rig.again()
        running = late.run()
        await asyncio.sleep(0)
        await late.session.close()
        with pytest.raises(SpeechError):
            await running
        await rig.session.close()
        await first


async def test_audio_that_comes_while_the_stream_is_opening_is_not_lost() -> None:
    """The server takes one stream at a time, so the second session waits for its turn with the caller speaking."""
    async with in_memory(most_streams=1) as rig:
        first = rig.run()
        rig.speak(BATCH)
        await rig.google.opened(1)
        late = rig.again()
        said = late.speak(3 * BATCH)
        second = late.run()
        for _ in range(20):
            said += late.speak(160)
            await asyncio.sleep(0.005)
        said += late.speak(160, flush=True)
        assert len(rig.google.streams) == 1

        await rig.session.close()
        await late.session.close()
        await asyncio.gather(first, second)

        assert rig.google.streams[1].linear16 == mulaw.decode_to_bytes(said)
