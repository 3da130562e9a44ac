import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio import mulaw
from batkol.audio.quiet import WINDOW, is_loud, quietest
from batkol.audio.ring import Ring
from batkol.voices.marked.voice import WORDS, say


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


@pytest.mark.parametrize(
    ("audio", "loud"),
    [
        (noise(8000, 8000), True),
        (noise(8000, 8000) + noise(240, 20), True),
        (noise(8000, 8000) + noise(720, 20), True),
        (noise(8000, 8000) + noise(1000, 20), False),
        (noise(8000, 8000) + noise(1600, 1600), True),
        (noise(8000, 8000) + noise(1600, 20) + noise(160, 8000), True),
        (noise(8000, 8000) + noise(1000, 600), False),
        (noise(400, 8000), False),
        (b"", False),
    ],
    ids=[
        "speech",
        "a short quiet",
        "a shut mouth",
        "a pause",
        "a soft syllable",
        "the next word",
        "a pause in noise",
        "too little",
        "nothing",
    ],
)
def test_an_end_is_loud_beside_the_loudest_of_the_last_second(audio: bytes, loud: bool) -> None:
    ring = Ring(capacity=80_000)
    ring.append(audio)

    assert is_loud(ring, ring.end) is loud


def test_every_moment_in_a_word_is_in_mid_word() -> None:
    """Also its soft parts, which a detector of speech may miss."""
    before = say(["רופא"]).mulaw
    moments = 0
    for word in WORDS:
        ring = Ring(capacity=80_000)
        ring.append(before)
        spoken = say([word]).mulaw
        for at in range(0, len(spoken), WINDOW):
            ring.append(spoken[at : at + WINDOW])
            moments += 1
            assert is_loud(ring, ring.end), (word, at)
    assert moments > 500
