import itertools
import random
from collections.abc import Callable

import msgspec
import pytest

from batkol.events.cursor import Cursor
from batkol.events.events import Event, encode
from batkol.events.redaction import view
from batkol.events.ring import EventRing, KeptEvent, RingLimits
from batkol.rights import Right
from support.events.made import CALL, ended, final, key, partial, started, tentative, withdrawn

OTHER = "f" * 16


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def numbers(ring: EventRing, after: int = 0) -> list[int]:
    return [kept.number for kept in ring.after(Cursor(ring.boot, after)).events]


def filled(*events: Event, **limits: float) -> EventRing:
    ring = EventRing(RingLimits(**limits), clock=Hands())  # type: ignore[arg-type]  # of each limit's own type
    for event in events:
        ring.append(event)
    return ring


def test_events_are_numbered_from_one_and_come_back_behind_a_cursor() -> None:
    ring = filled(started(1), key(2), final(3))

    assert ring.cursor == Cursor(ring.boot, 3)
    assert [numbers(ring, after) for after in range(4)] == [[1, 2, 3], [2, 3], [3], []]
    assert not any(ring.after(Cursor(ring.boot, after)).has_gap for after in range(4))


def test_two_processes_do_not_share_a_boot() -> None:
    assert len({EventRing().boot for _ in range(100)}) == 100
    assert Cursor.parse(str(EventRing().cursor)).number == 0


@pytest.mark.parametrize("boot_and_number", [(OTHER, 2), (OTHER, 0), (OTHER, 900), ("", 4), ("", 10**15)])
def test_another_boots_cursor_and_one_of_the_future_are_a_gap_before_all_that_is_kept(
    boot_and_number: tuple[str, int],
) -> None:
    ring = filled(key(1), key(2), key(3))
    boot, number = boot_and_number

    replay = ring.after(Cursor(boot or ring.boot, number))

    assert replay.has_gap
    assert (replay.start, [kept.number for kept in replay.events]) == (0, [1, 2, 3])


def test_beyond_its_events_it_lets_the_oldest_go_and_a_reader_before_them_has_a_gap() -> None:
    ring = filled(*map(key, range(1, 8)), events=4)

    assert (len(ring), ring.lost) == (4, 3)
    assert [ring.after(Cursor(ring.boot, after)).has_gap for after in range(5)] == [True, True, True, False, False]
    assert [numbers(ring, after) for after in (0, 2, 3)] == [[4, 5, 6, 7]] * 3
    assert ring.after(Cursor(ring.boot, 1)).start == 3


def test_beyond_its_bytes_it_lets_the_oldest_go() -> None:
    size = len(encode(final(1, text="x" * 1000)))
    ring = filled(*(final(seq, text="x" * 1000) for seq in range(1, 8)), bytes_=3 * size + 10)

    assert (numbers(ring, ring.lost), ring.lost, ring.bytes_kept) == ([5, 6, 7], 4, 3 * size)


def test_one_event_larger_than_all_it_may_hold_leaves_it_empty() -> None:
    ring = filled(key(1), final(2, text="x" * 1000), bytes_=500)

    assert (len(ring), ring.lost, ring.bytes_kept) == (0, 2, 0)
    assert ring.after(Cursor(ring.boot, 1)).has_gap
    assert not ring.after(Cursor(ring.boot, 2)).has_gap


REPLACED: dict[str, tuple[list[Callable[[int], Event]], list[int]]] = {
    "a partial by a newer one": ([partial, partial, key], [2, 3]),
    "a partial by the final": ([partial, final, key], [2, 3]),
    "a partial of another utterance stays": ([partial, lambda seq: partial(seq, 1), key], [1, 2, 3]),
    "a partial of another stream stays": ([partial, lambda seq: partial(seq, stream_sid="MZ1"), key], [1, 2, 3]),
    "a tentative by its withdrawal": ([tentative, withdrawn, key], [2, 3]),
    "a tentative by the final": ([partial, tentative, final, key], [3, 4]),
    "a tentative and a partial stand side by side": ([partial, tentative, key], [1, 2, 3]),
    "a withdrawal replaces no partial": ([partial, tentative, withdrawn], [1, 3]),
    "what stands when the stream ends": ([partial, tentative, ended, key], [3, 4]),
    "another stream's end leaves it": ([partial, lambda seq: ended(seq, stream_sid="MZ1"), key], [1, 2, 3]),
    "nothing else": ([started, key, final, withdrawn, ended], [1, 2, 3, 4, 5]),
}


