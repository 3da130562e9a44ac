"""Interruptions of replies at random moments, and how many words the history is off from what the ear heard."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Final, NamedTuple

import msgspec

from batkol.answering.answerer import Role
from batkol.conversation import events
from batkol.simulators.voice.recognizer import GARBLE
from batkol.voices.marked.voice import WORDS
from batkol.voices.voice import Voice, VoiceSound
from support.agent.scripted import ScriptedAnswerer, SlowVoice
from support.agent.talk import talking

QUESTION: Final = "כתובת חשבון רופא"
INTERRUPTIONS: Final = 5
"""Of one conversation."""


class Remembered(NamedTuple):
    """One reply that was interrupted: the history has these words, and the ear heard those."""

    told: list[str]
    heard: list[str]

    @property
    def off_by(self) -> int:
        """The words that one has and the other has not; all of them from the first on that differs."""
        same = 0
        while same < min(len(self.told), len(self.heard)) and self.told[same] == self.heard[same]:
            same += 1
        return max(len(self.told), len(self.heard)) - same


class VoiceWithoutTimes:
    """A voice that does not know where its words end, as most have it."""

    name = "without times"

    def __init__(self) -> None:
        self._voice = SlowVoice()

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`."""
        async with aclosing(self._voice.speak(pieces)) as sounds:
            async for sound in sounds:
                yield msgspec.structs.replace(sound, word_ends=())

    async def aclose(self) -> None:
        """See `Voice`."""


async def interrupted(seed: int, network: Mapping[str, Any], voice: Voice | None = None) -> list[Remembered]:
    """Hold one conversation in which the caller interrupts every reply but the last."""
    draw = random.Random(seed)
    answers = [" ".join(draw.sample(WORDS, 14)) for _ in range(INTERRUPTIONS + 1)]
    answerer = ScriptedAnswerer(lambda question: answers[question.turn - 1])
    until = []
    loop = asyncio.get_running_loop()
    async with talking(answerer, voice=voice, **network, seed=seed) as talk:
        await talk.say(QUESTION)
        for number in range(INTERRUPTIONS):
            talk.final(QUESTION)
            while len(talk.of(events.FirstSoundWritten)) <= number:
                await asyncio.sleep(0.02)
            await asyncio.sleep(draw.uniform(0.1, 5.0))
            talk.begin()
            await asyncio.sleep(0.45)
            talk.lasts()
            await asyncio.sleep(1.0)  # the `clear` is at the ear
            until.append(loop.time())
            talk.reaches(f"{QUESTION} {number}")
            await asyncio.sleep(0.33)
            talk.stop()
        words = [word for word in talk.ear.ear.words() if word.text != GARBLE]
    told = [message.text.split() for message in answerer.asked[-1].history if message.role is Role.AGENT]
    found = [event.heard.split() for event in talk.of(events.ReplyCut)]
    assert [each for each in found if each] == told[: len(found)]
    spans = zip([0.0, *until], until, strict=False)
    return [
        Remembered(heard, [word.text for word in words if begin < word.begins_at <= end])
        for heard, (begin, end) in zip(found, spans, strict=True)
    ]
