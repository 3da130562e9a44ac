"""What the soak's verdict rests on: words accounted for, streams judged, memory measured."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.simulators.google.stats import HeardWord as DoublesWord
from batkol.simulators.google.stats import StreamRecord
from batkol.simulators.twilio.handset import FRAME
from batkol.voices.marked.voice import PAUSE_MS, SpokenWord
from reliability.soak_callers import Hold, Manner, part
from reliability.soak_readings import slope
from reliability.soak_streams import Spoken, Window, by_call, rotations
from reliability.soak_verdict import leaks
from reliability.soak_words import Fate, HeardWord, align, fate

HOLD = Hold(begins_s=10, lasts_s=8, quiet_s=2)
WINDOW = Window(after_s=240, by_s=285, limit_s=305)


def said(text: str, start_s: float = 0.0) -> list[SpokenWord]:
    """Words of half a second each."""
    first = int(start_s * SAMPLE_RATE)
    return [SpokenWord(word, first + i * 4000, first + i * 4000 + 4000) for i, word in enumerate(text.split())]


def heard(text: str, begin_ms: int = 0, end_ms: int = 5000) -> list[HeardWord]:
    return [HeardWord(word, begin_ms, end_ms) for word in text.split()]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("one two three four", Fate(4, 4, 0, 0, 0)),
        ("one two four", Fate(4, 3, 1, 0, 0)),
        ("one two two three four", Fate(4, 5, 0, 1, 0)),
        ("one two one two three four", Fate(4, 6, 0, 2, 0)),
        ("one two nine three four", Fate(4, 5, 0, 0, 1)),
        ("one three two four", Fate(4, 4, 1, 1, 0)),
        ("", Fate(4, 0, 4, 0, 0)),
    ],
)
def test_every_word_is_accounted_for(record: str, expected: Fate) -> None:
    found = fate(said("one two three four"), heard(record))

    assert len(found.faults) == found.lost + found.doubled + found.misattributed
    assert replace(found, faults=()) == expected


def test_a_word_in_an_utterance_of_another_time_is_misattributed() -> None:
    """The record reads right from end to end; the third word has landed in the sentence ten seconds later."""
    record = [*heard("one two", 0, 1500), *heard("three four", 10_000, 12_000)]

    assert fate([*said("one two three"), *said("four", 11.0)], record).misattributed == 1


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_aligned_words_agree_and_keep_their_order(ours: list[str], theirs: list[str]) -> None:
    pairs = align(ours, theirs)

    assert all(ours[a] == theirs[b] for a, b in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))


@given(st.lists(st.sampled_from("abc"), max_size=12), st.data())
def test_dropping_words_loses_exactly_so_many(ours: list[str], data: st.DataObject) -> None:
    keep = data.draw(st.lists(st.booleans(), min_size=len(ours), max_size=len(ours)))

    assert len(align(ours, [word for word, kept in zip(ours, keep, strict=True) if kept])) == sum(keep)


def test_the_endless_caller_never_pauses_for_longer_than_between_two_words() -> None:
    endless = part(0, seconds=20, hold=HOLD)

    assert endless.manner is Manner.ENDLESS
    gaps = [b.start - a.end for a, b in pairwise(endless.words)]
    assert set(gaps) == {PAUSE_MS * 8}
    assert len(endless.mulaw) - endless.words[-1].end == PAUSE_MS * 8


def test_nothing_is_said_during_the_hold_and_words_after_it_are_in_the_calls_own_time() -> None:
    held = part(2, seconds=40, hold=HOLD)
    ((begins_ms, lasts_ms),) = held.holds
    begins, ends = begins_ms * 8, (begins_ms + lasts_ms) * 8

    assert held.manner is Manner.HELD
    assert begins % FRAME == 0
    assert begins_ms >= 10_000
    assert all(word.end <= begins or word.start >= ends for word in held.words)
    assert any(word.start >= ends for word in held.words)
    assert len(held.mulaw) + lasts_ms * 8 >= 40 * SAMPLE_RATE


def stream(number: int, opened: float, half_closed: float | None, ended: float, ending: str = "OK") -> StreamRecord:
    return StreamRecord(
        number,
        unary=False,
        peer="",
        call=None,
        opened_at=opened,
        half_closed_at=half_closed,
        ended_at=ended,
        ending=ending,
    )


def test_a_stream_that_takes_over_in_time_is_blameless() -> None:
    (silent, forced) = rotations(
        [stream(1, 0, 241, 241.2), stream(2, 240.7, 526.7, 527), stream(3, 525.6, 600, 600.1)], WINDOW
    )

    assert (silent.forced, silent.faults) == (False, ())
    assert (forced.forced, forced.faults) == (True, ())
    assert silent.overlap_s == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("old", "new_at", "fault"),
    [
        (stream(1, 0, 200, 200.1), 199, "replaced after 200.0 s"),
        (stream(1, 0, None, 305, "OUT_OF_RANGE"), 304, "replaced after 305.0 s"),
        (stream(1, 0, 250, 251), 250.5, "opened 0.50 s after the old one was over"),
        (stream(1, 0, 250, 255, "CANCELLED"), 249, "the old one ended with CANCELLED"),
    ],
)
def test_one_that_does_not_is_told(old: StreamRecord, new_at: float, fault: str) -> None:
    (rotation,) = rotations([old, stream(2, new_at, 400, 400)], WINDOW)

    assert fault in rotation.faults


def test_a_stream_belongs_to_the_call_whose_words_it_heard() -> None:
    calls = {"a": Spoken(100.0, said("one two three")), "b": Spoken(100.0, said("two three one"))}
    of_a, of_b, wordless = stream(1, 100.1, 107, 108), stream(2, 100, 103, 104), stream(3, 102.9, 110, 111)
    of_a.words = [DoublesWord("one", 0, 4000, 100.6), DoublesWord("two", 4000, 8000, 101.2)]
    of_b.words = [DoublesWord("three", 0, 4000, 101.1), DoublesWord("one", 4000, 8000, 101.7)]

    assert by_call([of_b, wordless, of_a], calls) == {"a": [of_a], "b": [of_b, wordless]}


def noise(growth_kb_per_min: float, seconds: int = 360, step: float = 40.0) -> list[tuple[float, float]]:
    draw = random.Random(1)
    return [(t, 150_000 + growth_kb_per_min * t / 60 + draw.uniform(-step, step)) for t in range(0, seconds, 2)]


def test_steady_growth_is_found_and_convicted() -> None:
    growth = slope(noise(400))

    assert growth is not None
    assert growth.low < 400 < growth.high
    assert leaks(growth, calls=4)


def test_flat_memory_is_acquitted_and_so_is_one_step_of_the_allocator() -> None:
    flat = slope(noise(0))
    stepped = slope([(t, kb + (300 if t > 200 else 0)) for t, kb in noise(0)])

    assert flat is not None
    assert flat.low < 0 < flat.high
    assert stepped is not None
    assert not leaks(flat, calls=4)
    assert not leaks(stepped, calls=4)


def test_a_few_readings_say_nothing() -> None:
    assert slope(noise(400, seconds=50)) is None
