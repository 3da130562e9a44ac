import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
import structlog
from structlog.testing import capture_logs

from batkol.audio import mulaw
from batkol.audio.ring import Ring
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.errors import Next, SpeechError
from batkol.recognizers.google.events import AudioLost, StreamFailed, StreamReplaced, StreamRotated
from batkol.recognizers.google.options import StreamingOptions
from batkol.recognizers.google.session import StreamingSTTSession
from batkol.recognizers.google.wire import MESSAGE_BYTES, recognition
from batkol.speech.results import Transcript
from batkol.speech.rotation import Cut, Why
from support.google.scripted import (
    ScriptedGoogle,
    ServedStream,
    StreamScript,
    result,
    scripted_google,
    until_the_end,
)
from support.speech.observer import Observed
from support.time.waiting import until

CODE = grpc.StatusCode
BATCH_MS = 150
BATCH = BATCH_MS * 8
SECOND = 8000
ONE_STREAM = [("grpc.max_concurrent_streams", 1)]
SMALL_WINDOW = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)]


@dataclass
class Owner(Observed):
    """The session's delegate: its answers are scripted, and it keeps every event."""

    waits_from: int | None = None
    trying: bool = True

    def needed(self) -> int:
        return 10**9 if self.waits_from is None else self.waits_from

    def may_try(self) -> bool:
        return self.trying

    @property
    def failures(self) -> list[str]:
        return [event.error.reason for event in self.of(StreamFailed)]

    @property
    def holes(self) -> list[tuple[int, int]]:
        return [(event.start, event.end) for event in self.of(AudioLost)]

    @property
    def cuts(self) -> list[Cut]:
        return [event.cut for event in self.of(StreamRotated)]

    @property
    def replaced(self) -> list[str]:
        return [event.reason for event in self.of(StreamReplaced)]


@dataclass
class Rig:
    """A session on a call's ring, and Google at its other end."""

    google: ScriptedGoogle
    channels: Channels
    speech: StreamingOptions
    ring: Ring
    session: StreamingSTTSession
    written: list[float]
    heard: list[Transcript] = field(default_factory=list)
    owner: Owner = field(default_factory=Owner)

    def speak(self, samples: int, *, flush: bool = False) -> bytes:
        """The caller's next samples, no two stretches of them alike."""
        start = self.ring.end
        audio = bytes((i * 7 + (i >> 8)) % 251 for i in range(start, start + samples))
        self.ring.append(audio)
        self.session.push_audio(self.ring.end, flush=flush)
        return audio

    def run(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.session.run(), name="session")

    def again(self, ring: Ring | None = None, start: int = 0) -> "Rig":
        """Another session of the same process."""
        rig = Rig(self.google, self.channels, self.speech, ring or Ring(capacity=600 * SECOND), None, self.written)  # type: ignore[arg-type]
        rig.session = _session(rig, start)
        return rig


def _session(rig: Rig, start: int) -> StreamingSTTSession:
    return StreamingSTTSession(
        rig.heard.append,
        rig.heard.append,
        speech=rig.speech,
        ring=rig.ring,
        start=start,
        batch_ms=BATCH_MS,
        delegate=rig.owner,
        log=structlog.get_logger(),
    )


