from hypothesis import given
from hypothesis import strategies as st

from batkol.speech.rotation import SETTLED_S, CallPosition, Cut, Rotation, Why
from support.properties import few_by_day

SECOND = 8000


def rotation() -> Rotation:
    """Of an RPC that opened at 1000 s."""
    return Rotation(opened_at=1000, after=240, by=285)


def standing(
    end_s: float = 240,
    *,
    heard_to_s: float = 200,
    quiet: float | None = None,
    committed: bool = False,
    timed: bool = True,
) -> CallPosition:
    return CallPosition(int(end_s * SECOND), int(heard_to_s * SECOND), quiet, committed, timed)


def test_before_its_time_no_moment_is_good_enough() -> None:
    assert rotation().cut(1239.9, standing(quiet=0, committed=True)) is None
    assert rotation().deadline(1000, 1000) == 1240
    assert not rotation().may(1239.9)


def test_silence_is_used_once_it_is_sure() -> None:
    machine = rotation()

    assert machine.cut(1245, standing(quiet=1245 - SETTLED_S / 2)) is None
    assert machine.deadline(1245, 1245 - SETTLED_S / 2) == 1245 + SETTLED_S / 2
    cut = machine.cut(1245, standing(245, quiet=1245 - SETTLED_S))
    assert cut == Cut(Why.SILENCE, int(244.5 * SECOND), int(244.5 * SECOND), 2000)


def test_an_announced_end_brings_the_rotation_forward_and_its_last_moment_well_before_that_end() -> None:
    machine = rotation()
    machine.hurry(1100, within=50)

    assert machine.may(1100)
    assert machine.cut(1101, standing(101, quiet=1100)) is not None
    assert machine.cut(1139.9, standing(139.9)) is None
    assert machine.deadline(1100, None) == 1140
    forced = machine.cut(1140, standing(140))
    assert forced is not None
    assert forced.why is Why.FORCED

    late = rotation()
    late.hurry(1280, within=50)
    assert late.deadline(1280, None) == 1285, "the rotation was due before that"


def test_a_caller_who_speaks_is_left_alone_until_a_final_or_the_last_moment() -> None:
    machine = rotation()

    assert machine.cut(1250, standing(250)) is None
    assert machine.deadline(1250, None) == 1285
    assert machine.cut(1251, standing(251, heard_to_s=250, committed=True)) == Cut(
        Why.FINAL, 250 * SECOND, 250 * SECOND, 2000
    )
    assert machine.cut(1285, standing(285)) == Cut(Why.FORCED, 284 * SECOND, 284 * SECOND - 4000, 6000)


def test_without_word_times_the_next_rpc_begins_exactly_behind_the_final() -> None:
    cut = rotation().cut(1251, standing(251, heard_to_s=250, committed=True, timed=False))

    assert cut == Cut(Why.FINAL, 250 * SECOND, 250 * SECOND, 0)


def test_a_final_from_long_ago_is_no_place_to_hand_over() -> None:
    assert rotation().cut(1260, standing(260, heard_to_s=254, committed=True)) is None


def test_after_an_attempt_that_failed_the_old_rpc_is_left_alone_for_a_moment() -> None:
    machine = rotation()
    waits = []
    now = 1285.0
    for _ in range(4):
        assert machine.cut(now, standing(285)) is not None
        machine.failed(now)
        due = machine.deadline(now, None)
        assert due is not None
        assert machine.cut(due - 0.01, standing(285)) is None
        waits.append(due - now)
        now = due

    assert waits == [1, 2, 4, 4]


@few_by_day(25)
@given(
    st.lists(st.tuples(st.floats(0, 400), st.booleans(), st.booleans()), max_size=30),
    st.floats(1, 200),
    st.floats(0.5, 100),
)
def test_it_is_never_early_never_late_and_never_beyond_the_audio(
    looks: list[tuple[float, bool, bool]], after: float, room: float
) -> None:
    machine = Rotation(opened_at=0, after=after, by=after + room)
    for now, quiet, committed in sorted(looks):
        end = int(now * SECOND)
        heard_to = end * 3 // 4
        where = CallPosition(end, heard_to, 0.0 if quiet else None, committed, True)
        cut = machine.cut(now, where)
        if now < after:
            assert cut is None
        elif now >= after + room or (quiet and now >= SETTLED_S):
            assert cut is not None
        if cut is not None:
            assert 0 <= cut.base <= cut.limit <= end
            assert cut.limit >= heard_to, "what is committed stays committed"
        deadline = machine.deadline(now, where.quiet_since)
        assert deadline is None or deadline > now
