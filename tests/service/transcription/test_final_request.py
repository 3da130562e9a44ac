"""When finals are asked for: in quiet, once, and in noise in the end."""

from __future__ import annotations

import pytest

from batkol.audio.mulaw import SAMPLE_RATE, silence
from batkol.audio.ring import Ring
from batkol.transcription.final_request import ASK_AGAIN_S, FINALIZE, FinalRequest
from batkol.voices.marked.voice import say

WORD = say(["חשבון"]).mulaw
IN_WORD = WORD[: len(WORD) // 2]
NOW = 100.0


def request(audio: bytes, *, quiet_for: int = FINALIZE) -> FinalRequest:
    """Return the request of a caller whose last sample of speech, by the detector, lies so many samples back."""
    ring = Ring(capacity=80_000)
    ring.append(audio)
    made = FinalRequest(ring)
    made.schedule(ring.end - quiet_for, NOW)
    return made


def test_in_quiet_finals_are_asked_for_once() -> None:
    made = request(WORD + silence(FINALIZE))

    assert [made.is_due(NOW, speaking=True) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("audio", [b"", silence(40), silence(16_000)], ids=["nothing", "a little", "silence"])
def test_audio_without_speech_holds_nothing_back(audio: bytes) -> None:
    assert request(audio, quiet_for=0).is_due(NOW + 1, speaking=True)


def test_what_is_missing_of_the_silence_is_waited_for() -> None:
    made = request(WORD + silence(800), quiet_for=800)

    assert made.at == NOW + (FINALIZE - 800) / SAMPLE_RATE
    assert not made.is_due(NOW, speaking=True)


def test_in_a_word_of_an_utterance_no_final_is_asked_for_however_long_it_lasts() -> None:
    made = request(IN_WORD)

    assert not made.is_due(NOW, speaking=True)
    assert made.at == NOW + ASK_AGAIN_S
    assert not made.is_due(NOW + 10, speaking=True)


def test_in_a_word_behind_an_utterance_none_is_asked_for_until_it_must_be_noise() -> None:
    made = request(IN_WORD)

    assert not made.is_due(NOW + 0.2, speaking=False)
    assert made.is_due(NOW + 0.3, speaking=False)


def test_a_caller_who_speaks_again_is_not_asked_about() -> None:
    made = request(WORD + silence(FINALIZE))
    made.schedule(None, NOW)

    assert not made.is_due(NOW + 10, speaking=False)
