"""What a caller hears by when, whatever fails: one row a class of failure, at the ear, in virtual time.

A filler by 1.5 s after the caller's last sample, an answer, an apology or "please repeat" by 3.5 s; one reply a turn;
the next question is answered. `make faults ARGS=--replies` has the same on the real wires.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import pytest

from batkol.answering.answerer import AnswererError, Question
from batkol.audio.mulaw import silence
from batkol.conversation import events
from batkol.simulators.voice.recognizer import GARBLE
from batkol.speech.utterance import Source
from batkol.voices.voice import Voice, VoiceError, VoiceSound
from support.agent.scripted import SlowVoice
from support.agent.talk import Talk, talking

pytestmark = pytest.mark.virtual_time

QUESTION: Final = "מה מספר"
ANSWER: Final = "מחר בוקר. היום ערב."
WORDS: Final = ["מחר", "בוקר", "היום", "ערב"]
FILLER: Final = ["בבקשה"]
APOLOGY: Final = ["תודה", "שלום"]
REPEAT: Final = ["מה"]
MARGIN_S: Final = 0.14  # which the detector's end of speech is late on a real line; here it is exact

Answering = Callable[[Question], AsyncGenerator[str, None]]


class FailingAnswerer:
    """Fails as the row says until it is well; then it answers."""

    name = "failing"

    def __init__(self, fails: Answering | None) -> None:
        self._fails = fails
        self.well = fails is None
        self.open = 0

    async def answer(self, question: Question) -> AsyncGenerator[str, None]:
        """See `Answerer`."""
        self.open += 1
        try:
            if not self.well and self._fails is not None:
                async with aclosing(self._fails(question)) as parts:
                    async for part in parts:
                        yield part
                return
            await asyncio.sleep(0.35)
            yield ANSWER
        finally:
            self.open -= 1

    async def aclose(self) -> None:
        """See `Answerer`."""


class FailingVoice:
    """Fails after so much sound, as the row says, until it is well."""

    name = "failing"

    def __init__(self, fails: Callable[[], AsyncGenerator[VoiceSound, None]] | None = None, after: int = 0) -> None:
        self._fails = fails
        self._after = after
        self._voice: Voice = SlowVoice()
        self.well = True  # the phrases are spoken

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`."""
        left = self._after
        async with aclosing(self._voice.speak(pieces)) as sounds:
            async for sound in sounds:
                if self.well or self._fails is None:
                    yield sound
                    continue
                if (left := left - 1) >= 0:
                    yield sound
                    continue
                async with aclosing(self._fails()) as others:
                    async for other in others:
                        yield other
                return

    async def aclose(self) -> None:
        """See `Voice`."""


# What goes wrong


def refuses(reason: str) -> Answering:
    async def answer(_: Question) -> AsyncGenerator[str, None]:
        await asyncio.sleep(0.05)
        raise AnswererError("refused", reason=reason, retryable=True)
        yield ""

    return answer


async def stalls(_: Question) -> AsyncGenerator[str, None]:
    await asyncio.Event().wait()
    yield ""


async def stops_in_the_middle(_: Question) -> AsyncGenerator[str, None]:
    yield "מחר בוקר. "
    await asyncio.sleep(5.0)
    raise AnswererError("stalled", reason="stalled", retryable=True)


async def breaks_off(_: Question) -> AsyncGenerator[str, None]:
    yield "מחר בוקר. הי"
    raise AnswererError("cut", reason="cut", retryable=True)


async def is_empty(_: Question) -> AsyncGenerator[str, None]:
    await asyncio.sleep(0.2)
    return
    yield ""


async def has_no_word(_: Question) -> AsyncGenerator[str, None]:
    yield " \n … ... "


async def floods(_: Question) -> AsyncGenerator[str, None]:
    for _number in range(40_000):
        yield "מחר בוקר היום ערב. "
        await asyncio.sleep(0)


async def takes_40_s(_: Question) -> AsyncGenerator[str, None]:
    await asyncio.sleep(40.0)
    yield ANSWER


async def is_defective(_: Question) -> AsyncGenerator[str, None]:
    await asyncio.sleep(0.2)
    raise KeyError("a defect of the service")
    yield ""


