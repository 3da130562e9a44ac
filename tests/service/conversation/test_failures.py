"""Failures of a real conversation as its observers get them: what came before, and one end for each attempt."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from batkol.conversation import events
from support.agent.scripted import ScriptedAnswerer, SlowVoice
from support.agent.talk import talking

pytestmark = pytest.mark.virtual_time


async def told(answerer: ScriptedAnswerer, voice_fails_at: Sequence[int] = ()) -> list[events.ConversationEvent]:
    """Have a caller ask a question, pause, and hang up in the middle of another one; return the events.

    The voice fails at those pieces of an answer; it has spoken the phrases by then.
    """
    voice = SlowVoice()
    async with talking(answerer, voice=voice) as talk:
        voice._fails_at = voice_fails_at
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(6)
        talk.begin()
        await asyncio.sleep(0.5)
        talk.reaches("כמה")
        await asyncio.sleep(0.1)
    return talk.seen


def failures(seen: Sequence[events.ConversationEvent]) -> list[events.AttemptFailed]:
    return [event for event in seen if isinstance(event, events.AttemptFailed)]


def ends(seen: Sequence[events.ConversationEvent]) -> Counter[int]:
    """Count the ends of each attempt that began, by its number."""
    began = {event.attempt for event in seen if isinstance(event, events.AttemptBegan)}
    found = Counter[int](dict.fromkeys(began, 0))
    for event in seen:
        over = isinstance(event, events.AttemptDropped | events.FirstSoundWritten) or (
            isinstance(event, events.AttemptFailed) and not event.has_sound
        )
        if over and event.attempt in began:  # type: ignore[union-attr]  # each of the three has one
            found[event.attempt] += 1  # type: ignore[union-attr]
    return found


def answerer(text: str = "שלום תודה. מחר בבוקר. היום", *, fails: int = 0) -> ScriptedAnswerer:
    return ScriptedAnswerer(lambda _: text, fails=fails)


async def test_an_answerer_that_gives_no_text_has_no_first_piece() -> None:
    failed = failures(await told(answerer(fails=1)))[0]

    assert (failed.part, failed.has_sound, failed.first_piece) == ("answerer", False, None)


async def test_a_voice_that_gives_no_sound_had_a_piece_at_a_known_time() -> None:
    failed = failures(await told(answerer(), [0]))[0]

    assert (failed.part, failed.has_sound) == ("voice", False)
    assert failed.first_piece is not None
    assert 0.35 <= failed.first_piece < 0.5, "the answerer's first text takes 350 ms"


async def test_a_voice_that_breaks_off_has_sound_that_is_heard() -> None:
    seen = await told(answerer(), [1])
    failed = failures(seen)[0]

    assert (failed.part, failed.has_sound) == ("voice", True)
    assert failed.attempt in {event.attempt for event in seen if isinstance(event, events.FirstSoundWritten)}


@pytest.mark.parametrize(
    ("answers", "voice_fails_at"),
    [
        (answerer(), []),
        (answerer(fails=1), []),
        (answerer(fails=9), []),
        (answerer(""), []),
        (answerer(), [0]),
        (answerer(), [1]),
    ],
    ids=["well", "one failure", "only failures", "empty answers", "no sound", "broken off"],
)
async def test_each_attempt_that_began_ends_once(answers: ScriptedAnswerer, voice_fails_at: Sequence[int]) -> None:
    found = ends(await told(answers, voice_fails_at))

    assert found
    assert set(found.values()) == {1}
