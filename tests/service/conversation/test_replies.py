"""The attempts of one call on a real playout, to a peer that hears at once, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from batkol.answering.answerer import Question
from batkol.answering.echo import Echo
from batkol.calls.playout import Playout
from batkol.conversation import events, inputs
from batkol.conversation.actions import SayPhrase, StockPhrase, Unsaid
from batkol.conversation.history import History
from batkol.conversation.replies import Replies
from batkol.conversation.reply import Reply, Speaker
from batkol.speech.pieces import Cutter
from batkol.voices.builtin import BuiltinVoice
from batkol.voices.phrases import Phrase

pytestmark = pytest.mark.virtual_time

SECOND = bytes(range(1, 201)) * 40
STREAM = "MZ" + "0" * 32


@dataclass
class Attempts:
    """The attempts, and what was told of them."""

    stream_sid: str
    line: Playout
    call_sid: str = "CA" + "0" * 32
    seen: list[events.ConversationEvent] = field(default_factory=list)
    put: list[inputs.Input] = field(default_factory=list)
    fails: bool = False
    """Whether the observer raises."""
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self.replies = Replies(self, self.history, self.put.append, asyncio.get_running_loop().time)
        self.line.on_written = self._written

    def observe(self, event: events.ConversationEvent) -> None:
        self.seen.append(event)
        if self.fails:
            raise LookupError("a defect")

    def _written(self, _: int, end: int) -> None:
        if (voiced := self.replies.playout.first_before(end)) is not None:
            self.replies.start(voiced, 0.0)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]


@asynccontextmanager
async def attempts() -> AsyncIterator[Attempts]:
    """The line's marks are not echoed, so the ear is where the clock is."""

    async def send(_: str) -> None:
        pass

    line = Playout(STREAM)
    writing = asyncio.create_task(line.run(send))
    try:
        yield Attempts(STREAM, line)
    finally:
        writing.cancel()
        await asyncio.wait((writing,))


async def test_what_was_interrupted_before_its_first_sound_was_neither_cut_nor_resumed_for_anybody() -> None:
    async with attempts() as call:
        call.replies.play_phrase(SayPhrase(StockPhrase.GREETING, 1), Phrase("שלום", SECOND, ()))
        call.replies.interrupt(1)
        await asyncio.sleep(0.5)
        assert call.seen == []

        call.replies.resume(1, 2)
        await asyncio.sleep(2)
        assert [type(event) for event in call.seen] == [
            events.FirstSoundWritten,
            events.SentenceBegan,
            events.ReplySettled,
        ]
        assert call.put == [inputs.ReplyPlayed(2)]


async def test_a_reply_that_was_interrupted_where_a_sentence_ends_goes_on_with_that_sentence() -> None:
    async with attempts() as call:
        reply = Reply(Question(text="שלום. תודה."), Speaker(Echo(), BuiltinVoice(), Cutter))
        call.replies.add(1, reply)
        call.replies.release(1)
        await reply.run()
        first = reply.track.pieces[0].samples
        while call.line.position < first:
            await asyncio.sleep(1 / 8000)
        assert call.line.position == first

        call.replies.interrupt(1)
        assert [event.heard for event in call.of(events.ReplyCut)] == ["שלום."]
        call.replies.resume(1, 2)
        assert [event.index for event in call.of(events.ReplyContinued)] == [0]
        assert [event.reply_id for event in call.of(events.ReplyContinued)] == [f"{STREAM}-r1"]


async def test_an_observer_that_raises_leaves_no_attempt_under_way() -> None:
    async with attempts() as call:
        tasks = []
        for number in (1, 2, 3):
            voiced = call.replies.add(number, Reply(Question(text="שלום"), Speaker(Echo(), BuiltinVoice(), Cutter)))
            voiced.task = asyncio.create_task(asyncio.sleep(60))
            tasks.append(voiced.task)
        call.fails = True
        with pytest.raises(LookupError):
            call.replies.close(Unsaid.CLOSING)
        await asyncio.wait(tasks)

        assert [type(event) for event in call.seen] == [events.AttemptDropped] * 3
        assert all(task.cancelled() for task in tasks)
        call.replies.close(Unsaid.CLOSING)
        assert len(call.seen) == 3
