"""WebRTC's detector behind the same interface."""

from __future__ import annotations

import numpy as np
import pytest

from batkol.audio import mulaw
from batkol.audio.mulaw import Pcm
from batkol.audio.vad import EngineName, create
from batkol.audio.webrtc import WINDOW, WebRtcEngine
from batkol.simulators import voice


def speech(seed: int) -> Pcm:
    audio = mulaw.decode(voice.script(voice.random_utterances(seed, 3, 2)).mulaw)
    return audio[: len(audio) // WINDOW * WINDOW].reshape(-1, WINDOW)


def scores(engine: WebRtcEngine, call: Pcm) -> list[float]:
    slots = np.array([engine.open()])
    return [float(engine.score(slots, window[None])[0]) for window in call]


def test_it_hears_speech_and_not_silence() -> None:
    mine = scores(WebRtcEngine(), np.concatenate([np.zeros((50, WINDOW), np.int16), speech(1)]))

    assert not any(mine[:50])
    assert set(mine[50:]) == {0.0, 1.0}


def test_a_call_scores_the_same_alone_and_among_others() -> None:
    calls = [speech(seed)[:120] for seed in range(12)]
    engine = WebRtcEngine()
    slots = np.array([engine.open() for _ in calls])
    draw = np.random.default_rng(1)
    together = np.zeros((12, 120))
    for step in range(120):
        order = draw.permutation(12)
        together[order, step] = engine.score(slots[order], np.stack([calls[index][step] for index in order]))

    assert together.tolist() == [scores(WebRtcEngine(), call) for call in calls]


def test_a_slot_that_is_handed_out_again_remembers_nothing() -> None:
    engine = WebRtcEngine()
    first = scores(engine, speech(2))
    engine.close(0)

    assert scores(engine, speech(2)) == first
    with pytest.raises(ValueError, match="not open"):
        engine.close(7)


def test_aggressiveness_makes_it_more_reluctant() -> None:
    """Quiet speech in noise."""
    call = speech(3) // 8 + np.random.default_rng(1).normal(0, 60, speech(3).shape).astype(np.int16)

    assert sum(scores(WebRtcEngine(aggressiveness=3), call)) < sum(scores(WebRtcEngine(aggressiveness=0), call))


def test_it_is_made_by_name() -> None:
    engine = create(EngineName.WEBRTC)

    assert engine.name is EngineName.WEBRTC
    assert engine.window == 160
