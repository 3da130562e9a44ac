import math

from hypothesis import given
from hypothesis import strategies as st

from batkol.speech.pacing import BURST, PIECE, Pace
from support.properties import few_by_day

SECOND = 8000


def test_live_audio_never_waits() -> None:
    pace = Pace(rate=2.5, now=0)

    assert [pace.wait(1200, n * 0.15) for n in range(1000)] == [0.0] * 1000


def test_a_replay_goes_out_at_the_rate_behind_its_burst() -> None:
    pace = Pace(rate=2.5, now=0)
    now = 0.0
    sent = 0
    while sent < 10 * SECOND:
        now += pace.wait(PIECE, now)
        sent += PIECE

    assert now == (10 * SECOND - BURST) / (2.5 * SECOND)


def test_unpaced_is_unpaced() -> None:
    pace = Pace(rate=math.inf, now=0)

    assert pace.wait(100 * SECOND, 0) == 0
    assert pace.longest is None


@few_by_day(30)
@given(
    st.floats(1.1, 10),
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, PIECE)), min_size=1, max_size=60),
)
def test_whatever_is_sent_when_google_never_gets_more_than_the_rate_and_the_burst(
    rate: float, pieces: list[tuple[float, int]]
) -> None:
    pace = Pace(rate=rate, now=0)
    now, sent = 0.0, 0
    for pause, samples in pieces:
        now += pause
        now += pace.wait(samples, now)
        sent += samples
        assert sent <= BURST + rate * SECOND * now + 1
