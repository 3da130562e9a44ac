"""The end of a session or of its stream over gRPC: raised, or followed by another stream."""

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs

from batkol.audio import mulaw
from batkol.recognizers.streaming.errors import Next, SpeechError
from support.google.scripted import ServedStream, until_the_end
from support.google.session_rig import BATCH, SECOND, ends, one_after_another, rigged, says
from support.time.waiting import until


async def test_a_session_starts_and_closes_once_in_the_log() -> None:
    async with rigged() as rig:
        with capture_logs() as logs:
            running = rig.run()
            rig.speak(BATCH)
            await rig.session.close()
            await rig.session.close()
            await running

        assert [line["event"] for line in logs] == ["[STT] Streaming session started", "[STT] Streaming session closed"]
        assert logs[1]["audio_s"] == 0.15


CODE = grpc.StatusCode

USELESS = [
    (CODE.RESOURCE_EXHAUSTED, "no", Next.COOL_OFF),
    (CODE.INVALID_ARGUMENT, "no", Next.MISCONFIGURED),
    (CODE.INVALID_ARGUMENT, "The requested model is currently not supported for language : iw-IL.", Next.REMODEL),
    (CODE.PERMISSION_DENIED, "no", Next.MISCONFIGURED),
    (CODE.UNAUTHENTICATED, "no", Next.MISCONFIGURED),
]
"""Ends after which another stream would not help: the model is the default one already."""

CURABLE = [
    (CODE.OUT_OF_RANGE, "Exceeded maximum allowed stream duration of 305 seconds."),
    (CODE.OUT_OF_RANGE, "Audio Timeout Error: Long duration elapsed without audio."),
    (CODE.UNAVAILABLE, "no"),
    (CODE.INTERNAL, "Received RST_STREAM with error code 2"),
    (CODE.CANCELLED, "The operation was cancelled."),
]


@pytest.mark.parametrize(("code", "text", "next_step"), USELESS)
async def test_an_end_that_no_other_stream_would_help_is_raised(
    code: grpc.StatusCode, text: str, next_step: Next
) -> None:
    """Trap: a swallowed exception that leaves a session which looks alive."""

    async def end(stream: ServedStream) -> None:
        await stream.read_samples(BATCH)
        await stream.abort(code, text)

    async with rigged(end) as rig:
        running = rig.run()
        rig.speak(BATCH)
        with pytest.raises(SpeechError) as raised:
            await running

        assert raised.value.next is next_step
        assert len(rig.google.streams) == 1
        assert rig.owner.failures == [raised.value.reason]
        await rig.session.close()  # has nothing to wait for


@pytest.mark.parametrize(("code", "text", "next_step"), USELESS)
async def test_a_stream_that_is_refused_for_good_is_not_asked_for_again(
    code: grpc.StatusCode, text: str, next_step: Next
) -> None:
    async def refuse(stream: ServedStream) -> None:
        await stream.abort(code, text)

    async with rigged(refuse) as rig:
        running = rig.run()
        with pytest.raises(SpeechError) as raised:
            await running

        assert raised.value.next is next_step
        assert len(rig.google.streams) == 1


@pytest.mark.parametrize(("code", "text", "next_step"), USELESS)
async def test_a_stream_that_ends_under_a_write_keeps_its_status(
    code: grpc.StatusCode, text: str, next_step: Next
) -> None:
    """grpc.aio says INTERNAL then, which is tried again: a quota would be stormed, a wrong model asked for for ever."""

    async def end(stream: ServedStream) -> None:
        await stream.read()
        await stream.abort(code, text)

    async with rigged(end) as rig:
        rig.speak(60 * SECOND)  # so that audio is being written all the time
        with pytest.raises(SpeechError) as raised:
            await rig.session.run()

        assert raised.value.next is next_step