@asynccontextmanager
async def rigged(
    script: StreamScript = until_the_end,
    *,
    capacity: int = 600 * SECOND,
    start: int = 0,
    open_timeout: float = 20,
    close_timeout: float = 20,
    attempts: int = 2,
    rotate: tuple[float, float] = (240, 285),
    stall: float = 60,
    options: Any = (),
) -> AsyncIterator[Rig]:
    """Every test ends with nothing left: no lease, no task."""
    before = asyncio.all_tasks()
    async with asyncio.timeout(15), scripted_google(script, options=options) as google:
        channels = Channels(endpoint=google.address, insecure=True)
        written: list[float] = []
        speech = StreamingOptions(
            channels=channels,
            config=recognition("he-IL", "default"),
            on_written=written.append,
            open_timeout=open_timeout,
            close_timeout=close_timeout,
            attempts=attempts,
            first_retry=0.01,
            rotate_after=rotate[0],
            rotate_by=rotate[1],
            stall=stall,
        )
        rig = Rig(google, channels, speech, Ring(capacity=capacity), None, written)  # type: ignore[arg-type]
        rig.session = _session(rig, start)
        yield rig
        assert channels.streams == 0
        await channels.close()
    async with asyncio.timeout(20):
        while any(not task.get_name().startswith("http") for task in asyncio.all_tasks() - before):
            await asyncio.sleep(0.01)


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
            while len(stream.messages) < batch:
                await asyncio.sleep(0.005)
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
        while not rig.heard:
            await asyncio.sleep(0.005)
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


async def test_audio_that_comes_while_the_stream_is_opening_is_not_lost() -> None:
    """The server takes one stream at a time, so the second session waits for its turn with the caller speaking."""
    async with rigged(options=ONE_STREAM) as rig:
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


async def test_a_gap_in_the_audio_is_not_the_end_of_the_call() -> None:
    """Trap: a queue with a time-out takes 50 ms without audio for the end."""
    async with rigged() as rig:
        running = rig.run()
        said = rig.speak(BATCH)
        await asyncio.sleep(0.5)
        said += rig.speak(BATCH)
        await rig.session.close()
        await running

        assert len(rig.google.streams) == 1
        assert rig.google.streams[0].linear16 == mulaw.decode_to_bytes(said)


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
        while not rig.google.streams[0].messages:
            await asyncio.sleep(0.005)
        rig.speak(400)
        while len(rig.google.streams[0].messages) < 2:
            await asyncio.sleep(0.005)
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

    async with rigged(stall, capacity=SECOND, options=SMALL_WINDOW) as rig:
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
        while len(rig.heard) < 3:
            await asyncio.sleep(0.005)
        await rig.session.close()
        await running

        assert [(h.text, h.start, h.end, h.final) for h in rig.heard] == [
            ("של", 8000, 8800, False),
            ("שלום", 8000, 9120, True),
            ("מה", 9120, 9200, False),
        ]
        assert rig.session.committed_to == 9120


async def test_the_last_final_is_read_after_the_half_close() -> None:
    """Trap: reading the finals before Google has sent them. Its p50 is 0.9 s, and it comes after the half-close."""

    async def late(stream: ServedStream) -> None:
        await stream.read_to_end()
        await asyncio.sleep(0.5)
        await stream.say(result("שלום", 150, final=True))

    async with rigged(late) as rig:
        running = rig.run()
        rig.speak(BATCH)
        await rig.session.close()

        assert [h.text for h in rig.heard] == ["שלום"]
        await running


async def test_a_google_that_does_not_end_a_half_closed_stream_is_not_waited_for_for_ever() -> None:
    async def never(stream: ServedStream) -> None:
        await stream.read_to_end()
        await asyncio.Event().wait()

    async with rigged(never, close_timeout=0.2) as rig:
        running = rig.run()
        rig.speak(BATCH)
        with capture_logs() as logs:
            await rig.session.close()
            await running

        assert [line["log_level"] for line in logs] == ["info", "warning", "info"]
        await rig.google.streams[0].ended.wait()


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
            while len(seen) < 5:
                await asyncio.sleep(0.005)
            await session.close()
            await running

        assert seen == ["10", "20", "30", "40", "50"]
        assert [line["log_level"] for line in logs].count("error") == 5


# -- the end -----------------------------------------------------------------------------------------------------


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


def one_after_another(*scripts: StreamScript) -> StreamScript:
    """The first stream does the first, the second the second, all others the last."""
    served = 0

    async def play(stream: ServedStream) -> None:
        nonlocal served
        served += 1
        await scripts[min(served, len(scripts)) - 1](stream)

    return play


