import pytest

from batkol.audio import mulaw
from batkol.compare.budget import minutes, within
from batkol.compare.known_speech import KnownSpeech
from batkol.errors import ConfigurationError


def speech(number: int, seconds: float, call: str = "") -> KnownSpeech:
    name = f"{number}.wav"
    return KnownSpeech(name, call or name, "שלום", mulaw.silence(int(seconds * 8000)))


MANY = [speech(number, 6.0) for number in range(20)]


def test_what_streams_hears_the_silence_behind_a_sound_and_some_sounds_twice() -> None:
    assert minutes(MANY, streaming=1, single=0, probes=0) == pytest.approx(20 * 10 / 60)
    assert minutes(MANY, streaming=2, single=1, probes=5) == pytest.approx((2 * (20 * 10 + 5 * 6.2) + 20 * 6) / 60)


def test_a_comparison_beyond_the_budget_is_refused_and_says_what_it_would_take() -> None:
    assert within(MANY, 3.4, streaming=1, single=0, probes=0, seed=None) is MANY
    with pytest.raises(ConfigurationError, match=r"up to 3\.3 minutes of audio, more than --budget 3, so nothing was"):
        within(MANY, 3.0, streaming=1, single=0, probes=0, seed=None)


def test_a_seed_chooses_whole_calls_that_fit_the_budget_and_always_the_same() -> None:
    calls = [speech(number, 6.0, f"CA{number // 4}") for number in range(20)]
    chosen = within(calls, 1.5, streaming=1, single=0, probes=0, seed=7)

    assert minutes(chosen, streaming=1, single=0, probes=0) <= 1.5
    assert {each.group for each in chosen} < {each.group for each in calls}
    assert all(sum(each.group == call for each in chosen) == 4 for call in {each.group for each in chosen})
    assert within(calls, 1.5, streaming=1, single=0, probes=0, seed=7) == chosen
    others = [within(calls, 1.5, streaming=1, single=0, probes=0, seed=seed) for seed in range(8)]
    assert any(each != chosen for each in others)


def test_a_budget_that_no_call_fits_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no call is short enough for --budget 0\.01"):
        within(MANY, 0.01, streaming=1, single=0, probes=0, seed=1)
