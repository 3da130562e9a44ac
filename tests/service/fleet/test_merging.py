from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.fleet.blocks import Block, BlockReader
from batkol.fleet.cursor import MOST_PODS, CursorError, parse
from batkol.fleet.merging import Merge

A, B = "a" * 16, "b" * 16


def event(boot: str, n: int) -> Block:
    return Block(boot, n, b"event: dtmf\ndata: {}\n\n")


def cursors(texts: list[bytes]) -> list[dict[str, int]]:
    return [parse(text.split(b"\n", 1)[0].removeprefix(b"id: ").decode()) for text in texts]


def following(*positions: tuple[str, int]) -> Merge:
    merge = Merge()
    for boot, newest in positions:
        merge.begin(boot, newest)
    return merge


def test_each_event_has_the_place_in_all_feeds() -> None:
    merge = following((A, 4), (B, 9))

    assert cursors(merge.take(A, [event(A, 5), event(A, 7)], shared=True)) == [{A: 5, B: 9}, {A: 7, B: 9}]
    assert cursors(merge.take(B, [event(B, 10)], shared=True)) == [{A: 7, B: 10}]


def test_what_was_taken_does_not_come_again() -> None:
    merge = following((A, 4))

    assert len(merge.take(A, [event(A, 4), event(A, 5), event(A, 5), event(A, 3)], shared=True)) == 1


def test_an_event_that_names_another_process_is_left_out() -> None:
    assert following((A, 0), (B, 0)).take(A, [event(B, 5)], shared=True) == []


def test_a_position_without_an_event_moves_the_cursor_and_is_not_written() -> None:
    merge = following((A, 1))

    assert merge.take(A, [Block(A, 8, b"")], shared=True) == []
    assert merge.cursor == f"{A}-8"


def test_a_new_reader_begins_with_now_and_one_with_a_cursor_at_the_oldest_of_what_it_does_not_name() -> None:
    assert Merge().begin(A, 7) == 7
    assert Merge(f"{B}-3").begin(A, 7) == 0
    late = Merge()
    late.settle("peers", b"{}")
    assert late.begin(A, 7) == 0


def test_a_reader_that_lacks_events_takes_them_from_its_own_feed_until_it_meets_the_shared_one() -> None:
    merge = Merge(f"{A}-2")
    assert merge.join({A: 5}) == [A]
    assert merge.take(A, [event(A, 6)], shared=True) == []
    assert len(merge.take(A, [event(A, 3), event(A, 4)], shared=False)) == 2
    assert not merge.meet(A, 6)
    assert len(merge.take(A, [event(A, 5), event(A, 6)], shared=False)) == 2
    assert merge.meet(A, 6)

    assert len(merge.take(A, [event(A, 6), event(A, 7)], shared=True)) == 1


def test_a_reader_that_is_ahead_of_the_shared_feed_waits_for_it() -> None:
    merge = Merge(f"{A}-9")

    assert merge.join({A: 5}) == []
    assert merge.take(A, [event(A, 6), event(A, 9)], shared=True) == []
    assert len(merge.take(A, [event(A, 10)], shared=True)) == 1


def test_the_first_word_has_the_place_before_all_that_waits() -> None:
    merge = Merge(f"{A}-2")
    merge.begin(A, 5)
    merge.begin(B, 5)
    merge.take(A, [event(A, 3)], shared=True)

    assert merge.settle("peers", b"{}").splitlines()[0] == f"id: {A}-2.{B}-0".encode()


def test_a_pod_that_is_lost_is_a_gap_and_leaves_the_cursor() -> None:
    merge = following((A, 4), (B, 9))
    gap = merge.lose(A, complete=False)

    assert gap == f'id: {B}-9\nevent: gap\ndata: {{"type":"gap","missed_from":"{A}-4"}}\n\n'.encode()
    assert merge.lose(A, complete=False) is None
    assert merge.lose(B, complete=True) is None
    assert merge.cursor == ""


def test_a_pod_that_was_taken_for_lost_and_comes_back_goes_on_where_it_was() -> None:
    merge = following((A, 4))
    merge.lose(A, complete=False)

    assert merge.begin(A, 9) == 4


def test_a_reader_that_has_not_caught_up_with_a_pod_that_ends_in_order_has_a_gap() -> None:
    merge = Merge(f"{A}-2")
    merge.join({A: 5})

    assert merge.lose(A, complete=True) is not None


def test_a_cursor_has_no_more_pods_than_it_may() -> None:
    merge = following(*((f"{number:016x}", 1) for number in range(MOST_PODS + 5)))
    for number in range(MOST_PODS + 5):
        boot = f"{number:016x}"
        merge.take(boot, [event(boot, 2)], shared=True)

    assert len(parse(merge.cursor)) == MOST_PODS


def test_a_malformed_cursor_is_refused() -> None:
    with pytest.raises(CursorError):
        Merge("nonsense")


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(1, 6)), max_size=30), st.integers(0, 29))
def test_a_reader_that_comes_back_with_any_events_cursor_gets_the_rest_and_no_more(
    script: list[tuple[str, int]], cut: int
) -> None:
    """Each step is some further events of one pod."""
    numbers, feed = {A: 0, B: 0}, list[Block]()
    for boot, count in script:
        for _ in range(count):
            numbers[boot] += 1
            feed.append(event(boot, numbers[boot]))
    first = following((A, 0), (B, 0))
    whole = [text for block in feed for text in first.take(block.boot, [block], shared=True)]
    read = whole[: cut + 1]
    if not read:
        return
    again = Merge(read[-1].split(b"\n", 1)[0].removeprefix(b"id: ").decode())
    again.begin(A, 0)
    again.begin(B, 0)
    rest = [text for block in feed for text in again.take(block.boot, [block], shared=True)]

    assert identities(read + rest) == identities(whole)


def identities(texts: list[bytes]) -> list[tuple[str, int]]:
    """Return the pod and the number of each event: the last part of its cursor."""
    blocks = BlockReader().feed(b"".join(texts))
    return [(block.boot.rpartition(".")[2], block.n) for block in blocks]
