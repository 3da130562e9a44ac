"""The judgement on the ends of a call's streams in the soak of replies."""

from __future__ import annotations

import pytest

from reliability.soak_talkers import wrong_ends

DRAINED, STOP, HUNG_UP = "drained", "stop", "hung_up"


@pytest.mark.parametrize(
    ("reasons", "streams", "left", "hung_up"),
    [
        ([DRAINED, STOP], 2, 0, False),
        ([DRAINED, DRAINED], 3, 1, False),  # the caller hung up before the third pod knew where the call stands
        ([DRAINED, HUNG_UP], 2, 0, True),
    ],
)
def test_every_stream_has_an_end_or_was_left_before_it_began(
    reasons: list[str], streams: int, left: int, *, hung_up: bool
) -> None:
    assert wrong_ends(reasons, streams, left, hung_up=hung_up) == []


@pytest.mark.parametrize(
    ("reasons", "streams", "left", "hung_up"),
    [
        ([DRAINED, DRAINED], 3, 0, False),
        ([DRAINED, STOP, STOP], 2, 0, False),
        ([DRAINED, STOP], 2, 1, False),
        ([DRAINED, HUNG_UP], 2, 0, False),
        ([DRAINED, STOP], 2, 0, True),
        ([HUNG_UP, STOP], 2, 0, True),
    ],
)
def test_a_stream_too_few_or_too_many_and_a_wrong_end_are_found(
    reasons: list[str], streams: int, left: int, *, hung_up: bool
) -> None:
    assert len(wrong_ends(reasons, streams, left, hung_up=hung_up)) == 1
