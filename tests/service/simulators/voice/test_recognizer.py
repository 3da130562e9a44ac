"""What the double hears: every word, and every stretch of audio that was tampered with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio import mulaw
from batkol.simulators.voice.recognizer import GARBLE, WordRecognizer
from batkol.voices.marked.voice import WORDS, SpokenAudio, SpokenWord, random_utterances, say, script
from support.properties import few_by_day

Pcm = npt.NDArray[np.int16]

MS = 8
SPOKEN = script(random_utterances(11, 2, 4), lead_ms=300, tail_ms=400, gap_ms=600)
PCM = mulaw.decode(SPOKEN.mulaw)
TOLD = [word.text for word in SPOKEN.words]


def hear(samples: Pcm, *, chunk: int = 1200, edges: bool = True) -> list[SpokenWord]:
    hearing = WordRecognizer(edges=edges)
    heard: list[SpokenWord] = []
    for start in range(0, len(samples), chunk):
        heard += hearing.feed(samples[start : start + chunk].astype("<i2").tobytes())
    return heard + hearing.finish()


def texts(samples: Pcm) -> list[str]:
    return [word.text for word in hear(samples)]


def off(heard: list[SpokenWord], spoken: SpokenAudio) -> int:
    """How many samples the worst edge is off."""
    edges = zip(heard, spoken.words, strict=True)
    return max(max(abs(h.start - s.start), abs(h.end - s.end)) for h, s in edges)


@pytest.mark.parametrize("pause_ms", [0, 37, 80])
def test_every_word_is_read_back_through_mu_law(pause_ms: int) -> None:
    """Each after each of several others, so that every word meets different neighbours; edges within 1 ms."""
    turned = [[WORDS[(i * step) % len(WORDS)] for i in range(len(WORDS))] for step in (1, 3, 5)]
    spoken = script(turned, pause_ms=pause_ms)

    heard = hear(mulaw.decode(spoken.mulaw))

    assert [word.text for word in heard] == [word.text for word in spoken.words]
    assert off(heard, spoken) <= MS


@pytest.mark.parametrize("word", WORDS)
def test_equal_words_in_a_row_are_told_apart(word: str) -> None:
    assert texts(mulaw.decode(say([word] * 3, pause_ms=20).mulaw)) == [word] * 3


@few_by_day(15)
@given(st.lists(st.integers(1, 9001), min_size=1, max_size=40))
def test_the_sizes_of_the_chunks_make_no_difference(sizes: list[int]) -> None:
    """Not even chunks that end in the middle of a sample."""
    raw, hearing = PCM.astype("<i2").tobytes(), WordRecognizer()
    heard: list[SpokenWord] = []
    start = 0
    for size in [*sizes, len(raw)]:
        heard += hearing.feed(raw[start : start + size])
        start += size

    assert heard + hearing.finish() == hear(PCM)


def _in_a_word(least: int) -> st.SearchStrategy[tuple[int, int]]:
    """Stretches of 40 to 600 ms that take at least so many samples of some word."""

    @st.composite
    def stretch(draw: st.DrawFn) -> tuple[int, int]:
        word = draw(st.sampled_from(SPOKEN.words))
        size = draw(st.integers(40 * MS, 600 * MS))
        first, last = word.start + least - size, min(word.end - least, len(PCM) - size)
        start = draw(st.integers(max(0, first), last))
        return start, start + size

    return stretch()


@few_by_day(30)
@given(_in_a_word(least=20 * MS))
def test_a_lost_stretch_is_a_wrong_transcript(stretch: tuple[int, int]) -> None:
    start, end = stretch
    assert texts(np.concatenate((PCM[:start], PCM[end:]))) != TOLD


@few_by_day(30)
@given(_in_a_word(least=40 * MS))
def test_a_doubled_stretch_is_a_wrong_transcript(stretch: tuple[int, int]) -> None:
    start, end = stretch
    assert texts(np.concatenate((PCM[:end], PCM[start:]))) != TOLD


@few_by_day(30)
@given(_in_a_word(least=40 * MS), st.booleans())
def test_a_stretch_replaced_by_silence_is_a_wrong_transcript(stretch: tuple[int, int], digital: bool) -> None:
    start, end = stretch
    damaged = PCM.copy()
    damaged[start:end] = 0 if digital else np.random.default_rng(0).normal(0, 8, end - start)
    assert texts(damaged) != TOLD


@few_by_day(30)
@given(st.sampled_from(SPOKEN.words), st.data())
def test_two_swapped_stretches_are_a_wrong_transcript(word: SpokenWord, data: st.DataObject) -> None:
    """They meet inside a word."""
    middle = data.draw(st.integers(word.start + 20 * MS, word.end - 20 * MS))
    start = data.draw(st.integers(max(0, middle - 500 * MS), middle - 40 * MS)) if middle > 500 * MS else 0
    end = data.draw(st.integers(middle + 40 * MS, min(len(PCM), middle + 500 * MS)))

    assert texts(np.concatenate((PCM[:start], PCM[middle:end], PCM[start:middle], PCM[end:]))) != TOLD


def test_what_is_left_of_a_word_is_heard_as_a_garble_in_its_place() -> None:
    first, second, *_ = SPOKEN.words
    cut = (second.start + second.end) // 2
    heard = hear(np.concatenate((PCM[: cut - 160], PCM[cut + 160 :])))

    assert [word.text for word in heard] == [first.text, GARBLE, *TOLD[2:]]
    assert abs(heard[1].start - second.start) < 20 * MS
    assert abs(heard[1].end - (second.end - 320)) < 20 * MS


def test_fragments_at_the_edges_can_be_forgiven() -> None:
    first, last = SPOKEN.words[0], SPOKEN.words[-1]
    cut = PCM[(first.start + first.end) // 2 : (last.start + last.end) // 2]

    assert [word.text for word in hear(cut)] == [GARBLE, *TOLD[1:-1], GARBLE]
    assert [word.text for word in hear(cut, edges=False)] == TOLD[1:-1]


@pytest.mark.parametrize("snr_db", [20, 10])
def test_words_are_heard_in_noise(snr_db: int) -> None:
    loudness = np.sqrt(np.mean(np.square([PCM[w.start : w.end].astype(float).std() for w in SPOKEN.words])))
    noise = np.random.default_rng(5).normal(0, loudness * 10 ** (-snr_db / 20), len(PCM))
    noisy = np.clip(PCM + noise, -32767, 32767).astype(np.int16)

    assert texts(mulaw.decode(mulaw.encode(noisy))) == TOLD


def test_what_carries_no_signature_is_not_heard() -> None:
    """Other speech (here the same without its band above 2.7 kHz) and noise are nobody's words."""
    spectrum = np.fft.rfft(PCM)
    spectrum[np.fft.rfftfreq(len(PCM), 1 / 8000) > 2700] = 0
    unsigned = np.fft.irfft(spectrum, len(PCM)).astype(np.int16)
    noise = np.random.default_rng(6).normal(0, 3000, 5 * 8000).astype(np.int16)

    assert hear(unsigned) == []
    assert hear(noise) == []
    assert hear(np.zeros(8000, np.int16)) == []


def test_a_word_under_way_can_be_guessed_before_it_ends() -> None:
    spoken = say(["טלפון"])
    hearing = WordRecognizer()
    hearing.feed(mulaw.decode_to_bytes(spoken.mulaw[: 300 * MS]))

    begun = hearing.underway()
    assert begun is not None
    assert (begun.text, begun.end) == ("טלפון", hearing.position)
    assert hearing.quiet_until == begun.start

    hearing.feed(mulaw.decode_to_bytes(spoken.mulaw[300 * MS :]) + bytes(4000))
    assert hearing.underway() is None
