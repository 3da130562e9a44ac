"""A second voice behind the first: no word is heard twice, and at most the rest of one sentence is missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from itertools import count

import pytest

from batkol.conversation.track import Track
from batkol.simulators.voice.recognizer import GARBLE
from batkol.voices.behind import COOLING, NO_SOUND, BehindVoice
from batkol.voices.builtin import sound
from batkol.voices.google.sessions import NO_SESSION_FREE
from batkol.voices.voice import ConnectedVoice, Voice, VoiceError, VoiceSound
from support.voices.breaking import BreakingVoice
from support.voices.pieces import Pieces, spoken, words_of

pytestmark = pytest.mark.virtual_time

TEXTS = ("שלום תודה", "מה בבקשה", "מחר בוקר")
WORDS = [word for text in TEXTS for word in text.split()]


async def written(*texts: str, gap_s: float = 0.0) -> AsyncGenerator[str, None]:
    """The pieces of an answerer that writes them one by one; a piece that is being waited for must not get lost."""
    for text in texts:
        await asyncio.sleep(gap_s)
        yield text


async def heard_of(voice: Voice, texts: AsyncIterator[str]) -> tuple[list[VoiceSound], Track]:
    """What an ear gets, and the track of it."""
    track, sounds = Track(), []
    for text in TEXTS:
        track.add_piece(text)
    async with aclosing(voice.speak(texts)) as reply:
        async for each in reply:
            track.add_sound(each.mulaw, each.piece, last=each.last, word_ends=each.word_ends)
            sounds.append(each)
    return sounds, track


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("hangs", [False, True])
async def test_at_each_moment_of_a_failure_no_word_is_heard_twice_and_one_sentence_at_most_is_cut(
    *, hangs: bool, ahead: bool
) -> None:
    for at in count():
        first = BreakingVoice(at, hangs=hangs, ahead=ahead)
        second = BreakingVoice(name="second")
        voice = BehindVoice(first, second, within_s=0.5)
        texts = written(*TEXTS, gap_s=0.05)
        if hangs and _within_a_piece(at):
            continue  # it is for the voice itself to find: see the test of the others
        sounds, track = await heard_of(voice, texts)
        all_heard = words_of(b"".join(each.mulaw for each in sounds))
        ear = [word for word in all_heard if word != GARBLE]

        assert len(all_heard) - len(ear) <= 1, "half a word, where the sentence was cut"
        assert len(ear) == len(set(ear)), (at, ear)
        assert ear == [word for word in WORDS if word in ear], "in their order"
        missing = {number for number, text in enumerate(TEXTS) if not set(text.split()) <= set(ear)}
        assert len(missing) <= 1, (at, missing)
        assert {number for number, piece in enumerate(track.pieces) if not piece.whole} >= missing, "the hole is known"
        assert len(set(track.heard(track.samples).split()) - set(ear)) <= 1, "the history has what was heard"
        assert [each.piece for each in sounds] == sorted(each.piece for each in sounds)
        assert (first.under_way, second.under_way) == (0, 0)
        if second.asked == 0:
            assert at > sum(len(BreakingVoice()._chunks(text, 0)) for text in TEXTS) - 1
            return


def _within_a_piece(at: int) -> bool:
    begun = 0
    for text in TEXTS:
        chunks = len(BreakingVoice()._chunks(text, 0))
        if begun < at < begun + chunks:
            return True
        begun += chunks
    return False


async def test_a_piece_that_broke_off_is_not_begun_again() -> None:
    voice = BehindVoice(BreakingVoice(1), BreakingVoice(name="second"))

    sounds, track = await heard_of(voice, Pieces(*TEXTS))

    assert [(each.piece, each.last) for each in sounds if each.piece == 0] == [(0, False)]
    assert words_of(b"".join(each.mulaw for each in sounds if each.piece > 0)) == WORDS[2:]
    assert track.heard(track.samples).split()[-4:] == WORDS[2:]
    assert "תודה" not in track.heard(track.samples)


async def test_a_piece_of_which_nothing_was_given_is_spoken_by_the_second_from_its_beginning() -> None:
    of_first = len(BreakingVoice()._chunks(TEXTS[0], 0))
    switched: list[str] = []
    voice = BehindVoice(BreakingVoice(of_first), BreakingVoice(name="second"), on_switch=switched.append)

    sounds, _ = await heard_of(voice, Pieces(*TEXTS))

    assert words_of(b"".join(each.mulaw for each in sounds)) == WORDS
    assert switched == ["cut_off"]
    assert [(each.piece, each.voice) for each in sounds if each.last] == [(0, ""), (1, "second"), (2, "second")]


async def test_further_pieces_give_a_voice_no_more_time_for_the_first() -> None:
    first, second = BreakingVoice(0, hangs=True, ahead=True), BreakingVoice(name="second")
    voice = BehindVoice(first, second, within_s=2.0)
    clock = asyncio.get_running_loop().time
    began = clock()
    async with aclosing(written(*TEXTS, gap_s=1.0)) as texts, aclosing(voice.speak(texts)) as reply:
        await anext(reply)

    assert clock() - began == pytest.approx(3.0, abs=0.1), "1 s until its first piece, and 2 s for the sound of it"


class EagerVoice:
    """Takes all pieces at once, and speaks one each 0.4 s."""

    name = "eager"

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`."""
        for number, text in enumerate([text async for text in pieces]):
            await asyncio.sleep(0.4)
            yield sound(text, number)

    async def aclose(self) -> None:
        """See `Voice`."""


