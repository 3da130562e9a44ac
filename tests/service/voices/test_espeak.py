"""The espeak voice: Hebrew and English at 8 kHz, with the end of each word, from one thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

from batkol.audio import mulaw
from batkol.errors import ConfigurationError
from batkol.voices import espeak_library
from batkol.voices.espeak import LONGEST_TEXT, PAUSE_MS, EspeakVoice, phone_sound, word_ends
from batkol.voices.espeak_library import WORKER, EspeakSound, EspeakWord
from batkol.voices.voice import Voice, VoiceError
from support.voices.pieces import Pieces, joined, spoken

QUESTION = "שלום, איך אפשר לעזור לך היום?"


def levels(sound: bytes) -> np.ndarray:
    return np.abs(mulaw.decode(sound).astype(np.int32))


async def test_speaks_hebrew_with_an_end_for_each_word() -> None:
    voice: Voice = EspeakVoice()

    sound = joined(await spoken(voice, QUESTION), 0)

    assert 1.5 < len(sound.mulaw) / 8000 < 4
    assert len(sound.word_ends) == 6
    assert len(set(sound.word_ends)) == 6
    assert len(sound.mulaw) - 400 < sound.word_ends[-1] <= len(sound.mulaw)
    pause_after = levels(sound.mulaw[sound.word_ends[0] : sound.word_ends[0] + 320])
    assert pause_after.max() < 1000, "the pause after the comma is behind the word's end"


def alike(one: bytes, other: bytes) -> bool:
    """Whether two sounds are of one text: espeak draws its noise anew each time."""
    return abs(len(one) - len(other)) <= 16


async def test_the_text_decides_the_sound_and_a_pause_parts_two_pieces() -> None:
    sounds = await spoken(EspeakVoice(), "כן", "התייעצות", "כן")

    first, other, again = (joined(sounds, piece).mulaw for piece in range(3))
    pause = mulaw.silence(PAUSE_MS * 8)
    assert not first.startswith(pause[:160])
    assert other.startswith(pause)
    assert again.startswith(pause)
    assert alike(again, pause + first)
    assert not alike(other, again)


async def test_begins_and_ends_with_sound() -> None:
    sound = joined(await spoken(EspeakVoice(), QUESTION), 0).mulaw

    assert levels(sound[:160]).max() > 100, "within 20 ms"
    assert levels(sound[-320:]).max() > 100, "up to the last 40 ms"


@pytest.mark.parametrize("text", [QUESTION, "רגע אחד, בבקשה.", "Thank you, goodbye.", "8"])
async def test_its_level_suits_a_telephone(text: str) -> None:
    sound = mulaw.decode(joined(await spoken(EspeakVoice(), text), 0).mulaw).astype(float)

    frames = sound[: len(sound) // 160 * 160].reshape(-1, 160)
    power = (frames**2).mean(axis=1)
    active = 10 * np.log10(power[power > power.max() / 300].mean() / 32768**2)
    assert -24 < active < -16, "dBov while it speaks"
    assert (np.abs(sound) > 32_000).mean() < 0.001, "hardly a sample is clipped"


@pytest.mark.parametrize(
    ("text", "language", "voice"),
    [
        ("שלום", "en-US", "he"),
        ("hello", "he-IL", "en"),
        ("Zoom שלום", "he-IL", "he"),
        ("052", "he-IL", "he"),
        ("052", "en-US", "en"),
        ("bonjour", "fr-FR", "fr"),
    ],
)
async def test_the_letters_decide_the_language_and_the_settings_where_there_are_none(
    text: str, language: str, voice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    espeak = EspeakVoice(language=language)
    library = espeak_library.load()
    speak = library.speak

    def note(text: str, voice: str, words_a_minute: int, on_sound: Callable[[bytes], bool]) -> list[EspeakWord]:
        asked.append(voice)
        return speak(text, voice, words_a_minute, on_sound)

    monkeypatch.setattr(library, "speak", note)

    assert joined(await spoken(espeak, text), 0).mulaw
    assert asked == [voice]


async def test_digits_and_signs_keep_one_end_a_word() -> None:
    text = "המספר הוא 052 — בשעה 14:30 😀"

    sound = joined(await spoken(EspeakVoice(), text), 0)

    assert len(sound.word_ends) == len(text.split()) == 7
    dash, emoji = sound.word_ends[3], sound.word_ends[6]
    assert dash == sound.word_ends[2]
    assert emoji == sound.word_ends[5]


@pytest.mark.parametrize("text", ["", " ", "😀", "—", "\x00\x07"])
async def test_a_piece_without_a_word_is_an_empty_sound(text: str) -> None:
    sounds = await spoken(EspeakVoice(), text, "כן")

    assert joined(sounds, 0).mulaw == b""
    assert joined(sounds, 1).mulaw


async def test_control_characters_end_no_text_and_lone_surrogates_break_nothing() -> None:
    whole = joined(await spoken(EspeakVoice(), "שלום\x00תודה \ud800"), 0)

    assert len(whole.mulaw) > 1.4 * len(joined(await spoken(EspeakVoice(), "שלום"), 0).mulaw)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("א" * (LONGEST_TEXT + 1), "too_long"), ("א ב ג ד " * (LONGEST_TEXT // 8), "refused"), ("א" * 900, "refused")],
    ids=["text", "sound", "one word"],
)
async def test_what_is_too_long_is_an_error_that_quotes_nothing(text: str, reason: str) -> None:
    with pytest.raises(VoiceError) as raised:
        await spoken(EspeakVoice(), text)

    assert raised.value.reason == reason
    assert text[:5] not in str(raised.value)


async def test_a_language_that_espeak_lacks_is_an_error_and_the_next_text_is_spoken() -> None:
    with pytest.raises(VoiceError, match="no voice for this language"):
        await spoken(EspeakVoice(language="tlh-XX"), "nuqneH")

    assert joined(await spoken(EspeakVoice(), "כן"), 0).mulaw


async def test_many_replies_at_once_are_spoken_by_one_thread() -> None:
    voice = EspeakVoice()

    together = await asyncio.gather(*(spoken(voice, "שלום", "תודה רבה") for _ in range(8)))

    for sounds in together:
        assert [sound.piece for sound in sounds] == [0, 1]
        for sound, other in zip(sounds, together[0], strict=True):
            assert alike(sound.mulaw, other.mulaw)
    assert [thread.name for thread in threading.enumerate()].count("batkol-espeak") == 1


async def test_a_reply_that_is_closed_is_synthesized_no_further() -> None:
    voice = EspeakVoice()
    blocked = threading.Event()
    holding = asyncio.create_task(WORKER.run(blocked.wait, 10.0))
    waiting = [asyncio.create_task(spoken(voice, "8" * 300)) for _ in range(3)]
    await asyncio.sleep(0)

    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    before = espeak_library.load().texts
    blocked.set()
    await holding
    await WORKER.run(int)  # all that was asked before has run

    assert espeak_library.load().texts == before


async def test_a_thread_that_hangs_costs_an_error_after_the_patience() -> None:
    blocked = threading.Event()
    holding = asyncio.create_task(WORKER.run(blocked.wait, 10.0))
    await asyncio.sleep(0)

    with pytest.raises(VoiceError) as raised:
        await spoken(EspeakVoice(patience_s=0.02), "שלום")

    assert (raised.value.reason, raised.value.retryable) == ("deadline", True)
    blocked.set()
    await holding
    assert joined(await spoken(EspeakVoice(), "שלום"), 0).mulaw


async def test_a_thread_that_died_is_replaced() -> None:
    assert joined(await spoken(EspeakVoice(), "שלום"), 0).mulaw
    WORKER._jobs.put(_die)
    while not WORKER.dead:
        await asyncio.sleep(0.001)

    assert joined(await spoken(EspeakVoice(), "שלום"), 0).mulaw


def _die() -> None:
    raise SystemExit


async def test_what_the_pieces_raise_goes_through() -> None:
    reply = EspeakVoice().speak(Pieces("כן", error=ZeroDivisionError()))

    assert (await anext(reply)).mulaw
    with pytest.raises(ZeroDivisionError):
        await anext(reply)


def test_where_the_package_is_missing_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    espeak_library.load.cache_clear()

    with pytest.raises(ConfigurationError, match=r"pip install '\.\[espeak\]' in Batkol's folder"):
        EspeakVoice()


def test_a_library_that_cannot_be_loaded_is_an_error_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    import espeakng_loader

    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: "/nowhere/libespeak-ng.so")
    espeak_library.load.cache_clear()

    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        EspeakVoice()


def test_a_word_ends_where_its_sound_ends() -> None:
    pcm = np.zeros(1000, dtype=np.int16)
    pcm[100:300] = pcm[500:700] = 5000

    def sound(*words: EspeakWord) -> EspeakSound:
        return EspeakSound(pcm, 22_050, words)

    assert list(word_ends(sound(EspeakWord(0, 90), EspeakWord(6, 450), EspeakWord(7, 600)), "one — 24")) == [
        300,
        300,
        700,
    ]
    assert list(word_ends(sound(EspeakWord(0, 90), EspeakWord(5, 450), EspeakWord(6, 600)), "one, 24")) == [300, 700]
    assert list(word_ends(sound(EspeakWord(2, 90)), "— one")) == [0, 700]
    assert list(word_ends(sound(), "")) == []


@pytest.mark.parametrize(("number", "pause"), [(0, 0), (1, PAUSE_MS * 8)])
def test_silence_at_both_ends_is_cut_and_the_ends_of_words_move_with_it(number: int, pause: int) -> None:
    pcm = np.zeros(22_050, dtype=np.int16)
    pcm[11_025:13_230] = np.resize([8000, -8000], 2205)  # 100 ms of sound, half a second in
    spoken_sound = EspeakSound(pcm, 22_050, (EspeakWord(0, 10_000),))

    sound = phone_sound(spoken_sound, "כן", number)

    assert len(sound.mulaw) == pytest.approx(pause + 8 * (5 + 100 + 20), abs=8)
    assert list(sound.word_ends) == pytest.approx([pause + 8 * 105], abs=8)


async def test_closing_it_reads_no_further_piece() -> None:
    texts = Pieces("שלום", "תודה")
    reply = EspeakVoice().speak(texts)

    assert (await anext(reply)).piece == 0
    await reply.aclose()

    assert texts.read == 1
