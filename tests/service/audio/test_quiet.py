import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio import mulaw
from batkol.audio.quiet import WINDOW, quietest


def noise(samples: int, level: int) -> bytes:
    return mulaw.encode(np.random.default_rng(samples).integers(-level, level + 1, samples).astype(np.int16))


@given(st.integers(0, 4000), st.integers(240, 2000), st.integers(0, 4000))
def test_a_pause_between_words_is_found(before: int, pause: int, after: int) -> None:
    audio = noise(before, 8000) + noise(pause, 20) + noise(after, 8000)

    assert before <= quietest(audio) <= before + pause


def test_of_several_quiet_places_the_last_is_taken() -> None:
    assert quietest(mulaw.silence(8000)) == 8000 - WINDOW // 2


@pytest.mark.parametrize("samples", [0, 1, WINDOW - 1])
def test_too_little_is_not_looked_into(samples: int) -> None:
    assert quietest(mulaw.silence(samples)) == samples
