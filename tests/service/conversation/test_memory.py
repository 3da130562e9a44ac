"""What a conversation keeps of its replies: no sound of those that are over, also before the garbage is collected."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from batkol.answering.answerer import ToolCall
from batkol.conversation import events
from batkol.conversation.agent import AgentSettings
from batkol.conversation.playing import Playing
from batkol.conversation.reply import Reply
from batkol.conversation.tools.running import AttemptTools
from batkol.conversation.track import Track
from batkol.conversation.voiced import Voiced
from support.agent.scripted import ScriptedAnswerer, SlowVoice
from support.agent.talk import Talk, talking

pytestmark = pytest.mark.virtual_time

KINDS = (Voiced, Reply, Track, Playing, AttemptTools)
ANSWER = "שלום אני רוצה לקבוע פגישה מחר תודה"


def answering(**about: float) -> ScriptedAnswerer:
    return ScriptedAnswerer(lambda _: ANSWER, **about)  # type: ignore[arg-type]


def kept() -> Counter[str]:
    """The parts of replies in this process."""
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in KINDS)


@asynccontextmanager
async def uncollected() -> AsyncIterator[None]:
    """Hold that what is done leaves no part of a reply behind, with the collector switched off."""
    gc.collect()
    before = kept()
    gc.disable()
    try:
        yield
        await asyncio.sleep(1)
        assert kept() - before == Counter()
    finally:
        gc.enable()


async def asked(talk: Talk, wait_s: float = 10.0) -> None:
    await talk.say("מה מספר טלפון")
    talk.final("מה מספר טלפון")
    await asyncio.sleep(wait_s)


async def test_replies_that_were_heard_are_gone() -> None:
    async with talking(answering()) as talk, uncollected():
        for _ in range(3):
            await asked(talk)

        assert len(talk.of(events.ReplySettled)) == 3


async def test_a_reply_that_was_interrupted_is_gone_when_the_next_one_is() -> None:
    async with talking(answering()) as talk, uncollected():
        await asked(talk, 2.0)
        await asked(talk)

        assert [ended.interrupted for ended in talk.of(events.ReplySettled)] == [True, False]


async def test_a_reply_that_went_on_after_noise_is_gone() -> None:
    async with talking(answering()) as talk, uncollected():
        await asked(talk, 2.0)
        talk.begin()
        await asyncio.sleep(0.45)
        talk.lasts()
        await asyncio.sleep(8)

        assert len(talk.of(events.ReplyContinued)) == len(talk.of(events.ReplySettled)) == 1


async def test_attempts_that_were_thrown_away_are_gone() -> None:
    async with talking(answering()) as talk, uncollected():
        talk.begin()
        for words in ("מה", "מה מספר", "מה מספר טלפון"):
            talk.reaches(words)
            await asyncio.sleep(0.3)
            talk.goes_on()
        talk.stop()
        talk.final("מה מספר טלפון")
        await asyncio.sleep(10)

        assert talk.of(events.AttemptDropped)


@pytest.mark.parametrize(("fails", "breaks_at"), [(3, ()), (0, (1,))])
async def test_attempts_that_failed_are_gone(fails: int, breaks_at: tuple[int, ...]) -> None:
    async with talking(answering(fails=fails), voice=SlowVoice(fails_at=breaks_at)) as talk, uncollected():
        await asked(talk)

        assert talk.of(events.AttemptFailed)


async def test_replies_that_call_tools_are_gone() -> None:
    lead = ToolCall("c1", "save_lead", '{"name": "דנה"}')
    answerer = ScriptedAnswerer(lambda question: "מחר שלום" if question.results else ("שלום", lead))
    async with talking(answerer, settings=AgentSettings(lead_fields={"name": "The name"})) as talk, uncollected():
        await asked(talk)
        await asked(talk)

        assert len(talk.of(events.ToolEnded)) == len(talk.of(events.ReplySettled)) == 2


async def test_announcements_are_gone() -> None:
    async with talking(answering()) as talk, uncollected():
        talk.api.say("שלום אני רוצה")
        talk.api.play(bytes(8000), "מחר")
        await asyncio.sleep(8)
        talk.api.say("שלום אני רוצה")
        await asyncio.sleep(0.1)
        talk.conversation.clear()
        await asyncio.sleep(3)

        assert len(talk.of(events.ReplySettled)) + len(talk.of(events.AnnouncementUnsaid)) == 3