@pytest.mark.parametrize(("code", "text"), CURABLE)
async def test_another_stream_goes_on_from_the_last_final(code: grpc.StatusCode, text: str) -> None:
    """Everything that was said since is sent again, and nothing before it; times stay the call's."""
    first = says("אחת", 150, after=2 * BATCH, then=ends(code, text))
    script = one_after_another(first, says("שתיים", 300, after=3 * BATCH))
    async with rigged(script) as rig:
        rig.owner.waits_from = 0
        running = rig.run()
        said = rig.speak(2 * BATCH)
        await until(lambda: rig.heard)
        while len(rig.google.streams) < 2:
            said += rig.speak(160)
            await asyncio.sleep(0.02)
        said += rig.speak(3 * BATCH)
        await until(lambda: len(rig.heard) == 2)
        await rig.session.close()
        await running

        assert rig.google.streams[1].linear16 == mulaw.decode_to_bytes(said[BATCH : len(said) // BATCH * BATCH])
        assert [(h.text, h.start, h.end) for h in rig.heard] == [("אחת", 0, BATCH), ("שתיים", BATCH, BATCH + 2400)]
        assert rig.owner.replaced != []
        assert rig.owner.holes == []


async def test_a_stream_that_keeps_failing_is_given_up_after_a_few_attempts() -> None:
    async with rigged(ends(CODE.UNAVAILABLE), attempts=3) as rig:
        with pytest.raises(SpeechError) as raised:
            await rig.session.run()

        assert raised.value.reason == "unavailable"
        assert len(rig.google.streams) == 4
        assert rig.owner.failures == ["unavailable"] * 4


async def test_a_limit_that_is_reached_at_once_is_no_limit_but_a_loop() -> None:
    limit = ends(CODE.OUT_OF_RANGE, "Exceeded maximum allowed stream duration of 305 seconds.")
    async with rigged(limit) as rig:
        with pytest.raises(SpeechError) as raised:
            await rig.session.run()

        assert raised.value.next is Next.ROTATE
        assert len(rig.google.streams) == 3


async def test_where_the_process_has_had_enough_no_other_stream_is_tried() -> None:
    async with rigged(ends(CODE.UNAVAILABLE)) as rig:
        rig.owner.trying = False
        with pytest.raises(SpeechError):
            await rig.session.run()

        assert len(rig.google.streams) == 1


async def test_more_than_the_limit_is_not_sent_again_and_is_told_as_lost() -> None:
    first = ends(CODE.UNAVAILABLE, after=20 * BATCH)
    async with rigged(one_after_another(first, until_the_end)) as rig:
        object.__setattr__(rig.options, "replay_limit", 5 * BATCH)
        rig.owner.waits_from = 0
        running = rig.run()
        said = rig.speak(20 * BATCH)
        await rig.google.opened(2)
        await rig.session.close()
        await running

        assert rig.google.streams[1].linear16 == mulaw.decode_to_bytes(said[15 * BATCH :])
        assert rig.owner.holes == [(0, 15 * BATCH)]


async def test_a_model_that_the_language_lacks_is_told_once_and_default_takes_its_place() -> None:
    async def choosy(stream: ServedStream) -> None:
        await stream.read()
        if stream.config.config.model != "default":
            await stream.abort(CODE.INVALID_ARGUMENT, USELESS[2][1])
        await stream.read_to_end()

    async with rigged(choosy) as rig:
        rig.recognizer.config.model = "command_and_search"
        with capture_logs() as logs:
            other = rig.again()
            running = [rig.run(), other.run()]
            said = rig.speak(BATCH)
            await until(lambda: any(mulaw.decode_to_bytes(said) == stream.linear16 for stream in rig.google.streams))
            await until(
                lambda: (
                    [stream.config.config.model for stream in rig.google.streams if stream.config].count("default") == 2
                )
            )
            await asyncio.gather(rig.session.close(), other.session.close(), *running)

        assert [line["log_level"] for line in logs].count("error") == 1
        assert rig.recognizer.config.model == "default"


async def test_nobody_listening_at_googles_address_is_an_unavailable_stream() -> None:
    async with rigged() as rig:
        rig.channels._endpoint.address = "127.0.0.1:9"
        with pytest.raises(SpeechError) as raised:
            await rig.session.run()

        assert raised.value.next is Next.REPLAY


async def test_a_google_that_ends_the_stream_without_an_error_has_still_ended_it() -> None:
    async def leave(stream: ServedStream) -> None:
        await stream.read_samples(BATCH)

    async with rigged(leave) as rig:
        rig.owner.waits_from = 0
        running = rig.run()
        rig.speak(BATCH)
        with pytest.raises(SpeechError) as raised:
            await running

        assert (raised.value.reason, raised.value.next) == ("ended", Next.REPLAY)


async def test_a_status_inside_a_response_ends_the_stream() -> None:
    async def complain(stream: ServedStream) -> None:
        await stream.read_samples(BATCH)
        await stream.say(error=(11, "Exceeded maximum allowed stream duration of 305 seconds."))
        await stream.read_to_end()

    async with rigged(one_after_another(complain, until_the_end)) as rig:
        rig.owner.waits_from = 0
        running = rig.run()
        said = rig.speak(BATCH)
        await rig.google.opened(2)
        await rig.session.close()
        await running

        assert rig.google.streams[1].linear16 == mulaw.decode_to_bytes(said)


async def test_a_fault_of_our_own_ends_the_session_and_does_not_leave_it_looking_alive() -> None:
    """Trap, from the other side: the sender dies while Google keeps the stream open."""
    async with rigged() as rig:
        running = rig.run()
        rig.session.push_audio(BATCH)  # audio that is not in the ring
        with pytest.raises(SpeechError) as raised:
            await running

        assert raised.value.reason == "client"