def says(text: str, end_ms: int, *, after: int, then: StreamScript = until_the_end) -> StreamScript:
    """Hear so many samples, send this final, go on."""

    async def play(stream: ServedStream) -> None:
        await stream.read_samples(after)
        await stream.say(result(text, end_ms, final=True))
        await then(stream)

    return play


def ends(code: grpc.StatusCode, text: str = "no", *, after: int = 0) -> StreamScript:
    async def play(stream: ServedStream) -> None:
        await stream.read_samples(after)
        await stream.abort(code, text)

    return play


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


async def test_a_stream_that_answers_makes_up_for_those_that_failed() -> None:
    dies = says("כן", 100, after=BATCH, then=ends(CODE.UNAVAILABLE))
    async with rigged(dies) as rig:
        running = rig.run()
        while len(rig.google.streams) < 8 and not running.done():
            rig.speak(BATCH)
            await asyncio.sleep(0.01)
        assert not running.done(), "eight streams died, more than a session bears in a row, but each had answered"
        assert len(rig.owner.failures) >= 7 > rig.speech.attempts
        rig.google.stream = until_the_end
        await rig.session.close()
        with suppress(SpeechError):  # the last one may die on the way out
            await running


async def test_closing_ends_the_wait_for_another_stream() -> None:
    async with rigged(ends(CODE.UNAVAILABLE)) as rig:
        object.__setattr__(rig.speech, "first_retry", 60.0)
        running = rig.run()
        await until(lambda: rig.owner.failures)
        await rig.session.close()
        with pytest.raises(SpeechError):
            await running


async def test_more_than_the_limit_is_not_sent_again_and_is_told_as_lost() -> None:
    first = ends(CODE.UNAVAILABLE, after=20 * BATCH)
    async with rigged(one_after_another(first, until_the_end)) as rig:
        object.__setattr__(rig.speech, "replay_limit", 5 * BATCH)
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
        rig.speech.config.model = "command_and_search"
        with capture_logs() as logs:
            other = rig.again()
            running = [rig.run(), other.run()]
            said = rig.speak(BATCH)
            await until(lambda: any(mulaw.decode_to_bytes(said) == stream.linear16 for stream in rig.google.streams))
            await asyncio.gather(rig.session.close(), other.session.close(), *running)

        assert [line["log_level"] for line in logs].count("error") == 1
        assert rig.speech.config.model == "default"


async def test_nobody_listening_at_googles_address_is_an_unavailable_stream() -> None:
    async with rigged() as rig:
        rig.channels._endpoint = "127.0.0.1:9"
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


# -- one stream after another, by plan ---------------------------------------------------------------------------


async def talk_on(rig: Rig, until_opened: int, *, pause: float = 0.02) -> bytes:
    """Frames of 20 ms in real time, until that many streams were opened and for a while after."""
    said = b""
    more = 10
    while more:
        said += rig.speak(160)
        await asyncio.sleep(pause)
        more -= len(rig.google.streams) >= until_opened
    return said


def covered(rig: Rig, said: bytes) -> bool:
    """Whether the streams together heard all of it: each goes on before the last one ended, or exactly there."""
    audio = mulaw.decode_to_bytes(said)
    reached = 0
    for stream in rig.google.streams:
        at = audio.find(stream.linear16)
        if at < 0 or at > reached:
            return False
        reached = max(reached, at + len(stream.linear16))
    return reached == len(audio) // (2 * BATCH) * 2 * BATCH


async def test_a_silent_caller_is_handed_over_when_the_time_has_come() -> None:
    """No response ever comes: a clock decides. The next stream is open before the old one is half-closed."""
    half_closed_with: list[int] = []

    async def hear(stream: ServedStream) -> None:
        await stream.read_to_end()
        half_closed_with.append(rig.channels.streams)  # as the client counts: the server may be late to notice

    async with rigged(hear, rotate=(0.5, 100)) as rig:
        running = rig.run()
        said = await talk_on(rig, 3)
        await rig.session.close()
        await running

        assert min(half_closed_with[:2]) >= 2
        assert covered(rig, said)
        assert {cut.why for cut in rig.owner.cuts} == {Why.SILENCE}
        assert rig.owner.holes == []


