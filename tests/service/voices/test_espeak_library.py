"""libespeak-ng itself: words with their places, an end on demand, and errors of the callback."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from batkol.voices.espeak_library import EspeakError, EspeakWord, load, synthesize

LETTERS = "א ב ג ד " * 20


def never() -> bool:
    return False


def test_each_word_has_its_place_in_text_and_sound() -> None:
    sound = synthesize("hello big world", "en", words_a_minute=160, longest_s=10, given_up=never)

    assert sound is not None
    assert [word.character for word in sound.words] == [0, 6, 10]
    places = [word.sample for word in sound.words]
    assert places == sorted(set(places))
    assert places[-1] < len(sound.pcm)
    assert sound.rate == 22_050


def test_a_slower_voice_takes_longer() -> None:
    slow, fast = (
        synthesize("hello big world", "en", words_a_minute=rate, longest_s=10, given_up=never) for rate in (100, 250)
    )

    assert slow is not None
    assert fast is not None
    assert len(slow.pcm) > 1.3 * len(fast.pcm)


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The samples of each buffer that the library passed on."""
    library, sizes = load(), list[int]()
    speak = library.speak

    def count(text: str, voice: str, words_a_minute: int, on_sound: Callable[[bytes], bool]) -> list[EspeakWord]:
        def counted(buffer: bytes) -> bool:
            sizes.append(len(buffer) // 2)
            return on_sound(buffer)

        return speak(text, voice, words_a_minute, counted)

    monkeypatch.setattr(library, "speak", count)
    return sizes


def test_a_sound_that_is_too_long_ends_there(passed_on: list[int]) -> None:
    with pytest.raises(EspeakError, match="too long"):
        synthesize(LETTERS, "he", words_a_minute=160, longest_s=2, given_up=never)

    assert 2 * 22_050 < sum(passed_on) < 2.5 * 22_050


def test_what_is_given_up_meanwhile_ends_there(passed_on: list[int]) -> None:
    sound = synthesize(LETTERS, "he", words_a_minute=160, longest_s=60, given_up=lambda: len(passed_on) >= 3)

    assert sound is None
    assert len(passed_on) == 3


def test_what_the_receiver_raises_ends_the_text_and_is_raised() -> None:
    received: list[bytes] = []

    def fail(buffer: bytes) -> bool:
        received.append(buffer)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        load().speak(LETTERS, "he", 160, fail)

    assert len(received) == 1
    assert synthesize("כן", "he", words_a_minute=160, longest_s=2, given_up=never) is not None


def test_threads_that_speak_at_once_take_turns() -> None:
    """The library's state is global: without turns the process ends by a signal."""
    texts = ("one two", "one two three", "one two three four")

    def spoken(text: str) -> int:
        sound = synthesize(text, "en", words_a_minute=160, longest_s=10, given_up=never)
        return len(sound.words) if sound else 0

    with ThreadPoolExecutor(len(texts)) as threads:
        counts = [tuple(threads.map(spoken, texts)) for _ in range(10)]

    assert counts == [(2, 3, 4)] * 10
