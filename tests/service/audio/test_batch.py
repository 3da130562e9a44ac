from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio.batch import Batcher, Span

FRAME = 160
lengths_ms = st.integers(1, 1000)


class Tune(int):
    """A step of a script: the new batch length in ms."""


class Flush(int):
    """A step of a script: samples that arrive and are flushed."""


steps = st.lists(st.one_of(st.integers(0, 20_000), st.integers(0, 5_000).map(Flush), lengths_ms.map(Tune)), max_size=40)


def joined(spans: Iterable[Span], call: bytes) -> bytes:
    return b"".join(call[start:end] for start, end in spans)


@given(start=st.integers(0, 10**9), first_ms=lengths_ms, script=steps)
def test_what_goes_out_is_what_came_in(start: int, first_ms: int, script: list[int]) -> None:
    """No gap, no overlap; every batch exactly one batch long, but for what a flush cuts short; tuned at any time."""
    batcher = Batcher(start=start, batch_ms=first_ms)
    heard, size, spans = start, 8 * first_ms, [(start, start)]
    for step in script:
        if isinstance(step, Tune):
            batcher.tune(step)
            size = 8 * step
            continue
        heard += step
        flushed = isinstance(step, Flush)
        fresh = batcher.flush(heard) if flushed else batcher.advance(heard)
        whole = fresh[:-1] if flushed else fresh
        assert all(end - begin == size for begin, end in whole)
        assert all(0 < end - begin <= size for begin, end in fresh)
        spans += fresh
        assert spans[-1][1] == batcher.cursor
        assert batcher.cursor == heard if flushed else heard - batcher.cursor < size
    assert all(before[1] == after[0] for before, after in pairwise(spans))


@given(call=st.binary(min_size=1, max_size=5_000), cuts=st.lists(st.integers(0, 5_000)), batch_ms=st.integers(1, 100))
def test_the_batches_of_a_call_join_to_the_call(call: bytes, cuts: list[int], batch_ms: int) -> None:
    batcher = Batcher(start=0, batch_ms=batch_ms)
    spans = [span for cut in sorted(cuts) for span in batcher.advance(min(cut, len(call)))]
    spans += batcher.flush(len(call))

    assert joined(spans, call) == call


def test_a_batch_of_150_ms_is_due_with_its_last_sample_and_not_before() -> None:
    batcher = Batcher(start=0, batch_ms=150)

    assert batcher.advance(1199) == []
    assert batcher.advance(1200) == [(0, 1200)]
    assert batcher.advance(1200) == []


def test_frames_of_20_ms_make_a_batch_every_seven_or_eight_frames() -> None:
    batcher = Batcher(start=0, batch_ms=150)
    due = [frame for frame in range(1, 31) if batcher.advance(frame * FRAME)]

    assert due == [8, 15, 23, 30]


def test_the_end_of_an_utterance_flushes_what_is_there_at_once() -> None:
    batcher = Batcher(start=0, batch_ms=150)
    batcher.advance(1000)

    assert batcher.flush(1000) == [(0, 1000)]
    assert batcher.flush(1000) == []
    assert batcher.advance(2200) == [(1000, 2200)]


def test_a_flush_of_much_audio_is_whole_batches_and_one_short_one() -> None:
    assert Batcher(start=0, batch_ms=150).flush(2500) == [(0, 1200), (1200, 2400), (2400, 2500)]


def test_a_new_length_holds_from_the_next_batch_on() -> None:
    batcher = Batcher(start=0, batch_ms=150)
    batcher.advance(1000)
    batcher.tune(50)

    assert batcher.advance(1000) == [(0, 400), (400, 800)]
    batcher.tune(150)
    assert batcher.advance(1999) == []
    assert batcher.advance(2000) == [(800, 2000)]


@pytest.mark.parametrize("batch_ms", [0, -20])
def test_a_batch_is_something(batch_ms: int) -> None:
    batcher = Batcher(start=0, batch_ms=20)

    with pytest.raises(ValueError, match="needs at least 1 ms"):
        batcher.tune(batch_ms)
    with pytest.raises(ValueError, match="needs at least 1 ms"):
        Batcher(start=0, batch_ms=batch_ms)
    assert batcher.advance(160) == [(0, 160)], "a refused length changes nothing"


class TimedOutBatcher:
    """The first sketch: `queue.get(timeout=0.05)` in the request generator, and `except Empty: return`."""

    def __init__(self) -> None:
        self._asked_at = 0.0
        self.ended = False
        self.heard = 0

    def hear(self, samples: int, now: float) -> None:
        self.ended = self.ended or now - self._asked_at > 0.05
        self._asked_at = now
        if not self.ended:
            self.heard += samples


@given(st.lists(st.sampled_from([0.02, 0.02, 0.04, 0.06, 0.5, 30.0]), min_size=1, max_size=100))
def test_trap_a_gap_of_50_ms_is_not_the_end_of_the_call(gaps: list[float]) -> None:
    """The naive generator ends at the first gap and the rest of the call is lost; ours reads no clock at all."""
    naive, batcher = TimedOutBatcher(), Batcher(start=0, batch_ms=150)
    now, spans = 0.0, list[Span]()
    for frame, gap in enumerate(gaps, start=1):
        now += gap
        naive.hear(FRAME, now)
        spans += batcher.advance(frame * FRAME)
    spans += batcher.flush(len(gaps) * FRAME)

    assert sum(end - start for start, end in spans) == len(gaps) * FRAME
    if max(gaps) > 0.05:
        assert naive.heard < len(gaps) * FRAME
