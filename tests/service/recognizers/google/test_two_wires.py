"""The wire in memory against gRPC's own: under the same script both must tell the same story."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc.aio import AioRpcError

from batkol.recognizers.google import wire as messages
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.recognizer import SingleRecognizer
from batkol.recognizers.google.wire import recognition
from batkol.recognizers.streaming.errors import SpeechError
from batkol.recognizers.streaming.events import AudioDropped, StreamEnded, StreamOpening
from support.google.memory_wire import memory_channels
from support.google.scripted import ScriptedGoogle, ServedStream, StreamScript, result, served, until_the_end
from support.google.session_rig import BATCH, SECOND, Rig, ends, one_after_another, rigged, says, talk_on
from support.time.waiting import until

CODE = grpc.StatusCode
WIRES = ["gRPC", "memory"]
CONFIG = recognition("he-IL", "default")


# -- one call ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def dialled(wire: str, google: ScriptedGoogle, most_streams: int = 100) -> AsyncIterator[Channels]:
    if wire == "memory":
        async with memory_channels(google.handlers(), most_streams=most_streams) as channels:
            yield channels
        return
    async with served(google, options=[("grpc.max_concurrent_streams", most_streams)]):
        channels = Channels(endpoint=google.address, insecure=True)
        yield channels
        await channels.close()


@asynccontextmanager
async def one_call(wire: str, script: StreamScript, *, limit_s: float = 20) -> AsyncIterator[Any]:
    async with asyncio.timeout(20), dialled(wire, ScriptedGoogle(script)) as channels:
        client: Any
        with channels.lease() as client:
            yield messages.streaming_recognize(client.transport.grpc_channel)(timeout=limit_s)


async def ended(call: Any) -> tuple[grpc.StatusCode, str]:
    return await call.code(), await call.details()


async def outcome(work: Awaitable[Any]) -> str:
    """What came of it, as a word."""
    try:
        answer = await work
    except AioRpcError as error:
        return f"{error.code().name}: {error.details()}"
    except (asyncio.InvalidStateError, asyncio.CancelledError) as error:
        return f"{type(error).__name__}"
    return "EOF" if answer is grpc.aio.EOF else type(answer).__name__


async def _says_two(stream: ServedStream) -> None:
    await stream.read()
    await stream.say(result("אחת", 100))
    await stream.say(result("שתיים", 200, final=True))


async def _refuses(stream: ServedStream) -> None:
    await stream.read()
    await stream.say(result("אחת", 100))
    await stream.abort(CODE.RESOURCE_EXHAUSTED, "no")


async def _fails(stream: ServedStream) -> None:
    await stream.read()
    raise ValueError("a fault of the server's")


async def _never_ends(stream: ServedStream) -> None:
    await stream.read_to_end()
    await asyncio.Event().wait()


async def _read_all(call: Any) -> list[str]:
    story = []
    while (came := await outcome(call.read())) == "StreamingRecognizeResponse":
        story.append(came)
    return [*story, came]


@pytest.mark.parametrize("wire", WIRES)
async def test_responses_are_read_to_the_end_and_nothing_goes_after_it(wire: str) -> None:
    async with one_call(wire, _says_two) as call:
        await call.wait_for_connection()
        await call.write(messages.opening(CONFIG))

        assert await _read_all(call) == ["StreamingRecognizeResponse"] * 2 + ["EOF"]
        assert await ended(call) == (CODE.OK, "")
        assert await outcome(call.read()) == "EOF"
        assert await outcome(call.write(messages.audio(bytes(320)))) == "InvalidStateError"
        assert await outcome(call.done_writing()) == "NoneType"
        assert not call.cancel()


@pytest.mark.parametrize("wire", WIRES)
async def test_a_refusal_comes_behind_what_was_said_and_stays(wire: str) -> None:
    over: list[ServedStream] = []

    async def serve(stream: ServedStream) -> None:
        over.append(stream)
        await _refuses(stream)

    async with one_call(wire, serve) as call:
        noted: list[grpc.StatusCode] = []
        call.add_done_callback(lambda over: noted.append(over.done()))
        await call.wait_for_connection()
        await call.write(messages.opening(CONFIG))
        await until(lambda: over and over[0].ended.is_set())
        await asyncio.sleep(0.05)  # all of it is here before the first read

        assert await _read_all(call) == ["StreamingRecognizeResponse", "RESOURCE_EXHAUSTED: no"]
        assert await outcome(call.read()) == "RESOURCE_EXHAUSTED: no"
        assert await outcome(call.write(messages.audio(bytes(320)))) == "InvalidStateError"
        assert noted == [True]


@pytest.mark.parametrize("wire", WIRES)
async def test_a_server_that_fails_ends_the_call_as_unknown(wire: str) -> None:
    async with one_call(wire, _fails) as call:
        await call.write(messages.opening(CONFIG))

        assert (await outcome(call.read())).startswith("UNKNOWN: Unexpected <class 'ValueError'>")


@pytest.mark.parametrize("wire", WIRES)
async def test_nothing_is_written_after_the_half_close(wire: str) -> None:
    async with one_call(wire, _never_ends) as call:
        await call.write(messages.opening(CONFIG))
        await call.done_writing()
        await call.done_writing()

        assert await outcome(call.write(messages.audio(bytes(320)))) == "InvalidStateError"
        assert call.cancel()


@pytest.mark.parametrize("wire", WIRES)
async def test_a_call_that_was_cancelled_raises_that_wherever_it_is_used(wire: str) -> None:
    seen: list[ServedStream] = []

    async def serve(stream: ServedStream) -> None:
        seen.append(stream)
        await _never_ends(stream)

    async with one_call(wire, serve) as call:
        await call.write(messages.opening(CONFIG))
        await until(lambda: seen)
        reading = asyncio.ensure_future(outcome(call.read()))
        await asyncio.sleep(0)

        assert call.cancel()
        assert not call.cancel()
        assert await reading == "CancelledError"
        assert await outcome(call.read()) == "CancelledError"
        assert await outcome(call.write(messages.audio(bytes(320)))) == "InvalidStateError"
        assert (await ended(call))[0] is CODE.CANCELLED
        await seen[0].ended.wait()


@pytest.mark.parametrize("wire", WIRES)
async def test_a_read_that_is_cancelled_cancels_its_call(wire: str) -> None:
    async with one_call(wire, _never_ends) as call:
        await call.write(messages.opening(CONFIG))
        reading = asyncio.create_task(call.read())
        await asyncio.sleep(0.02)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

        assert (await ended(call))[0] is CODE.CANCELLED


@pytest.mark.parametrize("wire", WIRES)
async def test_a_call_is_over_when_its_time_is_up(wire: str) -> None:
    async with one_call(wire, _never_ends, limit_s=0.3) as call:
        await call.write(messages.opening(CONFIG))

        assert await outcome(call.read()) == "DEADLINE_EXCEEDED: Deadline Exceeded"


@pytest.mark.parametrize("wire", WIRES)
async def test_a_reader_that_does_not_read_stops_the_writer(wire: str) -> None:
    go_on = asyncio.Event()

    async def waits(stream: ServedStream) -> None:
        await go_on.wait()
        await stream.read_to_end()

    async with one_call(wire, waits) as call:
        await call.write(messages.opening(CONFIG))
        written = 0

        async def write() -> None:
            nonlocal written
            for _ in range(400):
                await call.write(messages.audio(bytes(25_600)))
                written += 1

        writing = asyncio.create_task(write())
        await asyncio.wait([writing], timeout=0.2)
        assert written < 400
        go_on.set()
        await writing
        await call.done_writing()

        assert await outcome(call.read()) == "EOF"


@pytest.mark.parametrize("wire", WIRES)
async def test_a_status_that_comes_under_a_write_is_overwritten(wire: str) -> None:
    """The fault of grpc.aio for which `StreamEnding` exists: the wire in memory has it too."""

    async def ends_under(stream: ServedStream) -> None:
        await stream.read()
        await asyncio.sleep(0.05)
        await stream.abort(CODE.RESOURCE_EXHAUSTED, "no")

    for _ in range(20):
        async with one_call(wire, ends_under) as call:
            noted: list[str] = []
            call.add_done_callback(lambda _, noted=noted: noted.append("over"))
            await call.write(messages.opening(CONFIG))
            came = "NoneType"
            while came == "NoneType":
                came = await outcome(call.write(messages.audio(bytes(25_600))))
            if came == "InvalidStateError":
                continue  # it came between two writes

            assert came == "INTERNAL: Internal error from Core"
            assert await ended(call) == (CODE.INTERNAL, "Internal error from Core")
            assert noted == ["over"]
            return
    raise AssertionError("it never came under a write")


@pytest.mark.parametrize("wire", WIRES)
async def test_a_single_request_is_answered_refused_and_given_up_alike(wire: str) -> None:
    answers: list[Callable[[Any], Awaitable[str]]] = []

    async def single(_: Any, context: Any) -> str:
        return await answers.pop(0)(context)

    async def words(_: Any) -> str:
        return " שלום "

    async def refuses(context: Any) -> str:
        await context.abort(CODE.PERMISSION_DENIED, "no")
        return ""

    async def never(_: Any) -> str:
        await asyncio.Event().wait()
        return ""

    async with asyncio.timeout(20), dialled(wire, ScriptedGoogle(single=single)) as channels:
        recognizer = SingleRecognizer(channels, CONFIG, deadline=20.0)
        hurried = SingleRecognizer(channels, CONFIG, deadline=0.2)
        answers += [words, refuses, never]

        assert await recognizer.recognize(b"\xff" * 160) == "שלום"
        for who, reason in ((recognizer, "permission_denied"), (hurried, "deadline")):
            with pytest.raises(SpeechError) as raised:
                await who.recognize(b"\xff" * 160)
            assert raised.value.reason == reason


# -- a session ---------------------------------------------------------------------------------------------------


def changes_its_mind() -> StreamScript:
    async def play(stream: ServedStream) -> None:
        await stream.read_samples(2 * BATCH)
        await stream.say(result("של", 100))
        await stream.say(result("לך", 150))
        await stream.say(result("", 160))
        await stream.say(result("שלום", 200, final=True), result(" מה", 280))
        await stream.read_to_end()

    return play


def late_final() -> StreamScript:
    async def play(stream: ServedStream) -> None:
        await stream.read_to_end()
        await asyncio.sleep(0.1)
        await stream.say(result("שלום", 150, final=True))

    return play


def complains() -> StreamScript:
    async def play(stream: ServedStream) -> None:
        await stream.read_samples(BATCH)
        await stream.say(error=(11, "Exceeded maximum allowed stream duration of 305 seconds."))
        await stream.read_to_end()

    return play


def leaves() -> StreamScript:
    async def play(stream: ServedStream) -> None:
        await stream.read_samples(BATCH)

    return play


def dies_in_the_middle(code: grpc.StatusCode) -> StreamScript:
    first = says("אחת", 100, after=BATCH, then=ends(code, after=2 * BATCH))
    return one_after_another(first, says("שתיים", 150, after=BATCH))


ALL = 3 * BATCH
"""What is said, in samples."""


def heard_all(number: int, samples: int = ALL) -> Callable[[Rig], bool]:
    """Stream number `number` (from 1) is there and has so much audio, and all results are in."""

    def ready(rig: Rig) -> bool:
        streams = rig.google.streams
        return len(streams) >= number and len(streams[number - 1].linear16) == 2 * samples

    return ready


def results(count: int) -> Callable[[Rig], bool]:
    return lambda rig: len(rig.heard) == count


def never(_: Rig) -> bool:
    """It ends by itself."""
    return False


SCRIPTS: dict[str, tuple[Callable[[], StreamScript], Callable[[Rig], bool]]] = {
    "interims change their mind": (changes_its_mind, results(5)),
    "the last final is late": (late_final, heard_all(1)),
    "a status inside a response": (lambda: one_after_another(complains(), until_the_end), heard_all(2)),
    "the stream ends without an error": (lambda: one_after_another(leaves(), until_the_end), heard_all(2)),
    "it dies in the middle and another goes on": (lambda: dies_in_the_middle(CODE.UNAVAILABLE), results(2)),
    "it dies in the middle for good": (lambda: dies_in_the_middle(CODE.PERMISSION_DENIED), never),
    "too much is asked": (lambda: dies_in_the_middle(CODE.RESOURCE_EXHAUSTED), never),
    "it is refused at once": (lambda: ends(CODE.INVALID_ARGUMENT), never),
    "every stream is refused": (lambda: ends(CODE.UNAVAILABLE), never),
    "the server has a fault": (lambda: _fails, never),
    "it never answers": (lambda: until_the_end, heard_all(1)),
    "it never ends": (lambda: _never_ends, heard_all(1)),
}


OPEN_FOR_A_MOMENT = {"every stream is refused"}
"""Whether a stream counts as open before its refusal arrives, and so as a replacement, is chance over either wire."""


async def story(wire: str, name: str) -> list[Any]:
    """All that a session tells about three batches of speech under this script, but for the times."""
    script, ready = SCRIPTS[name]
    close_timeout = 0.2 if name == "it never ends" else 20
    async with rigged(script(), wire=wire, close_timeout=close_timeout, attempts=1) as rig:
        rig.owner.waits_from = 0
        running = rig.run()
        rig.speak(ALL)
        await until(lambda: running.done() or ready(rig))
        await rig.session.close()
        ended: list[Any] = []
        try:
            await running
        except SpeechError as error:
            ended.append((error.reason, error.next, str(error)))
        return [
            [_told(event) for event in rig.owner.events],
            rig.heard,
            [len(stream.linear16) for stream in rig.google.streams],
            ended,
        ]


def _told(event: object) -> Any:
    match event:
        case StreamOpening() | StreamEnded() | AudioDropped():
            return type(event).__name__
    return str(event)


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_session_tells_the_same_story_over_both_wires(name: str) -> None:
    over_grpc, in_memory = [await story(wire, name) for wire in WIRES]

    if name in OPEN_FOR_A_MOMENT:
        for told in (over_grpc, in_memory):
            told[0] = [event for event in told[0] if not event.startswith("StreamReplaced")]
    assert in_memory == over_grpc
    assert over_grpc[0][0] == "StreamOpening"


@pytest.mark.parametrize("wire", WIRES)
async def test_a_stream_is_followed_by_another_by_plan(wire: str) -> None:
    async with rigged(wire=wire, rotate=(0.1, 0.1)) as rig:
        running = rig.run()
        rig.session.set_silent(quiet=False)
        await talk_on(rig, 2)
        await rig.session.close()
        await running

        assert len(rig.owner.cuts) >= 1
        assert rig.owner.holes == []


@pytest.mark.parametrize("wire", WIRES)
async def test_the_stream_beyond_the_limit_waits_without_a_word_and_is_not_given_away(wire: str) -> None:
    async with rigged(wire=wire, most_streams=1, open_timeout=0.5) as rig:
        first = rig.run()
        await rig.google.opened(1)
        late = rig.again()
        late.speak(SECOND)
        running = late.run()
        await rig.google.opened(2)
        await rig.session.close()
        await late.session.close()
        await asyncio.gather(first, running)

        assert late.owner.failures[0] == "deadline"
        assert rig.channels.connections == 2