async def refuses_to_speak() -> AsyncGenerator[VoiceSound, None]:
    raise VoiceError("refused", reason="quota", retryable=True)
    yield VoiceSound(b"", 0)


async def hangs() -> AsyncGenerator[VoiceSound, None]:
    await asyncio.Event().wait()
    yield VoiceSound(b"", 0)


async def ends() -> AsyncGenerator[VoiceSound, None]:
    return
    yield VoiceSound(b"", 0)


async def is_silent_for_ever() -> AsyncGenerator[VoiceSound, None]:
    while True:
        await asyncio.sleep(0.1)
        yield VoiceSound(silence(1600), 0)


async def is_silent() -> AsyncGenerator[VoiceSound, None]:
    yield VoiceSound(silence(8000), 0, last=True)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A failure, and the words that the ear has of the first turn."""

    name: str
    hears: list[str]
    answer: Answering | None = None
    speak: Callable[[], AsyncGenerator[VoiceSound, None]] | None = None
    after: int = 0  # pieces that the voice speaks well
    replies: int = 1
    within_s: float = 0.1  # after the last sample: the first sound of what is heard must have come by then


def answer(name: str, how: Answering, hears: list[str], within_s: float = 3.5, replies: int = 1) -> Row:
    return Row(name=name, answer=how, hears=hears, within_s=within_s, replies=replies)


ROWS: Final = (
    answer("the key is wrong", refuses("credentials"), APOLOGY),
    answer("the rate limit is reached", refuses("rate_limit"), APOLOGY),
    answer("the server has an error", refuses("server"), APOLOGY),
    answer("the content filter refuses", refuses("filtered"), APOLOGY),
    answer("nothing comes before the first word", stalls, [*FILLER, *APOLOGY], 1.5),
    answer("nothing comes in the middle", stops_in_the_middle, [*WORDS[:2], *FILLER, *APOLOGY], replies=2),
    answer("the connection breaks in the middle", breaks_off, WORDS[:2]),
    answer("the answer is empty", is_empty, APOLOGY),
    answer("the answer has no word", has_no_word, APOLOGY),
    answer("the service has a defect", is_defective, APOLOGY),
    answer("the answer takes 40 s", takes_40_s, [*FILLER, *APOLOGY], 1.5),
    Row(name="the voice refuses", speak=refuses_to_speak, hears=APOLOGY, within_s=3.5),
    Row(name="the voice hangs", speak=hangs, hears=[*FILLER, *APOLOGY], within_s=1.5),
    Row(name="the voice gives nothing", speak=ends, hears=APOLOGY, within_s=3.5),
    Row(name="the voice breaks in the middle", speak=refuses_to_speak, after=1, hears=WORDS[:2], within_s=1.5),
    Row(
        name="the voice hangs in the middle",
        speak=hangs,
        after=1,
        hears=[*WORDS[:2], *FILLER, *APOLOGY],
        within_s=1.5,
        replies=2,
    ),
    Row(
        name="the voice gives silence without an end", speak=is_silent_for_ever, hears=[*FILLER, *APOLOGY], within_s=3.5
    ),
    Row(name="the voice gives silence", speak=is_silent, hears=APOLOGY, within_s=3.5),
)


async def ask(talk: Talk, text: str = QUESTION, source: Source = Source.FINAL) -> float:
    """Ask a question; return the time of its last sample by the loop's clock."""
    await talk.say(text)
    last = asyncio.get_running_loop().time() - 0.58
    talk.final(text, source)
    return last


def first_sound_after(talk: Talk, at: float) -> float:
    return min(sound.begins_at for sound in talk.ear.ear.sounds if sound.begins_at > at)