async def test_each_piece_has_its_own_time_however_early_the_voice_has_taken_it() -> None:
    switched: list[str] = []
    voice = BehindVoice(EagerVoice(), BreakingVoice(name="second"), within_s=0.5, on_switch=switched.append)

    sounds, _ = await heard_of(voice, Pieces(*TEXTS))

    assert words_of(b"".join(each.mulaw for each in sounds)) == WORDS
    assert switched == []


class HaltingVoice:
    """Pauses for 0.8 s within each piece."""

    name = "halting"

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`."""
        number = 0
        async for text in pieces:
            whole = sound(text, number).mulaw
            yield VoiceSound(whole[:4000], number)
            await asyncio.sleep(0.8)
            yield VoiceSound(whole[4000:], number, last=True)
            number += 1

    async def aclose(self) -> None:
        """See `Voice`."""


async def test_a_piece_that_has_begun_is_not_taken_from_the_voice() -> None:
    switched: list[str] = []
    voice = BehindVoice(HaltingVoice(), BreakingVoice(name="second"), within_s=0.5, on_switch=switched.append)

    sounds, _ = await heard_of(voice, Pieces(*TEXTS))

    assert words_of(b"".join(each.mulaw for each in sounds)) == WORDS
    assert switched == []


class WordlessVoice:
    """Has no sound for its first piece, which has no words, and speaks the others."""

    name = "wordless"

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`."""
        number = 0
        async for text in pieces:
            yield sound(text, number) if number else VoiceSound(b"", number, last=True)
            number += 1

    async def aclose(self) -> None:
        """See `Voice`."""


async def test_a_piece_without_words_has_no_sound_and_is_no_failure() -> None:
    switched: list[str] = []
    voice = BehindVoice(WordlessVoice(), BreakingVoice(name="second"), on_switch=switched.append)

    sounds, _ = await heard_of(voice, Pieces("…", *TEXTS[1:]))

    assert words_of(b"".join(each.mulaw for each in sounds)) == WORDS[2:]
    assert switched == []


class SilentVoice:
    """Gives half a second of silence for each piece."""

    name = "silent"

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        number = 0
        async for text in pieces:
            yield VoiceSound(b"\xff" * 4000 if text.strip("…") else b"", number)
            yield VoiceSound(b"", number, last=True)
            number += 1

    async def aclose(self) -> None:
        """Do nothing."""


async def test_a_first_voice_that_gives_silence_alone_is_left_too_and_a_piece_without_words_is_none() -> None:
    switched: list[str] = []
    voice = BehindVoice(SilentVoice(), BreakingVoice(name="second"), on_switch=switched.append)

    async with aclosing(voice.speak(Pieces("…", *TEXTS))) as reply:
        sounds = [each async for each in reply]

    assert words_of(b"".join(each.mulaw for each in sounds)) == WORDS
    assert switched == ["silent"]
    assert [each.piece for each in sounds if each.last] == [0, 1, 2, 3]


async def test_a_first_voice_without_sound_is_left_at_the_limit() -> None:
    switched: list[str] = []
    voice = BehindVoice(
        BreakingVoice(0, hangs=True),
        BreakingVoice(name="second"),
        within_s=2.0,
        on_switch=switched.append,
    )
    begin = asyncio.get_running_loop().time()

    async with aclosing(voice.speak(Pieces(*TEXTS))) as reply:
        await anext(reply)

    assert asyncio.get_running_loop().time() - begin == pytest.approx(2.01, abs=0.02)
    assert switched == [NO_SOUND]


async def test_waiting_for_the_answerer_is_not_held_against_the_voice() -> None:
    first = BreakingVoice()
    voice = BehindVoice(first, BreakingVoice(name="second"), within_s=0.5)

    sounds, _ = await heard_of(voice, written(*TEXTS, gap_s=5.0))

    assert words_of(b"".join(each.mulaw for each in sounds)) == WORDS
    assert first.asked == 1


async def test_a_dead_first_voice_is_not_waited_for_at_each_reply_and_is_tried_again() -> None:
    loop = asyncio.get_running_loop()
    first, second = BreakingVoice(0, hangs=True), BreakingVoice(name="second")
    reasons: list[str] = []
    voice = BehindVoice(first, second, within_s=1.0, on_switch=reasons.append)
    for _ in range(5):
        await spoken(voice, "שלום")

    assert (first.asked, second.asked) == (2, 5)
    assert reasons == [NO_SOUND, NO_SOUND, COOLING, COOLING, COOLING]

    first.at = None
    await asyncio.sleep(10)
    begin = loop.time()
    await spoken(voice, "שלום")
    await spoken(voice, "שלום")
    assert (first.asked, second.asked) == (4, 5)
    assert loop.time() - begin < 1.0, "virtual seconds"


@pytest.mark.parametrize(("reason", "asked"), [("unauthorized", 1), ("too_long", 4), (NO_SESSION_FREE, 4)])
async def test_what_no_retry_mends_is_learned_at_once_and_what_is_not_the_voices_fault_never(
    reason: str, asked: int
) -> None:
    first = BreakingVoice(0, reason=reason, retryable=False)
    voice = BehindVoice(first, BreakingVoice(name="second"))
    for _ in range(4):
        await spoken(voice, "שלום")

    assert first.asked == asked


async def test_a_reply_that_was_interrupted_forgives_the_failures_before() -> None:
    first = BreakingVoice(0)
    voice = BehindVoice(first, BreakingVoice(name="second"))
    await spoken(voice, "שלום")
    first.at = None
    async with aclosing(voice.speak(Pieces(*TEXTS))) as reply:
        await anext(reply)
    first.at = 0
    await spoken(voice, "שלום")
    await spoken(voice, "שלום")

    assert first.asked == 4, "one failure before the good reply does not count with one after it"


async def test_the_error_of_the_second_voice_goes_through_and_what_both_gave_stands() -> None:
    voice = BehindVoice(BreakingVoice(1), BreakingVoice(1, name="second", reason="quota"))
    sounds: list[VoiceSound] = []
    with pytest.raises(VoiceError) as raised:
        await spoken_until_error(voice, Pieces(*TEXTS), sounds)

    assert raised.value.reason == "quota"
    assert [each.piece for each in sounds] == [0, 1]


async def test_three_voices_stand_one_behind_the_other() -> None:
    voice = BehindVoice(BehindVoice(BreakingVoice(0), BreakingVoice(0)), BreakingVoice(name="third"))

    assert words_of(b"".join(each.mulaw for each in await spoken(voice, *TEXTS))) == WORDS
    assert voice.name == "first"
    await voice.aclose()


@pytest.mark.parametrize("moment", range(8))
async def test_closing_it_at_any_moment_ends_the_voice_that_speaks(moment: int) -> None:
    first, second = BreakingVoice(3), BreakingVoice(name="second")
    voice = BehindVoice(first, second)
    async with aclosing(written(*TEXTS, gap_s=0.02)) as pieces:
        reply = voice.speak(pieces)
        for _ in range(moment):
            await anext(reply)
        await reply.aclose()

    assert (first.under_way, second.under_way) == (0, 0)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not [task for task in others if task.get_name().startswith("voice.")]


async def test_what_the_pieces_raise_is_no_fault_of_the_voice() -> None:
    second = BreakingVoice(name="second")
    voice = BehindVoice(BreakingVoice(ahead=True), second)
    with pytest.raises(ZeroDivisionError):
        await spoken_until_error(voice, Pieces("שלום", error=ZeroDivisionError()), [])

    assert second.asked == 0


async def spoken_until_error(voice: Voice, pieces: Pieces, sounds: list[VoiceSound]) -> None:
    async with aclosing(voice.speak(pieces)) as reply:
        async for each in reply:
            sounds.append(each)  # noqa: PERF401 - an error must leave what came before it


async def test_the_piece_that_the_first_voice_was_waiting_for_is_not_lost() -> None:
    """A voice that is closed while it reads ahead cancels its read; the piece must still come."""
    first = BreakingVoice(2, ahead=True)
    voice = BehindVoice(first, BreakingVoice(name="second"))

    sounds, _ = await heard_of(voice, written(*TEXTS, gap_s=0.5))

    assert words_of(b"".join(each.mulaw for each in sounds))[-2:] == WORDS[-2:]


class _ColdVoice(BreakingVoice):
    async def warm_up(self) -> None:
        raise VoiceError("wrong key", reason="unauthorized", retryable=False)


class _WarmVoice(BreakingVoice):
    warm = 0

    async def warm_up(self) -> None:
        self.warm += 1


async def test_warming_up_finds_a_first_voice_that_cannot_speak_and_leaves_it_alone() -> None:
    first = _ColdVoice()
    voice = BehindVoice(first, BreakingVoice(name="second"))
    assert isinstance(voice, ConnectedVoice)
    with pytest.raises(VoiceError, match="wrong key"):
        await voice.warm_up()

    await spoken(voice, "שלום")
    assert first.asked == 0


async def test_the_second_voice_is_warmed_up_where_the_first_cannot_speak_and_where_it_can() -> None:
    for first in (_ColdVoice(), _WarmVoice()):
        second = _WarmVoice()
        with suppress(VoiceError):
            await BehindVoice(first, second).warm_up()
        assert second.warm == 1


def test_the_marked_words_of_a_piece_are_several_chunks() -> None:
    assert all(len(sound(text).mulaw) > 2 * 2400 for text in TEXTS)
