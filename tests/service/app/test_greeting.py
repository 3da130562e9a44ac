"""The start waits for the greeting's sound, and not for ever: the first callers should hear it, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import pytest

from batkol.app.agent import GREETING_S, begin_to_speak
from batkol.app.agent_settings import LiveAgentSettings
from batkol.app.speakers import Speaking
from batkol.conversation.actions import StockPhrase
from batkol.live.config import Live
from batkol.named_specs import DEFAULT
from batkol.settings import Settings
from batkol.supervision.tasks import Tasks
from support.agent.scripted import SlowVoice

pytestmark = pytest.mark.virtual_time


class Started(NamedTuple):
    """A voice whose phrases are spoken, and how long the start has waited for it."""

    speaking: Speaking
    waited_s: float

    @property
    def greeting(self) -> str | None:
        sound = self.speaking.phrase(StockPhrase.GREETING)
        return None if sound is None else sound.text


@asynccontextmanager
async def started(voice: SlowVoice, *, name: str = DEFAULT, greeting: str = "שלום") -> AsyncIterator[Started]:
    clock = asyncio.get_running_loop().time
    settings = Settings(greeting=greeting, twilio_validate_signatures=False)
    async with AsyncExitStack() as stack:
        before = clock()
        speaking = await begin_to_speak(name, voice, LiveAgentSettings(settings, Live()), stack, Tasks())
        yield Started(speaking, clock() - before)


async def test_a_voice_that_is_in_time_has_spoken_the_greeting_when_the_start_goes_on() -> None:
    async with started(SlowVoice(first_s=GREETING_S - 0.1)) as up:
        assert up.greeting == "שלום"
        assert up.waited_s == pytest.approx(GREETING_S - 0.1)


async def test_a_voice_that_is_slower_is_not_waited_for_and_the_greeting_comes_later() -> None:
    async with started(SlowVoice(first_s=GREETING_S + 0.1)) as up:
        assert up.greeting is None
        assert up.waited_s == pytest.approx(GREETING_S)
        await asyncio.sleep(GREETING_S + 0.2)
        assert up.greeting == "שלום"


async def test_a_voice_that_fails_is_not_waited_for_and_is_asked_again() -> None:
    fails_at = [0]
    async with started(SlowVoice(first_s=0.1, fails_at=fails_at)) as up:
        assert up.greeting is None
        assert up.waited_s == pytest.approx(0.1)
        fails_at.clear()
        await asyncio.sleep(120)
        assert up.greeting == "שלום"


@pytest.mark.parametrize(("name", "greeting"), [("another", "שלום"), (DEFAULT, "")])
async def test_another_voice_and_an_agent_without_a_greeting_wait_for_nothing(name: str, greeting: str) -> None:
    async with started(SlowVoice(), name=name, greeting=greeting) as up:
        assert up.waited_s == 0