def longest_silence(talk: Talk, since: float) -> float:
    """Return the longest time without a sound at the ear, from then to the last word."""
    words = [word for word in talk.ear.ear.words() if word.begins_at > since]
    ends = [since, *(word.ends_at for word in words)]
    return max(word.begins_at - end for end, word in zip(ends, words, strict=False))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_caller_hears_something_in_time_and_is_answered_next_time(row: Row) -> None:
    answerer, voice = FailingAnswerer(row.answer), FailingVoice(row.speak, row.after)
    async with talking(answerer, voice=voice) as talk:
        voice.well = False
        last = await ask(talk)
        await asyncio.sleep(9)
        assert talk.words == row.hears
        assert first_sound_after(talk, last) - last <= row.within_s
        assert len(talk.of(events.FirstSoundWritten)) == row.replies, "one reply to one turn, and one apology at most"
        assert len(talk.of(events.ReplySettled)) == row.replies
        assert longest_silence(talk, last) <= 2.0 - MARGIN_S, "between the filler and the apology, or before the filler"
        answerer.well = voice.well = True
        await ask(talk, "כמה טלפון")
        await asyncio.sleep(6)
        assert talk.words == [*row.hears, *WORDS]
        assert len(talk.of(events.FirstSoundWritten)) == row.replies + 1
        assert answerer.open == 0, "no request is left open"


async def test_a_flood_is_interrupted_and_its_request_ends() -> None:
    answerer = FailingAnswerer(floods)
    async with talking(answerer) as talk:
        await ask(talk)
        await asyncio.sleep(6)
        assert len(talk.of(events.FirstSoundWritten)) == 1
        answerer.well = True
        before = len(talk.words)
        talk.begin()
        talk.interim("רגע רגע")
        await asyncio.sleep(1.0)
        talk.reaches("רגע כמה טלפון")
        await asyncio.sleep(0.33)
        talk.stop()
        talk.final("רגע כמה טלפון")
        await asyncio.sleep(5)

        assert len(talk.of(events.ReplyCut)) == 1
        assert [word for word in talk.words[before:] if word != GARBLE][-4:] == WORDS
        assert answerer.open == 0


async def test_words_that_no_recognizer_could_hear_are_asked_for_again() -> None:
    async with talking(FailingAnswerer(None)) as talk:
        talk.begin()
        await asyncio.sleep(1.5)
        talk.stop()
        last = asyncio.get_running_loop().time() - 0.58
        await asyncio.sleep(0.7)
        talk.final("", Source.NONE, unheard=True)
        await asyncio.sleep(2)

        assert talk.words == REPEAT
        assert first_sound_after(talk, last) - last <= 3.5
        await ask(talk)
        await asyncio.sleep(5)
        assert talk.words == [*REPEAT, *WORDS]


async def test_a_sound_in_which_a_single_request_found_no_word_is_no_turn() -> None:
    """A cough, a hum: the stream has not said so, but another recognizer has."""
    async with talking(FailingAnswerer(None)) as talk:
        talk.begin()
        await asyncio.sleep(0.3)
        talk.stop()
        await asyncio.sleep(0.7)
        talk.final("", Source.NONE)
        await asyncio.sleep(5)

        assert talk.words == []


async def test_a_recognizer_that_never_answers_costs_a_filler_and_please_repeat() -> None:
    async with talking(FailingAnswerer(None)) as talk:
        talk.begin()
        await asyncio.sleep(1.5)
        talk.stop()
        last = asyncio.get_running_loop().time() - 0.58
        await asyncio.sleep(6)

        assert talk.words == [*FILLER, *REPEAT]
        heard = [word.begins_at - last for word in talk.ear.ear.words()]
        assert heard[0] <= 1.5 - MARGIN_S
        assert heard[1] <= 3.5 - MARGIN_S


async def test_without_a_budget_for_guesses_a_caller_is_answered_later_and_once() -> None:
    async with talking(FailingAnswerer(None), budget=0) as talk:
        last = await ask(talk)
        await asyncio.sleep(5)

        assert talk.words == WORDS
        assert first_sound_after(talk, last) - last <= 1.5


async def test_announcements_that_come_meanwhile_wait_for_the_apology_and_neither_is_lost() -> None:
    async with talking(FailingAnswerer(stalls)) as talk:
        last = await ask(talk)
        talk.api.say("כתובת")
        talk.api.say("חשבון")
        await asyncio.sleep(9)

        assert talk.words == [*FILLER, *APOLOGY, "כתובת", "חשבון"]
        assert first_sound_after(talk, last) - last <= 1.5 - MARGIN_S
        assert len(talk.of(events.FirstSoundWritten)) == 3
