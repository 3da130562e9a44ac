from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio.mulaw import SILENCE
from batkol.audio.ring import Ring

SECOND = 8000
PATTERN = bytes(n * 7 % 251 for n in range(251)) * 400


def counting(start: int, samples: int) -> bytes:
    """Audio whose every sample tells its own place, as far as a byte can."""
    return PATTERN[start % 251 :][:samples]


class Append(NamedTuple):
    samples: int
    wrap: type[bytes] | type[memoryview]


class Release(NamedTuple):
    ahead: int  # of the newest release


class Read(NamedTuple):
    where: tuple[float, float]  # as parts of the call


steps = st.lists(
    st.one_of(
        st.builds(Append, st.sampled_from([0, 1, 160, 8000, 12_345, 60_000]), st.sampled_from([bytes, memoryview])),
        st.builds(Release, st.integers(-5_000, 30_000)),
        st.builds(Read, st.tuples(st.floats(0, 1), st.floats(0, 1))),
    ),
    max_size=30,
)


@given(steps)
def test_a_ring_reads_as_the_whole_call_would(script: list[Append | Release | Read]) -> None:
    """Next to the ring, the naive model: all the call's bytes, and what was asked to be forgotten."""
    capacity = 20_000
    ring, call, released = Ring(capacity=capacity), b"", 0
    for step in script:
        match step:
            case Append(samples, wrap):
                audio = counting(len(call), samples)
                ring.append(wrap(audio))
                call += audio
            case Release(ahead):
                ring.release(released + ahead)
                released = max(released, min(released + ahead, len(call)))
            case Read(where):
                start, end = sorted(int(part * len(call)) for part in where)
                lost = max(0, min(end, ring.start) - start)
                assert ring.read(start, end) == bytes([SILENCE]) * lost + call[start + lost : end]
        assert ring.end == len(call)
        assert released <= ring.start <= max(released, len(call) - capacity)
        assert len(ring._bytes) == ring.end - ring.start <= capacity + SECOND
        with pytest.raises(IndexError):
            ring.read(ring.start, ring.end + 1)


def test_an_index_means_the_same_sample_for_ever() -> None:
    ring = Ring(capacity=SECOND)
    for frame in range(0, 100 * SECOND, 160):
        ring.append(counting(frame, 160))

    assert ring.read(99 * SECOND, 100 * SECOND) == counting(99 * SECOND, SECOND)


def test_an_hour_of_a_call_costs_the_memory_of_its_last_minute() -> None:
    ring = Ring(capacity=60 * SECOND)
    for _ in range(3600):
        ring.append(bytes(SECOND))

    assert ring.end == 3600 * SECOND
    assert ring._bytes.__alloc__() <= 2 * 61 * SECOND


def test_what_was_forgotten_reads_as_silence_of_the_right_length() -> None:
    """Audio time must stay true for whoever asks too late."""
    ring = Ring(capacity=SECOND)
    ring.append(counting(0, 1000))
    ring.release(600)

    assert ring.start == 600
    assert ring.read(500, 700) == bytes([SILENCE]) * 100 + counting(600, 100)
    assert ring.read(100, 300) == bytes([SILENCE]) * 200


def test_releasing_what_is_not_heard_yet_forgets_all_and_no_more() -> None:
    ring = Ring(capacity=SECOND)
    ring.append(bytes(100))
    ring.release(5000)
    ring.append(counting(100, 60))

    assert (ring.start, ring.end) == (100, 160)
    assert ring.read(100, 160) == counting(100, 60)


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (6, 5), (0, 11), (11, 11)])
def test_asking_for_what_cannot_be_raises(start: int, end: int) -> None:
    ring = Ring(capacity=SECOND)
    ring.append(bytes(10))

    with pytest.raises(IndexError, match="10 samples received"):
        ring.read(start, end)


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_ring_holds_something(capacity: int) -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        Ring(capacity=capacity)


class OneQueue:
    """The naive way: every reader takes from one and the same buffer."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def append(self, audio: bytes) -> None:
        self._bytes += audio

    def take(self, samples: int) -> bytes:
        taken = bytes(self._bytes[:samples])
        del self._bytes[:samples]
        return taken


@given(st.lists(st.sampled_from(["stream", "fallback"]), min_size=2, max_size=20))
def test_trap_two_readers_of_one_queue_shred_each_others_audio(turns: list[str]) -> None:
    """Readers of the ring have cursors of their own: each gets the whole call, in whatever order they come."""
    call = counting(0, 160 * len(turns))
    ring, queue = Ring(capacity=SECOND), OneQueue()
    ring.append(call)
    queue.append(call)
    cursors = {"stream": 0, "fallback": 0}
    shredded = {"stream": b"", "fallback": b""}
    for reader in turns:
        cursor = cursors[reader]
        assert ring.read(cursor, cursor + 160) == call[cursor : cursor + 160]
        cursors[reader] += 160
        shredded[reader] += queue.take(160)

    if len(set(turns)) == 2:
        assert any(heard != call[: len(heard)] for heard in shredded.values())