async def test_a_caller_who_speaks_is_handed_over_behind_a_final() -> None:
    script = one_after_another(says("אחת", 1000, after=9600), until_the_end)
    async with rigged(script, rotate=(0.5, 100)) as rig:
        running = rig.run()
        rig.session.set_silent(quiet=False)
        said = await talk_on(rig, 2)
        await rig.session.close()
        await running

        cut = rig.owner.cuts[0]
        assert (cut.why, cut.limit) == (Why.FINAL, SECOND)
        assert covered(rig, said)


@pytest.mark.parametrize("text", ["", "אחת"])
async def test_a_final_whose_end_is_a_guess_is_no_place_to_hand_over_in_mid_speech(text: str) -> None:
    """It seems to end at the newest audio sent, wherever the caller stands."""
    script = one_after_another(says(text, 0, after=4800), until_the_end)
    async with rigged(script, rotate=(0.2, 1.2)) as rig:
        running = rig.run()
        rig.session.set_silent(quiet=False)
        said = await talk_on(rig, 2)
        await rig.session.close()
        await running

        assert [heard.text for heard in rig.heard] == [text]
        assert rig.owner.cuts[0].why is Why.FORCED
        assert covered(rig, said)


async def test_a_caller_who_never_pauses_is_handed_over_at_the_last_moment() -> None:
    async with rigged(rotate=(0.2, 0.8)) as rig:
        running = rig.run()
        rig.session.set_silent(quiet=False)
        said = await talk_on(rig, 2)
        await rig.session.close()
        await running

        (cut, *_) = rig.owner.cuts
        assert cut.why is Why.FORCED
        assert covered(rig, said)


async def test_the_last_final_of_the_old_stream_comes_before_the_first_of_the_new_one() -> None:
    async def old(stream: ServedStream) -> None:
        await stream.read_to_end()
        await rig.google.opened(2)
        await asyncio.sleep(0.3)
        await stream.say(result("ישן", 300, final=True))

    async def new(stream: ServedStream) -> None:
        await stream.read()
        await stream.say(result("חדש", 5000, final=True))
        await stream.read_to_end()

    async with rigged(one_after_another(old, new), rotate=(1.0, 100)) as rig:
        running = rig.run()
        await talk_on(rig, 2)
        await until(lambda: len(rig.heard) == 2)
        await rig.session.close()
        await running

        assert [heard.text for heard in rig.heard] == ["ישן", "חדש"]


async def test_what_an_old_stream_that_is_not_read_to_its_end_owes_is_told_as_lost() -> None:
    async def never(stream: ServedStream) -> None:
        await stream.read_to_end()
        await asyncio.Event().wait()

    async with rigged(one_after_another(never, until_the_end), rotate=(1.0, 100), close_timeout=0.2) as rig:
        running = rig.run()
        await talk_on(rig, 2)
        await until(lambda: rig.owner.holes)
        await rig.session.close()
        await running

        assert rig.owner.holes == [(0, rig.owner.cuts[0].limit)]


async def test_while_the_next_stream_cannot_be_opened_the_old_one_goes_on() -> None:
    script = one_after_another(until_the_end, ends(CODE.UNAVAILABLE), until_the_end)
    async with rigged(script, rotate=(0.3, 100)) as rig:
        running = rig.run()
        with capture_logs() as logs:
            said = await talk_on(rig, 3)
        await rig.session.close()
        await running

        assert rig.google.streams[1].messages == []
        first, _, third = rig.google.streams[:3]
        assert mulaw.decode_to_bytes(said).find(third.linear16) <= len(first.linear16)
        assert [line["log_level"] for line in logs].count("warning") == 1
        assert rig.owner.failures == ["unavailable"]


