"""WebRTC's detector behind the same interface."""

from __future__ import annotations

import numpy as np
import pytest

from batkol.audio import mulaw
from batkol.vad.engine import EngineName
from batkol.vad.factory import create
from batkol.vad.webrtc import WINDOW, WebRtcEngine
from batkol.voices.marked import voice


def speech(seed: int) -> bytes:
    audio = voice.script(voice.random_utterances(seed, 3, 2)).mulaw
    return audio[: len(audio) // WINDOW * WINDOW]


def scores(engine: WebRtcEngine, call: bytes) -> list[float]:
    slot = engine.open()
    each = [engine.score([slot], [call[at : at + WINDOW]]) for at in range(0, len(call), WINDOW)]
    return [score for [[score]] in each]


def test_it_hears_speech_and_not_silence() -> None:
    mine = scores(WebRtcEngine(), mulaw.silence(50 * WINDOW) + speech(1))

    assert not any(mine[:50])
    assert set(mine[50:]) == {0.0, 1.0}


def test_a_call_scores_the_same_alone_and_among_others_however_its_windows_come() -> None:
    calls = [speech(seed)[: 120 * WINDOW] for seed in range(12)]
    engine = WebRtcEngine()
    slots = [engine.open() for _ in calls]
    draw = np.random.default_rng(1)
    together: list[list[float]] = [[] for _ in calls]
    while any(len(mine) < 120 for mine in together):
        order = draw.permutation(12).tolist()
        parts = [calls[row][len(together[row]) * WINDOW :][: draw.integers(4) * WINDOW] for row in order]
        for row, scored in zip(order, engine.score([slots[row] for row in order], parts), strict=True):
            together[row] += scored

    assert together == [scores(WebRtcEngine(), call) for call in calls]


def test_a_slot_that_is_handed_out_again_remembers_nothing() -> None:
    engine = WebRtcEngine()
    first = scores(engine, speech(2))
    engine.close(0)

    assert scores(engine, speech(2)) == first
    with pytest.raises(ValueError, match="not open"):
        engine.close(7)


def test_aggressiveness_makes_it_more_reluctant() -> None:
    """Quiet speech in noise."""
    said = mulaw.decode(speech(3)) // 8
    call = mulaw.encode(said + np.random.default_rng(1).normal(0, 60, said.shape).astype(np.int16))

    assert sum(scores(WebRtcEngine(aggressiveness=3), call)) < sum(scores(WebRtcEngine(aggressiveness=0), call))


def test_it_is_made_by_name() -> None:
    engine = create(EngineName.WEBRTC)

    assert engine.name is EngineName.WEBRTC
    assert engine.window == 160
