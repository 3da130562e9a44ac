"""One stream over a connection that does what the test says, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import structlog

from batkol.audio.ring import Ring
from batkol.recognizers.streaming.connection import ConnectionEnded, GoingAway
from batkol.recognizers.streaming.errors import NOT_ENDED, Next, SpeechError
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.stream import Stream
from batkol.speech.results import Portion, Word
from batkol.speech.timeline import Timeline
from batkol.voices.marked.voice import say
from support.speech.memory_vendor import TIMED, MemoryVendor, broken
from support.speech.observer import Observed

pytestmark = pytest.mark.virtual_time

AUDIO = bytes(range(256)) * 100
WORD = Portion(text="שלום", end=800, final=True)


@dataclass
class Line:
    """A connection: `answers` are read in order, an exception among them is raised, and then nothing comes."""

    answers: list[Sequence[Portion] | GoingAway | Exception | None] = field(default_factory=list)
    fails_to_write: Exception | None = None
    fails_to_open: Exception | None = None
    written: bytes = b""
    said: list[str] = field(default_factory=list)

    async def write(self, audio: bytes) -> None:
        if self.fails_to_write is not None:
            raise self.fails_to_write
        self.written += audio
        self.said.append("audio")

    async def flush(self) -> None:
        self.said.append("flush")

    async def half_close(self) -> None:
        self.said.append("half-close")

    async def read(self) -> Sequence[Portion] | GoingAway | None:
        await asyncio.sleep(1)
        if not self.answers:
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def suspect(self) -> None:
        self.said.append("suspect")


class Vendor(MemoryVendor):
    """A vendor with that one connection."""

    line: Line

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Line]:  # type: ignore[override]
        if self.line.fails_to_open is not None:
            raise self.line.fails_to_open
        yield self.line
        self.line.said.append("closed")


@dataclass
class Listener:
    heard: list[Sequence[Portion]] = field(default_factory=list)
    going: list[float] = field(default_factory=list)
    over: int = 0

    def on_portions(self, stream: Stream, portions: Sequence[Portion]) -> None:
        self.heard.append(portions)

    def on_going_away(self, stream: Stream, within: float) -> None:
        self.going.append(within)

    def on_over(self, stream: Stream) -> None:
        self.over += 1


def made(line: Line, *, flushing: bool = True) -> tuple[Stream, Listener]:
    traits = replace(TIMED, can_flush=flushing)
    vendor = Vendor("vendor/model", say(["כן"]), Observed(), traits=traits)
    vendor.line = line
    ring = Ring(capacity=len(AUDIO))
    ring.append(AUDIO)
    listener = Listener()
    stream = Stream(
        Timeline().follow(0),
        recognizer=vendor,
        options=StreamingOptions(on_written=lambda *_: None),
        ring=ring,
        listener=listener,
        log=structlog.get_logger(),
    )
    return stream, listener


async def test_a_stream_sends_all_that_was_offered_half_closes_and_reads_to_the_end() -> None:
    line = Line([(), [WORD], None])
    stream, listener = made(line)
    stream.offer(len(AUDIO))
    stream.finish()
    await stream.run()

    assert line.written == AUDIO
    assert line.said[-2:] == ["half-close", "closed"]
    assert listener.heard == [[], [WORD]]
    assert (stream.error, listener.over, stream.answered) == (None, 1, True)


@pytest.mark.parametrize(("able", "said"), [(True, ["audio", "audio", "flush", "audio"]), (False, ["audio"] * 3)])
async def test_finals_are_asked_for_behind_the_audio_that_was_offered_where_that_can_be_done(
    able: bool, said: list[str]
) -> None:
    line = Line()
    stream, _ = made(line, flushing=able)
    running = asyncio.create_task(stream.run())
    stream.offer(TIMED.longest_message + 1)
    stream.flush()
    await asyncio.sleep(0.1)
    stream.offer(TIMED.longest_message + 2)
    await asyncio.sleep(0.1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert line.said == said


async def test_a_write_that_fails_because_the_vendor_ended_the_stream_leaves_the_reason_to_the_reader() -> None:
    line = Line([broken("quota", Next.COOL_OFF)], fails_to_write=ConnectionEnded())
    stream, _ = made(line)
    stream.offer(800)
    await stream.run()

    assert stream.error is not None
    assert (stream.error.reason, stream.error.next) == ("quota", Next.COOL_OFF)


@pytest.mark.parametrize("where", ["read", "write", "open"])
async def test_an_exception_that_is_no_word_of_the_vendors_ends_the_stream_and_is_replayed(where: str) -> None:
    defect = KeyError("tokens")
    faulty = {"read": Line([defect]), "write": Line(fails_to_write=defect), "open": Line(fails_to_open=defect)}
    line = faulty[where]
    stream, listener = made(line)
    stream.offer(800)
    await stream.run()

    assert stream.error is not None
    assert (stream.error.reason, stream.error.next, listener.over) == ("client", Next.REPLAY, 1)
    assert str(stream.error) == "KeyError in the recognizer's client"


async def test_no_vendor_has_heard_more_than_was_sent() -> None:
    words = (Word("כן", -8, 400), Word("לא", 10**30, 600), Word("תודה", 700, 10**12))
    line = Line([[Portion(text="כן לא תודה", end=10**12, final=True, words=words), WORD], None])
    stream, listener = made(line)
    stream.offer(1600)
    stream.finish()
    await stream.run()

    right = (Word("כן", 0, 400), Word("לא", 600, 600), Word("תודה", 600, 600))
    assert listener.heard == [[Portion(text="כן לא תודה", end=600, final=True, words=right, dated=False), WORD]]


async def test_an_end_that_was_not_asked_for_is_a_fault_and_one_that_does_not_come_is_one() -> None:
    stream, _ = made(Line([None]))
    await stream.run()
    assert stream.error is not None
    assert (stream.error.reason, str(stream.error)) == ("ended", "Vendor ended the stream")

    stream, _ = made(Line())
    stream.finish()
    await stream.run()
    assert stream.error is not None
    assert stream.error.reason == NOT_ENDED


async def test_an_end_that_is_announced_is_no_answer() -> None:
    stream, listener = made(Line([GoingAway(30.0), None]))
    stream.finish()
    await stream.run()

    assert (listener.going, listener.heard, stream.answered) == ([30.0], [], False)


async def test_a_stream_that_is_given_up_ends_at_once_and_its_connection_is_suspected() -> None:
    line = Line()
    stream, listener = made(line)
    running = asyncio.create_task(stream.run())
    await stream.opened.wait()
    stream.fail(SpeechError("enough", reason="stalled", next_step=Next.REPLAY))
    await running

    assert stream.error is not None
    assert (stream.error.reason, listener.over, "suspect" in line.said) == ("stalled", 1, True)
