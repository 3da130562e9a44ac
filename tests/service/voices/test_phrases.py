"""The phrase cache: synthesized once, there without waiting, tried again after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest

from batkol.backoff import Backoff
from batkol.voices.builtin import BuiltinVoice
from batkol.voices.phrases import LONGEST, MOST, PhraseCache
from batkol.voices.voice import VoiceError, VoiceSound
from support.voices.pieces import Pieces, words_of

pytestmark = pytest.mark.virtual_time

RETRIES = Backoff(first_s=1.0, longest_s=60.0, uniform=lambda: 0.0)


class CountingVoice:
    """The built-in voice after `delay_s`; it counts what it is asked, and fails as often as it is told to."""

    name = "counting"

    def __init__(self, *, failures: int = 0, delay_s: float = 0.1) -> None:
        self.asked: list[tuple[float, str]] = []
        self.closed = 0
        self._failures = failures
        self._delay_s = delay_s

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        async for text in pieces:
            self.asked.append((asyncio.get_running_loop().time(), text))
            try:
                await asyncio.sleep(self._delay_s)
            finally:
                self.closed += 1
            if self._failures:
                self._failures -= 1
                raise VoiceError("no sound", reason="unavailable", retryable=True)
            async with aclosing(BuiltinVoice().speak(Pieces(text))) as sounds:
                async for sound in sounds:
                    yield sound

    async def aclose(self) -> None: ...


def cache_of(voice: CountingVoice, *, within_s: float = 5.0) -> PhraseCache:
    return PhraseCache(voice, "he-IL", retries=RETRIES, within_s=within_s)


async def test_a_phrase_is_synthesized_once_and_is_then_there_at_once() -> None:
    voice = CountingVoice()
    cache = cache_of(voice)

    assert cache.get("שלום תודה") is None
    phrase = await cache.ensure("שלום תודה")

    assert words_of(phrase.mulaw) == ["שלום", "תודה"]
    assert phrase.word_ends[-1] == len(phrase.mulaw)
    assert cache.get("שלום תודה") is phrase
    assert await cache.ensure("שלום תודה") is phrase
    assert len(voice.asked) == 1


async def test_all_who_ask_at_once_get_one_synthesis() -> None:
    voice = CountingVoice()
    cache = cache_of(voice)

    first, second = await asyncio.gather(cache.ensure("כן"), cache.ensure("כן"))

    assert first is second
    assert len(voice.asked) == 1


async def test_a_failure_is_raised_for_all_who_asked() -> None:
    cache = cache_of(CountingVoice(failures=1))

    both = await asyncio.gather(cache.ensure("כן"), cache.ensure("כן"), return_exceptions=True)

    assert [type(each) for each in both] == [VoiceError, VoiceError]
    assert words_of((await cache.ensure("כן")).mulaw) == ["כן"]


async def test_cancelling_the_one_who_asked_first_loses_nothing_for_the_other() -> None:
    voice = CountingVoice()
    cache = cache_of(voice)
    first = asyncio.create_task(cache.ensure("כן"))
    second = asyncio.create_task(cache.ensure("כן"))
    await asyncio.sleep(0.05)

    first.cancel()

    assert words_of((await second).mulaw) == ["כן"]
    assert first.cancelled()
    assert voice.closed == 2, "the synthesis of the first one was closed"


async def test_the_background_makes_what_is_wanted_and_what_was_asked_for_in_vain() -> None:
    voice = CountingVoice()
    cache = cache_of(voice)
    cache.want("כן", "לא", "כן")
    running = asyncio.create_task(cache.run())

    await asyncio.sleep(1)
    assert cache.get("כן")
    assert cache.get("לא")
    assert cache.get("מחר") is None
    await asyncio.sleep(1)
    assert cache.get("מחר")

    assert [text for _, text in voice.asked] == ["כן", "לא", "מחר"]
    running.cancel()


async def test_what_failed_is_tried_again_less_and_less_often_whoever_asks() -> None:
    voice = CountingVoice(failures=3, delay_s=0)
    cache = cache_of(voice)
    begin = asyncio.get_running_loop().time()
    cache.want("כן")
    running = asyncio.create_task(cache.run())

    for _ in range(100):
        cache.get("כן")
        await asyncio.sleep(0.1)

    assert [round(at - begin) for at, _ in voice.asked] == [0, 1, 3, 7]
    assert cache.get("כן")
    running.cancel()


async def test_a_voice_that_hangs_fails_after_the_patience() -> None:
    voice = CountingVoice(delay_s=1000)

    with pytest.raises(VoiceError) as raised:
        await cache_of(voice, within_s=2).ensure("כן")

    assert raised.value.reason == "deadline"
    assert voice.closed == 1


async def test_keeps_no_more_than_its_bound_and_drops_what_is_used_least() -> None:
    cache = cache_of(CountingVoice(delay_s=0))
    await cache.ensure("כן")
    for number in range(MOST):
        await cache.ensure(f"לא {number}")
        cache.get("כן")

    assert cache.get("כן")
    assert cache.get("לא 0") is None
    assert cache.get(f"לא {MOST - 1}")


async def test_a_phrase_that_is_too_long_or_without_sound_is_not_kept() -> None:
    cache = cache_of(CountingVoice(delay_s=0))

    with pytest.raises(VoiceError, match="longer than"):
        await cache.ensure("אוניברסיטה " * (LONGEST // 4000))
    with pytest.raises(VoiceError, match="no sound"):
        await cache.ensure("—")


async def test_a_phrase_that_is_forgotten_is_asked_for_no_more() -> None:
    voice = CountingVoice(failures=1)
    cache = cache_of(voice)
    cache.want("שלום תודה", "תודה")
    task = asyncio.create_task(cache.run())
    await asyncio.sleep(0.05)
    cache.forget("שלום תודה", "never wanted")
    await asyncio.sleep(200)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [text for _, text in voice.asked] == ["שלום תודה", "תודה"]
    assert cache.get("תודה") is not None
