"""Where the sound of a piece ends: after a pause, which is longer where more sound is expected."""

from __future__ import annotations

import math

import pytest

from batkol.voices.google.flight import LONG_QUIET_S, QUIET_S, SHORT_QUIET_S, Flight, SpeakingRate
from batkol.voices.limits import VoiceLimits

TEXT = "a" * 26  # two seconds
LIMITS = VoiceLimits(first_s=4, between_s=3, whole_s=30)


def test_a_piece_without_sound_is_not_over() -> None:
    assert Flight(TEXT, SpeakingRate(), 10.0).over_at(next_waits=True) == math.inf


def test_the_pause_that_ends_a_piece_depends_on_its_sound_and_on_who_waits() -> None:
    flight = Flight(TEXT, SpeakingRate(), 10.0)
    flight.arrived(8000, 10.5)
    assert flight.over_at(next_waits=True) == 10.5 + SHORT_QUIET_S
    flight.arrived(8000, 10.6)
    assert flight.over_at(next_waits=True) == 10.6 + QUIET_S
    assert flight.over_at(next_waits=False) == 10.6 + LONG_QUIET_S


def test_sound_that_is_too_late_is_given_up() -> None:
    flight = Flight(TEXT, SpeakingRate(), 10.0)
    assert flight.given_up_at(LIMITS) == 14.0
    flight.arrived(100, 13.0)
    assert flight.given_up_at(LIMITS) == 16.0
    flight.arrived(100, 39.0)
    assert flight.given_up_at(LIMITS) == 40.0


def test_the_speed_of_the_voice_is_learned_and_short_pieces_do_not_count() -> None:
    rate = SpeakingRate()
    for _ in range(60):
        rate.learn("a" * 20, 8000)
    assert rate.letters_per_s == pytest.approx(20, abs=0.1)
    rate.learn("a", 7000)
    assert rate.letters_per_s == pytest.approx(20, abs=0.1)
    assert rate.samples("a" * 20) == pytest.approx(8000, abs=40)
