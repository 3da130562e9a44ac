"""The level of windows: their mean square."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio import mulaw
from batkol.audio.level import window_levels


@given(st.binary(max_size=40), st.sampled_from([1, 2, 5]))
def test_the_level_of_a_window_is_its_mean_square_wherever_it_stands(audio: bytes, window: int) -> None:
    whole = audio[: len(audio) // window * window]

    levels = window_levels(whole, window)

    assert levels == [
        sum(int(amplitude) ** 2 for amplitude in mulaw.decode(whole[at : at + window])) / window
        for at in range(0, len(whole), window)
    ]
    assert levels == [window_levels(whole[at : at + window], window)[0] for at in range(0, len(whole), window)]


def test_the_loudest_sound_and_silence_have_exact_levels() -> None:
    loudest = mulaw.encode(np.full(256, 32_767, np.int16))

    assert window_levels(loudest + mulaw.silence(256), 256) == [32_124.0**2, 0.0]
    assert window_levels(b"", 256) == []