async def test_where_every_stream_is_taken_the_old_one_makes_room_for_the_new_one() -> None:
    most = 0

    async def hear(stream: ServedStream) -> None:
        nonlocal most
        most = max(most, rig.channels.streams)
        await stream.read_to_end()

    async with rigged(hear, rotate=(0.5, 100)) as rig:
        rig.channels._limit = 1
        running = rig.run()
        said = await talk_on(rig, 3)
        await rig.session.close()
        await running

        assert most == 1
        assert covered(rig, said)
        assert len(rig.owner.cuts) >= 2


async def test_a_stream_that_answers_nothing_while_the_caller_speaks_is_replaced_once() -> None:
    async with rigged(stall=0.3) as rig:
        rig.owner.waits_from = 0
        running = rig.run()
        rig.session.set_silent(quiet=False)
        await talk_on(rig, 2)
        while not running.done():
            rig.speak(160)
            await asyncio.sleep(0.02)
        with pytest.raises(SpeechError) as raised:
            await running

        assert raised.value.reason == "stalled"
        assert len(rig.google.streams) == 2
        assert rig.google.streams[1].linear16[:1000] == rig.google.streams[0].linear16[:1000]


async def test_a_stream_is_not_blamed_for_a_silent_caller() -> None:
    async with rigged(stall=0.1) as rig:
        running = rig.run()
        for _ in range(30):
            rig.speak(160)
            await asyncio.sleep(0.02)
        await rig.session.close()
        await running

        assert len(rig.google.streams) == 1


# -- opening, closing, cancelling --------------------------------------------------------------------------------


async def test_an_open_that_hangs_is_given_up_for_good_and_tried_on_another_connection() -> None:
    """An HTTP/2 connection at its stream limit says nothing at all."""
    async with rigged(options=ONE_STREAM) as rig:
        first = rig.run()
        await rig.google.opened(1)
        late = rig.again()
        object.__setattr__(rig.speech, "open_timeout", 0.3)
        running = late.run()
        said = late.speak(BATCH)
        await rig.google.opened(2)
        object.__setattr__(rig.speech, "open_timeout", 20)
        await rig.session.close()  # there is room on the first connection now: what was given up must not take it
        await first
        await late.session.close()
        await running

        assert late.owner.failures[0] == "deadline"
        assert rig.channels.connections == 2
        heard = [stream for stream in rig.google.streams if stream.config is not None]
        assert len(heard) == 2
        assert heard[1].linear16 == mulaw.decode_to_bytes(said)


async def test_closing_while_the_stream_is_opening_sends_everything_and_ends() -> None:
    async with rigged() as rig:
        said = rig.speak(BATCH)
        running = rig.run()
        closing = asyncio.create_task(rig.session.close())
        await closing
        await running

        assert rig.google.streams[0].linear16 == mulaw.decode_to_bytes(said)
        assert rig.google.streams[0].half_closed


async def test_closing_while_an_open_hangs_ends_with_it() -> None:
    async with rigged(options=ONE_STREAM) as rig:
        first = rig.run()
        await rig.google.opened(1)
        object.__setattr__(rig.speech, "open_timeout", 0.3)
        late = rig.again()
        running = late.run()
        await asyncio.sleep(0)
        await late.session.close()
        with pytest.raises(SpeechError):
            await running
        await rig.session.close()
        await first


async def test_cancelling_leaves_no_task_and_no_stream() -> None:
    async with rigged() as rig:
        running = rig.run()
        rig.speak(BATCH)
        await rig.google.opened(1)
        while not rig.google.streams[0].messages:
            await asyncio.sleep(0.005)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not {"stt.send", "stt.read", "session"} & names
        await rig.google.streams[0].ended.wait()
        await rig.session.close()  # has nothing to wait for
