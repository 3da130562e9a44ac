"""Which utterance a word is given to, over a grid of pauses, lengths and late detectors.

Google's words start where the ones before them ended, in steps of 100 ms. The detector is late to tell of speech, and
misses the quiet end of a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

from batkol.speech.attribution import divide
from batkol.speech.results import Transcript, Word
from batkol.speech.utterance import Mode, Utterance

MS = 8
SPOKEN = 3000 * MS  # where the first sentence ends
PAUSES = (400, 500, 700, 1000, 1500, 2500, 4000)  # ms
LENGTHS = (120, 180, 260, 400, 700, 1100)  # ms, of the word before the pause and of the one behind it
LATE = (0, 120, 240)  # ms, of the detector at the beginning of speech
OFF = (-300, -200, -100, 0, 60)  # ms, of the detector at its end, the quietest part of a word
ERRORS = (-100, 0, 100)  # ms, of Google's times before they are put on its grid


class Case(NamedTuple):
    """Two sentences, and the words on both sides of the pause as Google tells of them."""

    last: Word
    first: Word
    sentences: tuple[Utterance, Utterance]


def grid() -> Iterator[Case]:
    for pause, length, late, off, error in product(PAUSES, LENGTHS, LATE, OFF, ERRORS):
        begins = SPOKEN + pause * MS
        told_end = _on_grid(SPOKEN + error * MS)
        last = Word("אחרונה", _on_grid(SPOKEN - (length - error) * MS), told_end)
        first = Word("ראשונה", told_end, max(told_end, _on_grid(begins + (length + error) * MS)))
        heard = Utterance(0, 0, 2400, Mode.STREAMING, end=SPOKEN + off * MS)
        speech_at = max(begins + late * MS, SPOKEN + off * MS)
        yield Case(last, first, (heard, Utterance(1, speech_at - 2400, speech_at, Mode.STREAMING)))


def _on_grid(sample: int) -> int:
    return round(sample / (100 * MS)) * 100 * MS


def wrong(place: Callable[[Word], int]) -> tuple[int, int]:
    """Return how many first and last words are given to the other sentence, or to none, if they are put there."""
    first = last = 0
    for case in grid():
        before, behind = case.sentences
        first += _owner(place(case.first), case) is not behind
        last += _owner(place(case.last), case) is not before
    return first, last


def _owner(sample: int, case: Case) -> Utterance | None:
    word = Word("מילה", sample, sample)
    (share,) = divide(Transcript("מילה", 0, case.first.end, final=True, words=(word,)), case.sentences)
    return share.utterance


def test_the_middle_of_a_words_last_300_ms_finds_its_sentence_where_its_middle_and_its_end_do_not() -> None:
    assert len(list(grid())) == 1890

    assert wrong(lambda word: (word.start + word.end) // 2) == (373, 1)
    assert wrong(lambda word: word.end) == (0, 18)
    assert wrong(lambda word: word.place) == (7, 1)


def test_what_the_place_gets_wrong_is_a_short_pause_and_times_that_are_off() -> None:
    """Half a second of silence at most, and Google or the detector at their worst."""
    astray = [case for case in grid() if _owner(case.first.place, case) is not case.sentences[1]]

    assert len(astray) == 7
    assert all(case.first.end - case.first.start <= 600 * MS for case in astray)
