"""A session over gRPC: audio out, results in, opening and closing. See also `test_session_*`."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from google.cloud.speech_v1p1beta1.types import cloud_speech
from structlog.testing import capture_logs

from batkol.audio import mulaw
from batkol.recognizers.google.wire import MESSAGE_BYTES
from batkol.speech.results import Transcript
from support.google.scripted import ServedStream, result
from support.google.session_rig import BATCH, SECOND, rigged
from support.time.waiting import until

SMALL_WINDOW = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)]


# -- audio out ---------------------------------------------------------------------------------------------------


async def test_the_first_message_is_the_configuration_and_the_others_are_batches_measured_in_audio() -> None:
    async with rigged() as rig:
        running = rig.run()
        said = b"".join(rig.speak(160) for _ in range(100))
        await rig.session.close()
        await running

        (stream,) = rig.google.streams
        assert stream.config.config.language_code == "iw-IL"
        assert stream.config.interim_results
        assert stream.linear16 == mulaw.decode_to_bytes(said[: len(said) // BATCH * BATCH])


def _has(stream: ServedStream, messages: int) -> bool:
    return len(stream.messages) >= messages


async def test_a_batch_is_sent_when_it_is_whole_and_not_before() -> None:
    async with rigged() as rig:
        running = rig.run()
        await rig.google.opened(1)
        (stream,) = rig.google.streams
        for batch in range(1, 4):
            for _ in range(7):
                rig.speak(160)
            assert len(stream.messages) == batch - 1
            rig.speak(80)
            await until(partial(_has, stream, batch))
        await rig.session.close()
        await running

        assert [len(message) for message in stream.messages] == [2 * BATCH] * 3


async def test_the_end_of_an_utterance_flushes_what_is_less_than_a_batch() -> None:
    async def hear(stream: ServedStream) -> None:
        await stream.read_samples(1000)
        await stream.say(result("כן", 125, final=True))
        await stream.read_to_end()

    async with rigged(hear) as rig:
        running = rig.run()
        said = rig.speak(1000, flush=True)
        await until(lambda: rig.heard)
        await rig.session.close()
        await running

        assert rig.google.streams[0].linear16 == mulaw.decode_to_bytes(said)


async def test_no_message_is_longer_than_google_takes() -> None:
    async with rigged() as rig:
        said = rig.speak(10 * SECOND, flush=True)  # a stretch that waited: a second of batches at once
        running = rig.run()
        await rig.session.close()
        await running

        (stream,) = rig.google.streams
        assert max(len(message) for message in stream.messages) == MESSAGE_BYTES
        assert stream.linear16 == mulaw.decode_to_bytes(said)


async def test_two_calls_at_once_never_share_a_session_a_cursor_or_a_result() -> None:
    """Trap: one module-level session serving every call of the process."""

    async def echo(stream: ServedStream) -> None:
        await stream.read_to_end()
        await stream.say(result(str(sum(stream.linear16)), 1000, final=True))

    async with rigged(echo) as rig:
        calls = [rig, *(rig.again() for _ in range(9))]
        running = [call.run() for call in calls]
        said = [call.speak(SECOND + 40 * i, flush=True) for i, call in enumerate(calls)]
        await asyncio.gather(*(call.session.close() for call in calls), *running)

        assert len(rig.google.streams) == 10
        texts = [[heard.text for heard in call.heard] for call in calls]
        assert texts == [[str(sum(mulaw.decode_to_bytes(audio)))] for audio in said]


async def test_two_sessions_on_one_ring_each_hear_all_of_it() -> None:
    """Trap: two streams on one queue take every second chunk each."""
    async with rigged() as rig:
        other = rig.again(ring=rig.ring)
        running = [rig.run(), other.run()]
        said = b""
        for _ in range(50):
            said += rig.speak(160)
            other.session.push_audio(rig.ring.end)
            await asyncio.sleep(0)
        rig.session.push_audio(rig.ring.end, flush=True)
        other.session.push_audio(rig.ring.end, flush=True)
        await asyncio.gather(rig.session.close(), other.session.close(), *running)

        assert [s.linear16 for s in rig.google.streams] == [mulaw.decode_to_bytes(said)] * 2


async def test_a_new_batch_length_holds_from_the_next_batch_on() -> None:
    async with rigged() as rig:
        running = rig.run()
        rig.speak(BATCH)
        await rig.google.opened(1)
        rig.session.tune(batch_ms=50)
        await until(lambda: rig.google.streams[0].messages)
        rig.speak(400)
        await until(lambda: len(rig.google.streams[0].messages) >= 2)
        await rig.session.close()
        await running

        assert [len(m) for m in rig.google.streams[0].messages] == [2 * BATCH, 800]


async def test_the_time_from_offering_to_writing_is_told() -> None:
    async with rigged() as rig:
        running = rig.run()
        rig.speak(BATCH)
        await rig.session.close()
        await running

        assert rig.written
        assert all(seconds >= 0 for seconds in rig.written)


async def test_a_stalled_google_costs_the_oldest_audio_and_no_memory() -> None:
    go_on = asyncio.Event()

    async def stall(stream: ServedStream) -> None:
        await stream.read()
        await go_on.wait()
        await stream.read_to_end()

    async with rigged(stall, capacity=SECOND, grpc_options=SMALL_WINDOW) as rig:
        running = rig.run()
        await rig.google.opened(1)
        for _ in range(300):
            rig.speak(SECOND // 2)
            await asyncio.sleep(0.001)
        assert len(rig.ring._bytes) <= 2 * SECOND
        before = rig.session.skipped
        go_on.set()
        await rig.session.close()
        await running

        heard = len(rig.google.streams[0].linear16) // 2
        assert rig.session.skipped > 0
        assert rig.session.skipped >= before
        assert heard + rig.session.skipped == rig.ring.end // BATCH * BATCH


# -- results in --------------------------------------------------------------------------------------------------


async def test_results_are_placed_on_the_calls_own_time_line() -> None:
    async def answer(stream: ServedStream) -> None:
        await stream.read_samples(BATCH)
        await stream.say(result("של", 100, stability=0.5))
        await stream.say(result("שלום", 140, final=True), result(" מה", 150))
        await stream.read_to_end()

    async with rigged(answer, start=SECOND) as rig:
        rig.ring.append(bytes(SECOND))
        running = rig.run()
        rig.speak(BATCH)
        await until(lambda: len(rig.heard) >= 3)
        await rig.session.close()
        await running

        assert [(h.text, h.start, h.end, h.final) for h in rig.heard] == [
            ("של", 8000, 8800, False),
            ("שלום", 8000, 9120, True),
            ("מה", 9120, 9200, False),
        ]
        assert rig.session.committed_to == 9120


HOURS = 10**9
"""Milliseconds: a time that no call has."""


def _words(final: Any, *times: tuple[str, int]) -> Any:
    for text, end_ms in times:
        end = timedelta(milliseconds=end_ms)
        final.alternatives[0].words.append(cloud_speech.WordInfo(word=text, start_time=end, end_time=end))
    return final


@pytest.mark.parametrize(
    "bad",
    [
        result("שלום", HOURS, final=True),
        _words(result("שלום", HOURS, final=True), ("שלום", 500)),
        _words(result("שלום", 600, final=True), ("שלום", HOURS)),
        _words(result("שלום", HOURS, final=True), ("שלום", HOURS)),
        _words(result("שלום", -HOURS, final=True), ("שלום", -HOURS)),
    ],
    ids=["end", "end-with-words", "word", "end-and-word", "negative"],
)
async def test_a_final_whose_times_cannot_be_takes_no_later_word_out_of_the_call(bad: Any) -> None:
    """The word behind it was sent before Google answered: it lies before what a clamped time would have committed."""

    async def answer(stream: ServedStream) -> None:
        await stream.read_samples(SECOND)
        await stream.say(bad)
        await stream.say(_words(result(" מה", 900, final=True), ("מה", 900)))
        await stream.read_to_end()

    async with rigged(answer) as rig:
        running = rig.run()
        rig.speak(SECOND, flush=True)
        await until(lambda: len(rig.heard) >= 2)
        await rig.session.close()
        await running

        assert [(heard.text, heard.final) for heard in rig.heard] == [("שלום", True), ("מה", True)]
        assert rig.session.committed_to <= SECOND


async def test_a_callback_that_raises_loses_its_own_result_only() -> None:
    async def talk(stream: ServedStream) -> None:
        await stream.read_samples(BATCH)
        for end in range(10, 60, 10):
            await stream.say(result(f"{end}", end, final=True))
        await stream.read_to_end()

    async with rigged(talk) as rig:
        seen: list[str] = []

        def touchy(heard: Transcript) -> None:
            seen.append(heard.text)
            raise ValueError(heard.text)

        session = rig.session
        session._on_final = touchy
        running = rig.run()
        with capture_logs() as logs:
            rig.speak(BATCH)
            await until(lambda: len(seen) == 5)
            await session.close()
            await running

        assert seen == ["10", "20", "30", "40", "50"]
        assert [line["log_level"] for line in logs].count("error") == 5


# -- opening, closing, cancelling --------------------------------------------------------------------------------


async def test_closing_while_the_stream_is_opening_sends_everything_and_ends() -> None:
    async with rigged() as rig:
        said = rig.speak(BATCH)
        running = rig.run()
        closing = asyncio.create_task(rig.session.close())
        await closing
        await running

        assert rig.google.streams[0].linear16 == mulaw.decode_to_bytes(said)
        assert rig.google.streams[0].half_closed


async def test_cancelling_leaves_no_task_and_no_stream() -> None:
    async with rigged() as rig:
        running = rig.run()
        rig.speak(BATCH)
        await rig.google.opened(1)
        await until(lambda: rig.google.streams[0].messages)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not {"stt.send", "stt.read", "session"} & names
        await rig.google.streams[0].ended.wait()
        await rig.session.close()  # has nothing to wait for