@pytest.mark.parametrize("what", REPLACED)
def test_what_a_newer_event_replaces_goes_some_seconds_later_without_a_gap(what: str) -> None:
    makes, left = REPLACED[what]
    hands = Hands()
    ring = EventRing(RingLimits(replaced_s=10.0), clock=hands)
    for seq, make in enumerate(makes, 1):
        ring.append(make(seq))
    hands.now += 9.9
    assert numbers(ring) == list(range(1, len(makes) + 1))
    hands.now += 0.1

    assert numbers(ring) == left
    assert not ring.after(Cursor(ring.boot, 0)).has_gap
    assert ring.bytes_kept == sum(len(kept.json) for kept in ring.after(Cursor(ring.boot, 0)).events)


def test_a_full_ring_lets_go_first_what_is_replaced() -> None:
    ring = filled(final(1), partial(2, 1), partial(3, 1), partial(4, 1), key(5), key(6), events=4)

    assert numbers(ring) == [1, 4, 5, 6]
    assert ring.lost == 0


def test_a_standing_partial_that_has_to_go_is_a_gap() -> None:
    ring = filled(partial(1), key(2), key(3), partial(4), final(5), events=2)

    assert ring.lost > 0
    assert ring.after(Cursor(ring.boot, 0)).has_gap
    assert numbers(ring, ring.lost) == [3, 5]


def test_nothing_is_kept_longer_than_the_limit_not_even_where_nothing_happens() -> None:
    hands = Hands()
    ring = EventRing(RingLimits(kept_s=900.0), clock=hands)
    ring.append(key(1))
    hands.now += 500
    ring.append(key(2))
    hands.now += 399.9
    assert numbers(ring) == [1, 2]
    hands.now += 0.1

    assert not ring.after(Cursor(ring.boot, 1)).has_gap
    assert numbers(ring, 1) == [2]
    assert ring.after(Cursor(ring.boot, 0)).has_gap


def test_memory_is_bounded_whatever_is_published() -> None:
    chance = random.Random(7)
    said: list[Callable[[int, int], Event]] = [partial, tentative, withdrawn, final]
    others: list[Callable[[int], Event]] = [key, started, ended]
    hands = Hands()
    ring = EventRing(RingLimits(events=50, bytes_=20_000), clock=hands)
    for seq in range(5_000):
        if chance.random() < 0.6:
            ring.append(chance.choice(said)(seq, chance.randrange(1_000)))
        else:
            ring.append(chance.choice(others)(seq))
        hands.now += chance.choice([0.0, 0.1])
        assert len(ring) <= 50
        assert ring.bytes_kept <= 20_000
        assert len(ring._replaced) <= 50
        assert sum(len(standing) for standing in ring._standing.values()) <= 50
        assert all(ring._standing.values())


def test_it_knows_the_calls_whose_events_it_keeps() -> None:
    ring = filled(key(1), key(2, "CA1"), key(3, "CA2"), events=2)

    assert [ring.has_call(sid) for sid in (CALL, "CA1", "CA2", "CA3")] == [False, True, True, False]


def test_an_event_is_encoded_once_for_each_set_of_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = itertools.count()

    def counted(event: Event) -> bytes:
        next(counts)
        return encode(event)

    monkeypatch.setattr("batkol.events.ring.encode", counted)
    kept = KeptEvent(1, final(1, text="שלום"), "", 0.0)
    everything, blind = view(frozenset(Right)), view(frozenset({Right.STATUS}))
    for _ in range(10):
        assert msgspec.json.decode(kept.seen_with(everything))["text"] == "שלום"
        assert msgspec.json.decode(kept.seen_with(blind))["text"] == ""

    assert next(counts) == 2
