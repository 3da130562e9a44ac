"""The demo's mm-hm: speech to the detector, too short for an interruption, and no word to the recognizer."""

from __future__ import annotations

import pytest

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.demo.hum import MS, mm_hm
from batkol.simulators.voice.recognizer import words_in
from batkol.speech.turn_thresholds import TurnThresholds
from batkol.vad.engine import EngineName
from batkol.vad.factory import create
from batkol.voices.marked.voice import script
from support.vad.segments import segments


@pytest.mark.parametrize("before", [(), ("שלום", "אני")])
@pytest.mark.parametrize("at", [0, 77, 200])
def test_the_detector_hears_it_for_less_than_an_interruption_lasts(before: tuple[str, ...], at: int) -> None:
    call = script((before,) if before else (), tail_ms=2000).mulaw
    lead = script((), lead_ms=300, tail_ms=0).mulaw + bytes([0xFF]) * at

    found = segments(create(EngineName.SILERO), call + lead + mm_hm() + script((), tail_ms=1500).mulaw)

    hum = [segment for segment in found if segment.end > len(call)]
    assert len(hum) == 1
    assert 200 < hum[0].ms < TurnThresholds().interruption_ms


def test_it_has_no_word() -> None:
    assert len(mm_hm()) == MS * SAMPLES_PER_MS
    assert words_in(mm_hm()) == ()
